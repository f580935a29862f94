"""Mail through SendGrid."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any

import msgspec

from pylon.auth.mail.posting import Post
from pylon.auth.mail.transport import Letter

ENDPOINT = "https://api.sendgrid.com/v3/mail/send"


class SendGrid:
    """`POST /v3/mail/send`."""

    name = "sendgrid"

    def __init__(self, key: str, endpoint: str | None = None) -> None:
        self._post = Post(endpoint or ENDPOINT, {"Authorization": f"Bearer {key}"})

    async def send(self, letter: Letter) -> None:
        """Hand it over. Clicks are not tracked: that would pass the links through another server."""
        name, address = parseaddr(letter.sender)
        content = [{"type": "text/plain", "value": letter.text}]
        if letter.html:
            content.append({"type": "text/html", "value": letter.html})
        body: dict[str, Any] = {
            "personalizations": [{"to": [{"email": letter.to}], "custom_args": {"mail_id": letter.id}}],
            "from": {"email": address} | ({"name": name} if name else {}),
            "subject": letter.subject,
            "content": content,
            "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
        }
        await self._post.send(msgspec.json.encode(body), {})

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()
