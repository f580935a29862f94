"""What kill-switches mean for live connections.

The whole server or sync off: everybody but admins is told so and closed with 1013, and nobody gets in until it is over
(503 MAINTENANCE). Read-only: a frame, and data flows on. A user or address that is blocked: closed with 1008, and
refused with 403 BLOCKED. A part, such as an entity or a function: a frame to those it concerns (`told`). Changes of an
entity that is off reach admins only; before it is shown again everybody is recycled, and resyncs under a raised log
floor (`engine.limits.switches`), so that no replica keeps a gap.
"""

from __future__ import annotations

from collections.abc import Callable

from pylon.engine.limits.switch import Board, Scope, Switch
from pylon.engine.limits.switches import Switches
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.sync.connection import Connection, not_admin
from pylon.sync.door import Door
from pylon.sync.events import Frames, notice, notices
from pylon.sync.recycling import PER_SECOND, RECONNECT_MS, send_away
from pylon.sync.told import Audience, Predicate, end_frame_of, frame_of, is_part

_CLOSING = (Scope.SERVER, Scope.SYNC, Scope.ANONYMOUS)


class Controls:
    """Follows the switches of one engine at one door."""

    def __init__(self, door: Door, switches: Switches, audience: Audience) -> None:
        self._door = door
        self._switches = switches
        self._audience = audience
        self._told: list[tuple[Switch, Predicate]] = []
        door.gate = self.admit
        door.greet = self.greeting
        switches.subscribe(self.change)
        switches.before_lift(self.recycle)

    def admit(self, identity: Identity, ip: str) -> None:
        """Whether this caller may be connected now. Raises MAINTENANCE, BLOCKED."""
        if self._switches.is_lifting:
            raise PylonError("MAINTENANCE", "An entity is being switched on again", headers={"Retry-After": "1"})
        _check(self._switches.board, identity, ip)

    def greeting(self, identity: Identity, ip: str) -> Frames | None:
        """What somebody who connects is told first; None for nothing."""
        told = [frame_of(switch) for switch, concerns in self._told if concerns(identity, ip)]
        return notices(told) if told else None

    def change(self, before: Board, after: Board) -> None:
        """The switches are others now."""
        door = self._door
        door.hub.withhold(frozenset(s.target for s in after.switches if after.hides(s.target)))
        self._close_those_out(after)
        self._told = [(switch, self._audience.of(switch)) for switch in sorted(after.switches, key=is_part)]
        for switch in after.switches:
            if switch not in before.switches:
                door.announce(frame_of(switch), self._concerned(switch))
        for switch in before.switches:
            if is_part(switch) and not any(_same(switch, other) for other in after.switches):
                door.announce(end_frame_of(switch), self._concerned(switch))
        if _limits(before) and not _limits(after):
            door.announce({"type": "maintenance", "on": False})

    def recycle(self) -> None:
        """Hidden rows are about to be shown again: what clients hold has a gap. They go at once, and come back spread
        over as long as recycling them takes otherwise."""
        connections = [connection for connection in self._door if not_admin(connection)]
        most_ms = max(RECONNECT_MS[1], 1000 * len(connections) // PER_SECOND)
        for connection in connections:
            send_away(connection, most_ms)

    def _concerned(self, switch: Switch) -> Callable[[Connection], bool]:
        concerns = self._audience.of(switch)
        return lambda connection: concerns(connection.credential.identity, connection.ip)

    def _close_those_out(self, board: Board) -> None:
        if board.is_quiet:
            return
        why = next((switch for switch in board.switches if switch.scope in _CLOSING), None)
        told = None if why is None else notice(frame_of(why))
        for connection in self._door:
            try:
                _check(board, connection.credential.identity, connection.ip)
            except PylonError as error:
                if error.code == "BLOCKED":
                    connection.end(1008, "blocked by the operator")
                    continue
                if told is not None:
                    connection.deliver(told)
                connection.end(1013, "maintenance")


def _same(switch: Switch, other: Switch) -> bool:
    return (switch.scope, switch.target) == (other.scope, other.target)


def _check(board: Board, identity: Identity, ip: str) -> None:
    if not board.is_quiet:
        board.check_entry(identity, ip)
        board.check_sync(identity)


def _limits(board: Board) -> bool:
    return not (board.server is None and board.sync is None and board.read_only is None)
