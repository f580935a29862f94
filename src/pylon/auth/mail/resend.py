"""Mail through Resend, and through providers that take the same request."""

from __future__ import annotations

import msgspec

from pylon.auth.mail.posting import Post
from pylon.auth.mail.transport import Letter

ENDPOINT = "https://api.resend.com/emails"


class Resend:
    """`POST {from,to,subject,text,html}`. The idempotency key keeps a letter that is handed over twice from arriving
    twice."""

    name = "resend"

    def __init__(self, key: str, endpoint: str | None = None) -> None:
        self._post = Post(endpoint or ENDPOINT, {"Authorization": f"Bearer {key}"})

    async def send(self, letter: Letter) -> None:
        """Hand it over."""
        body = {"from": letter.sender, "to": [letter.to], "subject": letter.subject, "text": letter.text}
        if letter.html:
            body["html"] = letter.html
        await self._post.send(msgspec.json.encode(body), {"Idempotency-Key": letter.id})

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()
