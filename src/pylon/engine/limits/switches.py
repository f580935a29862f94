"""Which switches are on: stored with the data, so that they survive restarts and reach every process in a quarter of a
second; or named in the file `maintenance` of the data folder, for when the API does not answer.

Lifting a switch that hid an entity takes care that no replica keeps a gap. While rows were hidden, cursors went past
their changes; so before the switch goes, connections end, and with its record the log's floor rises, which makes every
cursor given out meanwhile resync. `is_lifting` is true in between, and nobody may connect or pull.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.limits.switch import (
    DEFAULT_RETRY_SECONDS,
    GRADED,
    QUIET,
    TARGETED,
    Blocks,
    Board,
    Scope,
    Switch,
    parse_network,
)
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

log = Log("pylon.switches")

KIND = "switch"
FILE_NAME = "maintenance"
REFRESH_SECONDS = 0.25
MAX_SWITCHES = 1000
_MAX_REASON = 500
_MAX_FILE_BYTES = 65_536

OnChange = Callable[[Board, Board], None]


class FileSwitch(msgspec.Struct, kw_only=True):
    """A switch as the file writes it."""

    scope: Scope = Scope.SERVER
    target: str = ""
    blocks: Blocks = Blocks.ALL
    reason: str = ""
    retry_after: int = DEFAULT_RETRY_SECONDS


class Switches:
    """The switches of one engine. Use on its loop."""

    def __init__(self, engine: Engine, file: Path | None) -> None:
        self._engine = engine
        self._file = file
        self._file_text: bytes | None = None
        self._from_file: list[Switch] = []
        self._recording: set[asyncio.Task[None]] = set()
        self._stored: list[tuple[str, bytes]] = []
        self._on_change: list[OnChange] = []
        self._before_lift: list[Callable[[], None]] = []
        self._changing = asyncio.Lock()
        self.board: Board = QUIET
        self.is_lifting = False

    def subscribe(self, callback: OnChange) -> None:
        """Call back with the boards before and after each change."""
        self._on_change.append(callback)

    def before_lift(self, callback: Callable[[], None]) -> None:
        """Call back before hidden rows are shown again: connections must end."""
        self._before_lift.append(callback)

    def current(self) -> tuple[Switch, ...]:
        """The switches that are on, oldest first."""
        return self.board.switches

    async def turn_on(
        self,
        caller: Caller,
        scope: Scope,
        target: str = "",
        *,
        blocks: Blocks = Blocks.ALL,
        reason: str = "",
        expires_in: float | None = None,
        retry_after: int = DEFAULT_RETRY_SECONDS,
        by: str | None = None,
    ) -> Switch:
        """Turn a switch on, durably and recorded; one on the same thing is replaced. Raises INVALID_DATA."""
        target = self._checked_target(scope, target)
        if len(self.board.switches) >= MAX_SWITCHES:
            raise PylonError("INVALID_DATA", f"{MAX_SWITCHES} switches are on already: turn some off first")
        now = self._engine.clock()
        switch = Switch(
            id=f"sw_{secrets.token_hex(6)}",
            scope=scope,
            target=target,
            blocks=blocks if scope in GRADED else Blocks.ALL,
            reason=reason[:_MAX_REASON],
            by=by or caller.identity.user_id or "",
            created_at=now,
            expires_at=0.0 if not expires_in else now + expires_in,
            retry_after=max(1, min(retry_after, 86_400)),
        )
        replaced = [s for s in self.board.switches if (s.scope, s.target) == (scope, target) and s.id.startswith("sw_")]

        def store(transaction: Transaction) -> None:
            for old in replaced:
                transaction.session.delete_record(KIND, old.id)
            transaction.session.put_record(KIND, switch.id, msgspec.json.encode(switch))
            transaction.note("switch.on", _named(switch), **_details(switch))

        async with self._changing:
            if any(_hides(s) for s in replaced) and not _hides(switch):
                await self._lift(caller, store)
            else:
                await self._engine.run(caller, store, authority=Authority.TRUSTED)
        await self.refresh()
        log.warning("switch on", switch=_named(switch), reason=switch.reason, by=switch.by)
        return switch

    async def turn_off(self, caller: Caller, switch_id: str, *, why: str = "") -> Switch:
        """Turn a switch off. Raises NOT_FOUND, and CONFLICT for one that the file names."""
        found = next((s for s in self.board.switches if s.id == switch_id), None)
        if found is None:
            raise PylonError("NOT_FOUND", "No such switch is on")
        if self._is_from_file(found):
            raise PylonError(
                "CONFLICT",
                f"This switch is set by the file {FILE_NAME!r} in the data folder: remove the file",
                hint="`pylon maintenance off` on that machine removes it.",
            )
        await self._turn_off(caller, [found], why)
        return found

    async def refresh(self) -> None:
        """Take up what changed in the store or the file, and turn off what has expired."""
        stored = self._engine.reads.records(KIND)
        file_text = self._read_file() if self._file is not None else None
        now = self._engine.clock()
        switches = [msgspec.json.decode(record, type=Switch) for _, record in stored]
        expired = [switch for switch in switches if not switch.is_on(now)]
        if expired:
            await self._turn_off(SYSTEM, expired, "expired")
            return
        if stored == self._stored and file_text == self._file_text:
            return
        was_in_file = self._from_file
        if file_text != self._file_text:
            self._from_file = _parse_file(file_text, now)
        from_file = self._from_file
        after = Board(sorted([*switches, *from_file], key=lambda s: s.created_at), self._engine.clock)
        if file_text != self._file_text and any(
            self.board.hides(name) and not after.hides(name) for name in self._engine.plans
        ):
            async with self._changing:
                await self._lift(SYSTEM, lambda tx: None)
        self._stored, self._file_text = stored, file_text
        self._show(after)
        if from_file is not was_in_file:
            self._record_file(was_in_file, from_file)

    def _record_file(self, before: Sequence[Switch], after: Sequence[Switch]) -> None:
        """Record what the file turned off and on. It works when the store does not, so nothing waits for that."""
        for switch in after:
            log.warning("switch on", switch=_named(switch), reason=switch.reason, by=switch.by)

        def store(transaction: Transaction) -> None:
            for action, switches in (("switch.off", before), ("switch.on", after)):
                for switch in switches:
                    transaction.note(action, _named(switch), **_details(switch))

        async def record() -> None:
            try:
                await self._engine.run(SYSTEM, store, authority=Authority.TRUSTED)
            except Exception:  # a supervised boundary: the switches themselves are in force
                log.exception("switches of the file are not in the audit log", file=FILE_NAME)

        task = asyncio.create_task(record())
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _turn_off(self, caller: Caller, switches: Sequence[Switch], why: str) -> None:
        def store(transaction: Transaction) -> None:
            for switch in switches:
                if transaction.session.delete_record(KIND, switch.id):
                    transaction.note("switch.off", _named(switch), **_details(switch), why=why)

        async with self._changing:
            if any(_hides(switch) for switch in switches):
                await self._lift(caller, store)
            else:
                await self._engine.run(caller, store, authority=Authority.TRUSTED)
        for switch in switches:
            log.warning("switch off", switch=_named(switch), why=why)
        await self.refresh()
        self.is_lifting = False

    async def _lift(self, caller: Caller, store: Callable[[Transaction], None]) -> None:
        """Show hidden rows again; `refresh` follows and ends the lifting."""

        def lift(transaction: Transaction) -> None:
            store(transaction)
            transaction.session.raise_log_floor()

        self.is_lifting = True
        try:
            for callback in self._before_lift:
                callback()
            await self._engine.run(caller, lift, authority=Authority.TRUSTED)
        except BaseException:
            self.is_lifting = False
            raise

    def _show(self, after: Board) -> None:
        before, self.board = self.board, after
        self.is_lifting = False
        for callback in self._on_change:
            try:
                callback(before, after)
            except Exception:  # one listener's failure must not keep the switch from the others
                log.exception("switch listener failed")

    def _checked_target(self, scope: Scope, target: str) -> str:
        app = self._engine.app
        if scope not in TARGETED:
            if target:
                raise PylonError("INVALID_DATA", f"a switch on {scope.value} has no target")
            return ""
        if not target or len(target) > 255:
            raise PylonError("INVALID_DATA", f"a switch on {scope.value} needs a target of at most 255 characters")
        if scope is Scope.IP:
            network = parse_network(target)
            return str(network.network_address) if network.num_addresses == 1 else str(network)
        if scope is Scope.ENTITY and app.entity(target) is None:
            raise PylonError("ENTITY_NOT_FOUND", f'Unknown entity: "{target[:100]}"')
        if scope is Scope.FUNCTION:
            function = next((f for f in app.functions if target == f.name or target in f.aliases), None)
            if function is None:
                raise PylonError("FN_NOT_FOUND", f'Function "{target[:100]}" is not registered')
            return function.name
        return target

    def _read_file(self) -> bytes | None:
        assert self._file is not None
        try:
            with self._file.open("rb") as file:
                return file.read(_MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError:  # there, but not readable: somebody wants maintenance
            return b""

    @staticmethod
    def _is_from_file(switch: Switch) -> bool:
        return switch.id.startswith("file_")


def _parse_file(text: bytes | None, now: float) -> list[Switch]:
    """The switches that the file asks for. Empty or any text is maintenance of the whole server, the text its reason;
    a JSON object or array says more. JSON that is wrong counts as text: in doubt the server is closed."""
    if text is None:
        return []
    wanted: list[FileSwitch]
    try:
        found = msgspec.json.decode(text, type=FileSwitch | list[FileSwitch])
        wanted = found if isinstance(found, list) else [found]
    except msgspec.MsgspecError:
        wanted = [FileSwitch(reason=text.decode("utf-8", "replace").strip()[:_MAX_REASON])]
    return [
        Switch(
            id=f"file_{index}",
            scope=switch.scope,
            target=switch.target,
            blocks=switch.blocks,
            reason=switch.reason,
            by="file",
            created_at=now,
            retry_after=switch.retry_after,
        )
        for index, switch in enumerate(wanted)
    ]


def _hides(switch: Switch) -> bool:
    return switch.scope is Scope.ENTITY and switch.blocks is Blocks.ALL


def _named(switch: Switch) -> str:
    return f"{switch.scope.value}:{switch.target}" if switch.target else switch.scope.value


def _details(switch: Switch) -> dict[str, str | float]:
    details: dict[str, str | float] = {"id": switch.id, "blocks": switch.blocks.value, "by": switch.by}
    if switch.reason:
        details["reason"] = switch.reason
    if switch.expires_at:
        details["expires_at"] = switch.expires_at
    return details
