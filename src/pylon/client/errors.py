"""What the client raises.

PylonError                    code, message, hint, status, as on the server
└── ClientError               anything this package raises
    ├── ApiError              the server answered with an error; `retry_after` is its advice, in seconds
    ├── Unreachable           no answer; whether the server acted is not known
    ├── Closed                a socket ended, with its close code
    └── (others by code)      QUEUE_FULL, REPLICA_LOCKED, REPLICA_UNREADABLE, REPLICA_STOPPED
"""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from pylon.model.errors import PylonError


class ClientError(PylonError):
    """Something went wrong on the client's side of the wire, or was told by the server."""


class ApiError(ClientError):
    """The server's `{"error": {"code", "message", "hint"?}}`."""

    retry_after: float | None = None


class Unreachable(ClientError):
    """The server did not answer."""

    def __init__(self, what: str) -> None:
        super().__init__("UNREACHABLE", what, status=503, hint="Check the address, and whether the server runs.")


class Closed(ClientError):
    """A socket is closed. `close_code` is the WebSocket's."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__("SOCKET_CLOSED", f"The socket was closed: {close_code} {reason}".rstrip(), status=503)
        self.close_code = close_code


def error_of(response: httpx.Response) -> ApiError:
    """The error that an answer of 400 or above is."""
    try:
        body = msgspec.json.decode(response.content)
        if body.get("committed") is False:  # how a transaction tells
            return ApiError("CONFLICT", "An operation failed; nothing was applied", extra={"results": body["results"]})
        error = error_from(body["error"], response.status_code)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        error = ApiError(
            "INTERNAL", f"HTTP {response.status_code} without an error of Pylon", status=response.status_code
        )
    header = response.headers.get("retry-after")
    if header is not None and header.isdigit():
        error.retry_after = float(header)
    return error


def error_from(told: dict[str, Any], status: int | None = None) -> ApiError:
    """The error that an error object is. Raises KeyError, TypeError for what isn't one."""
    extra = {key: value for key, value in told.items() if key not in ("code", "message", "hint")}
    return ApiError(told["code"], told["message"], hint=told.get("hint"), status=status, extra=extra or None)
