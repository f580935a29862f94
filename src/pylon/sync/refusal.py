"""Saying no to a connection before it is one: an HTTP answer in our own protocols, and the same under ASGI."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import Any

import msgspec

from pylon.model.errors import PylonError

RETRY_SECONDS = (5, 15)
"""When somebody over a cap may come back: at a random moment, so that they don't come together."""


def crowded(whose: str) -> PylonError:
    """One connection too many of an address or a user."""
    seconds = random.randint(*RETRY_SECONDS)  # noqa: S311 - jitter, not a secret
    return PylonError(
        "RATE_LIMITED",
        f"Too many connections {whose}",
        extra={"retry_after_secs": seconds},
        headers={"Retry-After": str(seconds)},
    )


def refuse(transport: asyncio.Transport, error: PylonError) -> None:
    """Answer a handshake with an error, and close."""
    body = msgspec.json.encode(error.envelope())
    headers = {
        "Content-Type": "application/json",
        "Connection": "close",
        **(error.headers or {}),
        "Content-Length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    status = f"{error.status} {HTTPStatus(error.status).phrase}"
    transport.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)
    transport.close()


async def send_refusal(send: Any, error: PylonError, kind: str = "http.response") -> None:
    """The same as ASGI messages; `kind` is `websocket.http.response` for a handshake."""
    named = {"Content-Type": "application/json", **(error.headers or {})}
    headers = [(name.lower().encode(), value.encode()) for name, value in named.items()]
    await send({"type": f"{kind}.start", "status": error.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": msgspec.json.encode(error.envelope())})
