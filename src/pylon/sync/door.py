"""What every live connection goes through: who it is, whether its address may open another, and when it must go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, Protocol
from urllib.parse import unquote_to_bytes

from pylon.model.addresses import client_address
from pylon.model.identity import Identity
from pylon.sync.events import Frames
from pylon.sync.hub import Hub

PING_BUCKETS = 25
"""Connections are looked at in this many portions, so that no turn pings them all."""


Kind = Literal["ws", "sse"]


class Credential(Protocol):
    """A resolved token; Session of auth is one."""

    @property
    def identity(self) -> Identity:
        """Who it is."""

    @property
    def key(self) -> bytes | None:
        """The session's key, None without one."""

    @property
    def expires_at(self) -> int:
        """When the session ends in Unix seconds, 0 for never."""


class Connection(Protocol):
    """One open socket or stream."""

    kind: Kind
    credential: Credential
    ip: str

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought."""

    def probe(self) -> None:
        """Show that the connection lives, and end it when the peer does not."""

    def end(self, code: int, reason: str) -> None:
        """Close with a WebSocket close code."""


class Door:
    """The live door of one server. `trusted_origin(origin, host)` says whether a page may use its cookie."""

    def __init__(
        self,
        hub: Hub,
        resolve: Callable[[str | None], Credential],
        *,
        cookie_name: str,
        trusted_origin: Callable[[str, str], bool],
        proxy_hops: int = 0,
        per_ip: int = 64,
        max_frame: int = 16 * 2**20,
        max_buffer: int = 4 * 2**20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hub = hub
        self.max_frame = max_frame
        self.max_buffer = max_buffer
        self._resolve = resolve
        self._cookie_name = cookie_name
        self._trusted_origin = trusted_origin
        self._hops = proxy_hops
        self._per_ip = per_ip
        self._clock = clock
        self._buckets: list[set[Connection]] = [set() for _ in range(PING_BUCKETS)]
        self._next_bucket = 0
        self._addresses: dict[str, int] = {}
        self._sessions: dict[bytes, set[Connection]] = {}
        self.is_closing = False
        self.open: dict[Kind, int] = {"ws": 0, "sse": 0}
        self.slow_consumers = 0
        self.refused = 0

    # -- before accepting ----------------------------------------------------------------------------------------

    def client_ip(self, peer: str, forwarded: str | None) -> str:
        """The client's address: the peer's, or the one that the trusted proxies report."""
        return client_address(peer, forwarded, self._hops)

    def has_room(self, ip: str) -> bool:
        """Whether this address may open one more connection; counts those refused."""
        if not self._per_ip or self._addresses.get(ip, 0) < self._per_ip:
            return True
        self.refused += 1
        return False

    def credential(self, headers: dict[str, str], token: str | None = None) -> Credential:
        """Who the headers of an upgrade or stream prove: Bearer, then the subprotocol (or `token`), then the cookie
        of a trusted origin. Anything else is nobody."""
        authorization = headers.get("authorization", "")
        if authorization.startswith("Bearer "):
            return self._resolve(authorization[7:])
        if token is not None:
            return self._resolve(token)
        origin = headers.get("origin")
        if origin is None or self._trusted_origin(origin, headers.get("host", "")):
            return self._resolve(_cookie(headers.get("cookie", ""), self._cookie_name))
        return self._resolve(None)

    # -- while open ----------------------------------------------------------------------------------------------

    def enter(self, connection: Connection) -> None:
        """Count a connection in and subscribe it."""
        self.open[connection.kind] += 1
        self._addresses[connection.ip] = self._addresses.get(connection.ip, 0) + 1
        min(self._buckets, key=len).add(connection)
        if (key := connection.credential.key) is not None:
            self._sessions.setdefault(key, set()).add(connection)
        self.hub.add(connection, connection.credential.identity)

    def leave(self, connection: Connection) -> None:
        """Count a connection out; a no-op the second time."""
        for bucket in self._buckets:
            if connection in bucket:
                bucket.discard(connection)
                break
        else:
            return
        self.open[connection.kind] -= 1
        self.hub.remove(connection, connection.credential.identity)
        left = self._addresses[connection.ip] - 1
        if left:
            self._addresses[connection.ip] = left
        else:
            del self._addresses[connection.ip]
        if (key := connection.credential.key) is not None:
            group = self._sessions[key]
            group.discard(connection)
            if not group:
                del self._sessions[key]

    def tick(self) -> None:
        """Look at one portion of the connections: expired sessions end, the others are probed. Call it PING_BUCKETS
        times per ping interval."""
        bucket = self._buckets[self._next_bucket]
        self._next_bucket = (self._next_bucket + 1) % PING_BUCKETS
        now = self._clock()
        for connection in list(bucket):
            expires_at = connection.credential.expires_at
            if expires_at and expires_at <= now:
                connection.end(1008, "session expired")
            else:
                connection.probe()

    def received(self, connection: Connection, text: bytes) -> None:
        """A client's text frame. No type is known to this server yet; unknown ones are ignored (spec 02 §7.3)."""

    def revoke(self, keys: Iterable[bytes]) -> None:
        """End the connections of revoked sessions."""
        for key in keys:
            for connection in list(self._sessions.get(key, ())):
                connection.end(1008, "session revoked")

    def close(self, code: int, reason: str) -> None:
        """End all connections and take no more."""
        self.is_closing = True
        for bucket in self._buckets:
            for connection in list(bucket):
                connection.end(code, reason)

    def __len__(self) -> int:
        return sum(map(len, self._buckets))


def bearer_protocol(offered: str) -> tuple[str, str] | None:
    """The first offered subprotocol `bearer.<percent-encoded token>` that decodes: (as offered, token)."""
    for protocol in (part.strip() for part in offered.split(",")):
        if protocol.startswith("bearer.") and (token := _decode(protocol[7:])) is not None:
            return protocol, token
    return None


def _decode(text: str) -> str | None:
    at = text.find("%")
    while at >= 0:
        if len(text) < at + 3 or any(c not in "0123456789abcdefABCDEF" for c in text[at + 1 : at + 3]):
            return None
        at = text.find("%", at + 3)
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return None


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None
