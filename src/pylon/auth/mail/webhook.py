"""Mail through a server of one's own: each letter is posted to it, signed."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

import msgspec

from pylon.auth.mail.posting import Post
from pylon.auth.mail.transport import Letter

SIGNATURE = "Pylon-Signature"


class Webhook:
    """`POST {id,to,from,subject,text,html,body}`; `body` is the text once more, for older receivers. The header
    `Pylon-Signature: t=<Unix seconds>,v1=<hex>` is HMAC-SHA256 of `<t>.<body>` under the shared secret."""

    name = "webhook"

    def __init__(
        self, endpoint: str, secret: str, key: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._post = Post(endpoint, {"Authorization": f"Bearer {key}"} if key else {})
        self._secret = secret.encode()
        self._clock = clock

    async def send(self, letter: Letter) -> None:
        """Hand it over."""
        body = msgspec.json.encode(
            {
                "id": letter.id,
                "to": letter.to,
                "from": letter.sender,
                "subject": letter.subject,
                "text": letter.text,
                "html": letter.html,
                "body": letter.text,
            }
        )
        await self._post.send(body, {SIGNATURE: sign(self._secret, body, int(self._clock()))})

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()


def sign(secret: bytes, body: bytes, at: int) -> str:
    """The signature of a body at a time."""
    return f"t={at},v1={hmac.digest(secret, f'{at}.'.encode() + body, 'sha256').hex()}"
