"""What kill-switches mean for live connections.

The whole server or sync off: everybody but admins is told so and closed with 1013, and nobody gets in until it is over
(503 MAINTENANCE). Read-only: a frame, and data flows on. A user or address that is blocked: closed with 1008, and
refused with 403 BLOCKED. An entity: a frame, and its changes reach admins only; before it is shown again everybody is
recycled, and resyncs under a raised log floor (`engine.limits.switches`), so that no replica keeps a gap.
"""

from __future__ import annotations

from typing import Any

from pylon.engine.limits.switch import Board, Scope, Switch
from pylon.engine.limits.switches import Switches
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.sync.connection import not_admin
from pylon.sync.door import Door
from pylon.sync.events import notice, notices
from pylon.sync.recycling import PER_SECOND, RECONNECT_MS, send_away

_CLOSING = (Scope.SERVER, Scope.SYNC, Scope.ANONYMOUS)


class Controls:
    """Follows the switches of one engine at one door."""

    def __init__(self, door: Door, switches: Switches) -> None:
        self._door = door
        self._switches = switches
        door.gate = self.admit
        switches.subscribe(self.change)
        switches.before_lift(self.recycle)

    def admit(self, identity: Identity, ip: str) -> None:
        """Whether this caller may be connected now. Raises MAINTENANCE, BLOCKED."""
        if self._switches.is_lifting:
            raise PylonError("MAINTENANCE", "An entity is being switched on again", headers={"Retry-After": "1"})
        _check(self._switches.board, identity, ip)

    def change(self, before: Board, after: Board) -> None:
        """The switches are others now."""
        door = self._door
        door.hub.withhold(frozenset(s.target for s in after.switches if after.hides(s.target)))
        self._close_those_out(after)
        told, told_before = _told(after), _told(before)
        door.greeting = notices([_frame(switch) for switch in told]) if told else None
        for switch in told:
            if switch not in told_before:
                door.announce(_frame(switch), not_admin)
        for switch in told_before:
            if switch.scope is Scope.ENTITY and not any(_same(switch, other) for other in told):
                on_again = {"type": "switch", "on": False, "scope": switch.scope.value, "target": switch.target}
                door.announce(on_again, not_admin)
        if _limits(before) and not _limits(after):
            door.announce({"type": "maintenance", "on": False})

    def recycle(self) -> None:
        """Hidden rows are about to be shown again: what clients hold has a gap. They go at once, and come back spread
        over as long as recycling them takes otherwise."""
        connections = [connection for connection in self._door if not_admin(connection)]
        most_ms = max(RECONNECT_MS[1], 1000 * len(connections) // PER_SECOND)
        for connection in connections:
            send_away(connection, most_ms)

    def _close_those_out(self, board: Board) -> None:
        if board.is_quiet:
            return
        why = next((switch for switch in board.switches if switch.scope in _CLOSING), None)
        told = None if why is None else notice(maintenance_frame(why))
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


def maintenance_frame(switch: Switch) -> dict[str, Any]:
    """What clients are told of a switch that is on; `until` is in Unix seconds, null where that is open."""
    return {
        "type": "maintenance",
        "on": True,
        "scope": switch.scope.value,
        "reason": switch.reason,
        "retry_after": switch.retry_after,
        "until": switch.expires_at or None,
    }


def switch_frame(switch: Switch) -> dict[str, Any]:
    """What clients are told of an entity that is off: `blocks` is `all`, or `writes` where its rows still arrive."""
    return maintenance_frame(switch) | {"type": "switch", "target": switch.target, "blocks": switch.blocks.value}


def _frame(switch: Switch) -> dict[str, Any]:
    return switch_frame(switch) if switch.scope is Scope.ENTITY else maintenance_frame(switch)


def _told(board: Board) -> list[Switch]:
    """The switches that connected clients are told of and live on with."""
    entities = [switch for switch in board.switches if switch.scope is Scope.ENTITY]
    return entities if board.read_only is None else [board.read_only, *entities]


def _same(switch: Switch, other: Switch) -> bool:
    return (switch.scope, switch.target) == (other.scope, other.target)


def _check(board: Board, identity: Identity, ip: str) -> None:
    if not board.is_quiet:
        board.check_entry(identity, ip)
        board.check_sync(identity)


def _limits(board: Board) -> bool:
    return not (board.server is None and board.sync is None and board.read_only is None)
