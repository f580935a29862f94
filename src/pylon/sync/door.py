"""What every live connection goes through: who it is, whether it may open one more, and when it must go."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

from pylon.model.addresses import client_address
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.plugins.host import Plugins
from pylon.sync.connection import Connection, Credential, Kind, Predicate, Snapshot, everybody, matching, snapshot
from pylon.sync.events import Frames, notice
from pylon.sync.hub import Hub
from pylon.sync.messages import Messages
from pylon.sync.recycling import recycle, seconds_for
from pylon.sync.refusal import crowded
from pylon.sync.subset import Subset

PING_BUCKETS = 25
"""Connections are looked at in this many portions, so that no turn pings them all."""

MAX_PARAMETERS = 100

Gate = Callable[[Identity, str], None]
"""Raises why somebody at an address may not connect now."""


ParseSubset = Callable[[str, Identity], Subset | None]
"""What a `scope` asks for; raises INVALID_SCOPE."""


Greet = Callable[[Identity, str], Frames | None]
"""What somebody at an address is told on connecting."""


def _open_gate(identity: Identity, ip: str) -> None:
    """Everybody is welcome."""


def _no_greeting(identity: Identity, ip: str) -> None:
    """Nobody is told anything."""


class Door:
    """The live door of one server. `trusted_origin(origin, host)` says whether a page may use its cookie; `gate` turns
    away whom an operator keeps out, `greet` says what others are sent first, and when they become somebody else.
    `plugins` are asked before a connection opens (`handshake.py`); None where none of them wants to be."""

    def __init__(
        self,
        hub: Hub,
        resolve: Callable[[str | None], Credential],
        *,
        cookie_name: str,
        trusted_origin: Callable[[str, str], bool],
        proxy_hops: int = 0,
        per_ip: int = 64,
        per_user: int = 32,
        max_frame: int = 16 * 2**20,
        max_buffer: int = 4 * 2**20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hub = hub
        self.messages = Messages()
        self.max_frame = max_frame
        self.max_buffer = max_buffer
        self._resolve = resolve
        self._cookie_name = cookie_name
        self._trusted_origin = trusted_origin
        self._hops = proxy_hops
        self._per_ip = per_ip
        self._per_user = per_user
        self._clock = clock
        self._buckets: list[set[Connection]] = [set() for _ in range(PING_BUCKETS)]
        self._next_bucket = 0
        self._addresses: dict[str, int] = {}
        self._users: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._bouncing: asyncio.Task[None] | None = None
        self.gate: Gate = _open_gate
        self.greet: Greet = _no_greeting
        self.parse_subset: ParseSubset = _no_subset
        self.plugins: Plugins | None = None
        self._sessions: dict[bytes, set[Connection]] = {}
        self.is_closing = False
        self._current: Callable[[bytes], Credential] | None = None
        self.open: dict[Kind, int] = {"ws": 0, "sse": 0}
        self.opened: dict[Kind, int] = {"ws": 0, "sse": 0}
        self.slow_consumers = 0
        self.refused = 0

    # -- before accepting ----------------------------------------------------------------------------------------

    def client_ip(self, peer: str, forwarded: str | None) -> str:
        """The client's address: the peer's, or the one that the trusted proxies report."""
        return client_address(peer, forwarded, self._hops)

    def admit(self, ip: str, headers: dict[str, str], token: str | None = None) -> Credential:
        """Who may now open a connection from this address; `credential` says where the token comes from. Raises
        SHUTTING_DOWN, RATE_LIMITED, and what the gate says."""
        if self.is_closing:
            raise PylonError("SHUTTING_DOWN", "The server is stopping", headers={"Retry-After": "1"})
        if self._per_ip and self._addresses.get(ip, 0) >= self._per_ip:
            self.refused += 1
            raise crowded("from this address")
        credential = self.credential(headers, token)
        user = credential.identity.user_id
        if user is not None and self._per_user and self._users.get(user, 0) >= self._per_user:
            self.refused += 1
            raise crowded("of this user")
        self.gate(credential.identity, ip)
        return credential

    def subset(self, query: str, identity: Identity) -> Subset | None:
        """What the query of a connect URL asks for, None for everything. Raises INVALID_SCOPE."""
        if "scope=" not in query:
            return None
        try:
            scope = parse_qs(query, max_num_fields=MAX_PARAMETERS).get("scope")
        except ValueError:
            raise PylonError("INVALID_SCOPE", f"A connect URL has at most {MAX_PARAMETERS} parameters") from None
        return None if scope is None else self.parse_subset(scope[0], identity)

    def credential(self, headers: dict[str, str], token: str | None = None) -> Credential:
        """Who the headers of an upgrade or stream prove: Bearer, then the subprotocol (or `token`), then the cookie
        of a trusted origin. Anything else is nobody."""
        authorization = headers.get("authorization", "")
        if authorization[:7].lower() == "bearer ":
            return self._resolve(authorization[7:])
        if token is not None:
            return self._resolve(token)
        origin = headers.get("origin")
        if origin is None or self._trusted_origin(origin, headers.get("host", "")):
            return self._resolve(_cookie(headers.get("cookie", ""), self._cookie_name))
        return self._resolve(None)

    # -- while open ----------------------------------------------------------------------------------------------

    def enter(self, connection: Connection, subset: Subset | None = None) -> None:
        """Count a connection in and subscribe it, to all or to a subset."""
        credential = connection.credential
        connection.id = next(self._numbers)
        connection.opened_at = self._clock()
        self.open[connection.kind] += 1
        self.opened[connection.kind] += 1
        _add(self._addresses, connection.ip)
        if (user := credential.identity.user_id) is not None:
            _add(self._users, user)
        min(self._buckets, key=len).add(connection)
        if (key := credential.key) is not None:
            self._sessions.setdefault(key, set()).add(connection)
        self._greet(connection)
        self.hub.add(connection, credential.identity, subset)

    def leave(self, connection: Connection) -> None:
        """Count a connection out; a no-op the second time."""
        for bucket in self._buckets:
            if connection in bucket:
                bucket.discard(connection)
                break
        else:
            return
        credential = connection.credential
        self.open[connection.kind] -= 1
        self.hub.remove(connection, credential.identity)
        _take(self._addresses, connection.ip)
        if (user := credential.identity.user_id) is not None:
            _take(self._users, user)
        if (key := credential.key) is not None:
            group = self._sessions[key]
            group.discard(connection)
            if not group:
                del self._sessions[key]
        self.messages.left(connection)

    def tick(self) -> None:
        """Look at one portion of the connections: expired sessions end, the others are probed. Call it PING_BUCKETS
        times per ping interval."""
        bucket = self._buckets[self._next_bucket]
        self._next_bucket = (self._next_bucket + 1) % PING_BUCKETS
        now = self._clock()
        for connection in list(bucket):
            expires_at = connection.credential.expires_at
            if expires_at and expires_at <= now and not self._is_prolonged(connection, now):
                connection.end(1008, "session expired")
            else:
                connection.probe()

    def received(self, connection: Connection, text: bytes) -> None:
        """A client's text message (spec 02 §7.3)."""
        self.messages.received(connection, text)

    def revoke(self, keys: Iterable[bytes]) -> None:
        """End the connections of revoked sessions."""
        for key in keys:
            for connection in list(self._sessions.get(key, ())):
                connection.end(1008, "session revoked")

    def identify_by(self, current: Callable[[bytes], Credential]) -> None:
        """Ask this for what a session's key stands for now."""
        self._current = current

    def reidentify(self, keys: set[bytes], users: set[str]) -> None:
        """Look at the connections of these sessions and users again: who is somebody else now, or has other rights, is
        moved to them and told (spec 02 §7); who is nobody any more is ended."""
        found = set(keys)
        if users:
            for key, group in self._sessions.items():
                if any(connection.credential.identity.user_id in users for connection in group):
                    found.add(key)
        for key in found:
            if key in self._sessions and self._current is not None:
                self._reidentify(key, self._current(key))

    def reidentify_all(self) -> None:
        """The same for every connection that has a session."""
        self.reidentify(set(self._sessions), set())

    def _reidentify(self, key: bytes, fresh: Credential) -> None:
        for connection in list(self._sessions.get(key, ())):
            before = connection.credential
            if fresh.key is None:
                connection.end(1008, "session revoked")
                continue
            if fresh.identity == before.identity:
                connection.credential = fresh
                continue
            had = self.hub.sent_up_to(connection, before.identity)
            if connection not in self._sessions.get(key, ()):
                continue  # it couldn't keep up
            connection.credential = fresh
            if before.identity.user_id is not None:
                _take(self._users, before.identity.user_id)
            if fresh.identity.user_id is not None:
                _add(self._users, fresh.identity.user_id)
            subset = self.hub.subset_of(connection)
            self.hub.remove(connection, before.identity)
            connection.deliver(notice({"type": "session-changed", "tenant_id": fresh.identity.tenant_id}))
            if subset is not None and fresh.identity.is_admin != before.identity.is_admin:
                connection.end(1012, "rights changed: connect again")  # a subset may name other fields then
                continue
            self._greet(connection)
            self.hub.add(connection, fresh.identity, subset, had)  # nothing comes a second time
            self.messages.moved(connection)

    def _greet(self, connection: Connection) -> None:
        if (greeting := self.greet(connection.credential.identity, connection.ip)) is not None:
            connection.deliver(greeting)

    def _is_prolonged(self, connection: Connection, now: float) -> bool:
        """Whether the session lives on: it was used elsewhere since this connection opened."""
        key = connection.credential.key
        if key is None or self._current is None:
            return False
        fresh = self._current(key)
        if fresh.key is None or (fresh.expires_at and fresh.expires_at <= now):
            return False
        self._reidentify(key, fresh)
        return True

    def close(self, code: int, reason: str) -> None:
        """End all connections and take no more."""
        self.is_closing = True
        if self._bouncing is not None:
            self._bouncing.cancel()
        self.end_where(everybody, code, reason)

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def __iter__(self) -> Iterator[Connection]:
        """The connections as they are now: the loop's body may end some."""
        return iter([connection for bucket in self._buckets for connection in bucket])

    def __contains__(self, connection: Connection) -> bool:
        return any(connection in bucket for bucket in self._buckets)

    # -- what an operator does -----------------------------------------------------------------------------------

    def connections(self, where: Predicate = everybody) -> list[Snapshot]:
        """What is open, oldest first."""
        return sorted(snapshot(connection) for connection in self if where(connection))

    @property
    def unsent_bytes(self) -> int:
        """What all connections have not sent yet."""
        return sum(connection.unsent_bytes for connection in self)

    def announce(self, payload: dict[str, Any], where: Predicate = everybody) -> int:
        """Send one frame that is not data to these connections; how many they were."""
        frames = notice(payload)
        reached = [connection for connection in self if where(connection)]
        for connection in reached:
            connection.deliver(frames)
        return len(reached)

    def end_where(self, where: Predicate, code: int, reason: str, *, frame: dict[str, Any] | None = None) -> int:
        """End these connections, each told why by a frame first if there is one; how many they were."""
        frames = None if frame is None else notice(frame)
        ended = [connection for connection in self if where(connection)]
        for connection in ended:
            if frames is not None:
                connection.deliver(frames)
            connection.end(code, reason)
        return len(ended)

    def kick(self, *, user: str | None = None, ip: str | None = None) -> int:
        """End the connections of a user, of an address or network (CIDR), or of that user from there; how many they
        were. They may come back. Raises INVALID_DATA."""
        if user is None and ip is None:
            raise PylonError("INVALID_DATA", "name a user or an address")
        return self.end_where(matching(user, ip), 1008, "ended by an operator")

    def bounce(self, seconds: float | None = None) -> tuple[int, float]:
        """Recycle every connection that is open now, spread over these seconds, by default at most 500 a second; new
        ones are taken meanwhile. How many they are, and the seconds."""
        connections = list(self)
        span = seconds_for(len(connections)) if seconds is None else seconds
        if self._bouncing is not None:
            self._bouncing.cancel()  # those it had left are among these
        self._bouncing = asyncio.create_task(recycle(connections, span, self.__contains__))
        return len(connections), span


def _no_subset(scope: str, identity: Identity) -> Subset | None:
    raise PylonError("INVALID_SCOPE", "scope: this door sends everything")


def _add(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _take(counts: dict[str, int], key: str) -> None:
    if (left := counts[key] - 1) > 0:
        counts[key] = left
    else:
        del counts[key]


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
