"""One live connection, as the door and an operator see it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from pylon.engine.limits.switch import parse_network
from pylon.model.identity import Identity
from pylon.sync.events import Frames

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
    """One open socket or stream. The door numbers it and notes when it opened."""

    kind: Kind
    credential: Credential
    ip: str
    id: int
    opened_at: float
    sent_events: int
    sent_bytes: int

    @property
    def unsent_bytes(self) -> int:
        """What was delivered and has not left yet."""

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought."""

    def probe(self) -> None:
        """Show that the connection lives, and end it when the peer does not."""

    def end(self, code: int, reason: str) -> None:
        """Send what waits and close with a WebSocket close code."""


Predicate = Callable[[Connection], bool]


class Snapshot(NamedTuple):
    """A connection at one moment, as operators list it. `opened_at` is in Unix seconds."""

    id: int
    kind: Kind
    user: str | None
    ip: str
    is_admin: bool
    opened_at: float
    unsent_bytes: int
    sent_events: int
    sent_bytes: int


def snapshot(connection: Connection) -> Snapshot:
    """This connection now."""
    identity = connection.credential.identity
    return Snapshot(
        connection.id,
        connection.kind,
        identity.user_id,
        connection.ip,
        identity.is_admin,
        connection.opened_at,
        connection.unsent_bytes,
        connection.sent_events,
        connection.sent_bytes,
    )


def everybody(connection: Connection) -> bool:
    """All connections."""
    return True


def not_admin(connection: Connection) -> bool:
    """All connections but those of admins."""
    return not connection.credential.identity.is_admin


def matching(user: str | None, ip: str | None) -> Predicate:
    """Connections of a user, of an address or network, or, given both, of that user from there. Raises INVALID_DATA
    for what is no address."""
    is_there = within(ip) if ip is not None else None

    def matches(connection: Connection) -> bool:
        if user is not None and connection.credential.identity.user_id != user:
            return False
        return is_there is None or is_there(connection.ip)

    return matches


def within(network: str) -> Callable[[str], bool]:
    """Whether an address is this one, or in this network (CIDR). Raises INVALID_DATA."""
    wanted = parse_network(network)

    def is_within(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address in wanted

    return is_within
