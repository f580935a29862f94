"""Kill-switches as values, and the board: all that are on, compiled so that asking costs a lookup.

Scopes: the whole `server`; `read-only` (no writes); one `entity`, `function`, `user`, `ip` (address or network) or
`auth` method; `sync`, `uploads`; writes of `anonymous` callers. Admins and health checks pass them all, so that whoever
turned one on can turn it off.
"""

from __future__ import annotations

import enum
import ipaddress
import time
from collections.abc import Callable, Sequence

import msgspec

from pylon.engine.limits.waiting import spread
from pylon.model.errors import PylonError
from pylon.model.identity import Identity

DEFAULT_RETRY_SECONDS = 30


class Scope(enum.StrEnum):
    """What a switch turns off."""

    SERVER = "server"
    READ_ONLY = "read-only"
    ENTITY = "entity"
    FUNCTION = "function"
    USER = "user"
    IP = "ip"
    AUTH = "auth"
    SYNC = "sync"
    UPLOADS = "uploads"
    ANONYMOUS = "anonymous"


class Blocks(enum.StrEnum):
    """Whether a switch on an entity, a user or an address stops everything or writes only."""

    ALL = "all"
    WRITES = "writes"


TARGETED = frozenset({Scope.ENTITY, Scope.FUNCTION, Scope.USER, Scope.IP, Scope.AUTH})
GRADED = frozenset({Scope.ENTITY, Scope.USER, Scope.IP, Scope.ANONYMOUS})
"""Scopes that `blocks` applies to."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """One switch that is on. Times are Unix seconds, `expires_at` 0 for until somebody turns it off; `retry_after` is
    what clients are told, in seconds. `reason` is shown to clients."""

    id: str
    scope: Scope
    target: str = ""
    blocks: Blocks = Blocks.ALL
    reason: str = ""
    by: str = ""
    created_at: float = 0.0
    expires_at: float = 0.0
    retry_after: int = DEFAULT_RETRY_SECONDS

    def is_on(self, now: float) -> bool:
        """Whether it has not expired."""
        return not self.expires_at or self.expires_at > now

    def wait(self, now: float) -> int:
        """Seconds after which trying again makes sense: until it expires, but no longer than `retry_after`."""
        if not self.expires_at:
            return self.retry_after
        return max(1, min(self.retry_after, int(self.expires_at - now) + 1))


class Board:
    """The switches that are on at one moment. Immutable; `is_quiet` when there are none, which is nearly always."""

    __slots__ = (
        "_addresses",
        "_anonymous",
        "_auth",
        "_clock",
        "_entities",
        "_functions",
        "_read_only",
        "_server",
        "_sync",
        "_uploads",
        "_users",
        "is_quiet",
        "switches",
    )

    def __init__(self, switches: Sequence[Switch], clock: Callable[[], float] = time.time) -> None:
        self.switches = tuple(switches)
        self.is_quiet = not self.switches
        self._clock = clock

        def first(scope: Scope) -> Switch | None:
            return next((switch for switch in switches if switch.scope is scope), None)

        def by_target(scope: Scope) -> dict[str, Switch]:
            # Of two switches on the same target the one that blocks more counts.
            chosen: dict[str, Switch] = {}
            for switch in switches:
                if switch.scope is scope and (switch.target not in chosen or switch.blocks is Blocks.ALL):
                    chosen[switch.target] = switch
            return chosen

        self._server = first(Scope.SERVER)
        self._read_only = first(Scope.READ_ONLY)
        self._sync = first(Scope.SYNC)
        self._uploads = first(Scope.UPLOADS)
        self._anonymous = first(Scope.ANONYMOUS)
        self._entities = by_target(Scope.ENTITY)
        self._functions = by_target(Scope.FUNCTION)
        self._users = by_target(Scope.USER)
        self._auth = by_target(Scope.AUTH)
        self._addresses = [(parse_network(s.target), s) for s in by_target(Scope.IP).values()]

    @property
    def server(self) -> Switch | None:
        """The switch on the whole server."""
        return self._server

    @property
    def sync(self) -> Switch | None:
        """The switch on sync: pull, push, sockets and streams."""
        return self._sync

    @property
    def read_only(self) -> Switch | None:
        """The switch on all writes."""
        return self._read_only

    # -- checks: each raises what the caller is told -------------------------------------------------------------

    def check_entry(self, identity: Identity, ip: str) -> None:
        """Whether this caller may come in at all. Raises MAINTENANCE, BLOCKED."""
        if self.is_quiet or identity.is_admin:
            return
        if self._server is not None:
            raise maintenance(self._server, self._clock())
        if self.blocked(identity, ip) is not None:
            raise PylonError("BLOCKED", "Access from here is blocked by the operator")
        if self._anonymous is not None and self._anonymous.blocks is Blocks.ALL and identity.user_id is None:
            raise maintenance(self._anonymous, self._clock())

    def check_write(self, identity: Identity, ip: str) -> None:
        """Whether this caller may write anything. Raises MAINTENANCE, RATE_LIMITED, BLOCKED."""
        if self.is_quiet or identity.is_admin:
            return
        self.check_entry(identity, ip)
        if self._read_only is not None:
            raise maintenance(self._read_only, self._clock())
        switch = self._of(identity, ip)
        if switch is not None or (switch := self._anonymous if identity.user_id is None else None) is not None:
            seconds = spread(switch.wait(self._clock()))
            raise PylonError(
                "RATE_LIMITED",
                "Writes from here are suspended by the operator" + (f": {switch.reason}" if switch.reason else ""),
                headers={"Retry-After": str(seconds)},
                extra={"retry_after_secs": seconds},
            )

    def check_entity(self, entity: str, identity: Identity, *, writing: bool) -> None:
        """Whether an entity may be read, or written. Raises MAINTENANCE."""
        switch = self._entities.get(entity)
        if switch is not None and not identity.is_admin and (writing or switch.blocks is Blocks.ALL):
            raise maintenance(switch, self._clock())

    def hides(self, entity: str) -> bool:
        """Whether rows of an entity are kept from all but admins."""
        switch = self._entities.get(entity)
        return switch is not None and switch.blocks is Blocks.ALL

    def check_function(self, name: str, identity: Identity) -> None:
        """Whether a function may be called. Raises MAINTENANCE."""
        switch = self._functions.get(name)
        if switch is not None and not identity.is_admin:
            raise maintenance(switch, self._clock())

    def check_auth(self, method: str, identity: Identity) -> None:
        """Whether anybody may sign in this way. Raises MAINTENANCE."""
        switch = self._auth.get(method) or self._auth.get("*")
        if switch is not None and not identity.is_admin:
            raise maintenance(switch, self._clock())

    def check_sync(self, identity: Identity) -> None:
        """Whether clients may sync. Raises MAINTENANCE."""
        if self._sync is not None and not identity.is_admin:
            raise maintenance(self._sync, self._clock())

    def check_uploads(self, identity: Identity) -> None:
        """Whether files may be stored. Raises MAINTENANCE."""
        if self._uploads is not None and not identity.is_admin:
            raise maintenance(self._uploads, self._clock())

    def blocked(self, identity: Identity, ip: str) -> Switch | None:
        """The switch that keeps this user or address out altogether."""
        switch = self._of(identity, ip)
        return switch if switch is not None and switch.blocks is Blocks.ALL else None

    def _of(self, identity: Identity, ip: str) -> Switch | None:
        """The switch on this user or address, the stricter one of several."""
        found = self._users.get(identity.user_id) if identity.user_id is not None else None
        if found is not None and found.blocks is Blocks.ALL:
            return found
        if self._addresses:
            address = _parse_address(ip)
            for network, switch in self._addresses:
                if address is not None and address in network and (found is None or switch.blocks is Blocks.ALL):
                    found = switch
        return found


QUIET = Board(())


def maintenance(switch: Switch, now: float) -> PylonError:
    """MAINTENANCE, as clients are told."""
    what = {
        Scope.SERVER: "The server is in maintenance",
        Scope.READ_ONLY: "The server is read-only",
        Scope.ENTITY: f"{switch.target} is switched off",
        Scope.FUNCTION: f"{switch.target} is switched off",
        Scope.AUTH: "This way of signing in is switched off",
        Scope.SYNC: "Sync is switched off",
        Scope.UPLOADS: "Uploads are switched off",
    }.get(switch.scope, "Requests like this are suspended")
    message = f"{what}: {switch.reason}" if switch.reason else f"{what}."
    extra: dict[str, object] = {"scope": switch.scope.value}
    if switch.expires_at:
        extra["until"] = switch.expires_at
    return PylonError("MAINTENANCE", message, headers={"Retry-After": str(switch.wait(now))}, extra=extra)


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or a network in CIDR form. Raises INVALID_DATA."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise PylonError(
            "INVALID_DATA", f"{text[:60]!r} is neither an address nor a network such as 10.0.0.0/8"
        ) from None


def _parse_address(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
