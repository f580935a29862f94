"""The app's rules for rooms, kept while somebody is in (docs/guide/rooms.md).

A session is let into a room by a *pass*: the rule said yes, and what it read is known. The rule is asked again when a
change touches that, when the session's identity changes, and when a flag does; a pass that is lost takes the session's
sockets out of the room, and its user if he came by no other. Admins need none, and an app without rules has none.

Changes behind a rule's snapshot are held until its pass is there, so none falls between the two. Rules are asked again
one after another, with rests, so a row that changes all the time costs a part of one reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from pylon.compute.dependencies import Dependencies
from pylon.compute.reads import Read
from pylon.compute.recorder import Recorder
from pylon.engine.caller import Caller
from pylon.engine.plan import denied
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync import room_frames
from pylon.sync.connection import Credential
from pylon.sync.room_data import check_name
from pylon.sync.rooms import SESSIONS, Rooms

log = Log("pylon.sync")

DEBOUNCE_SECONDS = 0.05
"""What asking again waits after the first change, for others to join."""

REST = 3.0
LONGEST_REST = 5.0
"""It rests this many times as long as it took, in seconds at most; a changed identity is looked at without a rest."""

TRIES = 5
"""How often a rule that can't be asked now is asked again, before its pass is lost."""

IDENTITIES = 3
"""How many identities of a session are asked about when it changes meanwhile."""

HELD_CHANGES = 2000


class Rules(Protocol):
    """What the app says of rooms."""

    @property
    def are_declared(self) -> bool:
        """Whether it says anything."""

    async def admits(self, caller: Caller, room: str, recorder: Recorder) -> bool:
        """Whether a caller may be in a room."""


class Pass:
    """One session's right to be in one room as one user; `seq` is the newest change that it takes into account."""

    __slots__ = ("asks_flags", "caller", "failures", "reads", "room", "seq", "user")

    def __init__(self, room: str, caller: Caller, recorder: Recorder) -> None:
        self.room = room
        self.user = caller.identity.user_id or ""
        self.caller = caller
        self.seq = recorder.seq
        self.reads: list[Read] = recorder.reads
        self.asks_flags = recorder.flags
        self.failures = 0

    @property
    def session(self) -> bytes | None:
        """By which session."""
        return self.caller.session


class RoomGuard:
    """The passes of one process, on its event loop. `current` says what a session stands for now; `is_on` that the app
    says anything of rooms."""

    def __init__(
        self,
        rooms: Rooms,
        rules: Rules,
        *,
        current: Callable[[bytes], Credential] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rooms = rooms
        self._rules = rules
        self.is_on = rules.are_declared
        self._current = current
        self._clock = clock
        self._passes: dict[tuple[str, str], dict[bytes | None, Pass]] = {}
        self._sessions: dict[bytes, set[Pass]] = {}
        self._dependencies: Dependencies[Pass] = Dependencies()
        self._asking = 0
        self._held: deque[Change] = deque()
        self._lost = -1
        self._due: dict[Pass, None] = {}
        self._news, self._urgent = asyncio.Event(), asyncio.Event()
        self.denied = self.asked_again = self.lost = 0
        if self.is_on:
            rooms.gone = self._gone

    def __len__(self) -> int:
        return sum(map(len, self._passes.values()))

    # -- who comes -----------------------------------------------------------------------------------------------

    async def join(self, caller: Caller, room: str, data: Any, user: str) -> list[room_frames.Peer]:
        """Enter as `Rooms.join`, if the app lets the caller. Raises POLICY_DENIED, and what that raises."""
        if not self.is_on or caller.identity.is_admin:
            return self.rooms.join(caller, room, data, user)
        check_name(self.rooms.limits, room, "room")
        self.rooms.admit(caller)  # asking has a price, whatever the answer
        found = await self._asked(caller, room)
        peers = self.rooms.join(caller, room, data, user)
        self._keep(found)
        return peers

    def must_ask(self, caller: Caller, room: str, user: str) -> bool:
        """Whether the app has yet to say if this session, as it is now, may be in a room that its user is in."""
        if not self.is_on or caller.identity.is_admin or caller.identity.user_id != user:
            return False
        found = self._passes.get((room, user), {}).get(caller.session)
        return (found is None or found.caller.identity != caller.identity) and self.rooms.has(room, user)

    async def admits(self, caller: Caller, room: str, user: str) -> bool:
        """Whether a session counts as in a room that its user is in, by this session or another."""
        if not self.must_ask(caller, room, user):
            return True
        try:
            found = await self._asked(caller, room)
        except PylonError as error:
            if error.code == "POLICY_DENIED":
                return False
            raise
        if self.rooms.has(room, user):
            self._keep(found)
        return True

    async def _asked(self, caller: Caller, room: str) -> Pass:
        """A pass that is good now: the session may have ended, or be another's, while the rule was asked."""
        for _ in range(IDENTITIES):
            recorder = Recorder()
            self._asking += 1
            try:
                is_in = await self._rules.admits(caller, room, recorder)
            finally:
                self._asking -= 1
            if not is_in:
                break
            found = Pass(room, caller, recorder)
            now = self._as_now(found)
            if now is None:
                break
            if now.identity == caller.identity:
                return found
            caller = now
        self.denied += 1
        raise denied()

    # -- passes --------------------------------------------------------------------------------------------------

    def _keep(self, found: Pass) -> None:
        passes = self._passes.setdefault((found.room, found.user), {})
        if (before := passes.get(found.session)) is not None:
            self._drop(before)
            passes = self._passes.setdefault((found.room, found.user), {})
        passes[found.session] = found
        if found.session is not None:
            self._sessions.setdefault(found.session, set()).add(found)
        self._dependencies.put(found, found.reads)
        if found.seq < self._lost or any(
            change.seq > found.seq and any(read.touched_by(change) for read in found.reads)
            for change in self._held
            if change.entity in {read.entity for read in found.reads}
        ):
            self._ask_again([found])
        if len(passes) > SESSIONS:
            self._send_out(next(iter(passes.values())), "NOT_IN_ROOM")

    def _drop(self, gone: Pass) -> None:
        passes = self._passes.get((gone.room, gone.user), {})
        if passes.get(gone.session) is gone:
            del passes[gone.session]
            if not passes:
                del self._passes[gone.room, gone.user]
        if gone.session is not None and (others := self._sessions.get(gone.session)) is not None:
            others.discard(gone)
            if not others:
                del self._sessions[gone.session]
        self._dependencies.drop(gone)
        self._due.pop(gone, None)

    def _gone(self, room: str, user: str) -> None:
        for gone in list(self._passes.get((room, user), {}).values()):
            self._drop(gone)

    def _send_out(self, gone: Pass, code: str) -> None:
        self.lost += 1
        self._drop(gone)
        self.rooms.exclude(gone.room, gone.user, gone.session, code)

    # -- what may take one ---------------------------------------------------------------------------------------

    def changed(self, changes: list[Change]) -> None:
        """These were committed."""
        if not self.is_on:
            return
        if self._asking:
            self._held.extend(changes)
            while len(self._held) > HELD_CHANGES:
                self._lost = self._held.popleft().seq
        else:
            self._held.clear()
        if not self._dependencies:
            return
        for change in changes:
            self._ask_again(found for found in self._dependencies.touched_by(change) if found.seq < change.seq)

    def reidentified(self, sessions: Iterable[bytes], users: Iterable[str]) -> None:
        """The identity of these sessions, and of these users' sessions, may have changed."""
        if not self._passes:
            return
        found = [each for session in sessions for each in self._sessions.get(session, ())]
        for user in users:
            for room, _ in self.rooms.of(user):
                found += self._passes.get((room, user), {}).values()
        self._ask_again(found)
        self._urgent.set()

    def reidentified_all(self) -> None:
        """Any session's may have."""
        self._ask_again([found for passes in self._passes.values() for found in passes.values()])
        self._urgent.set()

    def revoked(self, sessions: Iterable[bytes]) -> None:
        """These sessions are over."""
        for session in sessions:
            for gone in list(self._sessions.get(session, ())):
                self._send_out(gone, "NOT_IN_ROOM")

    def flags_changed(self) -> None:
        """A feature flag may be another."""
        self._ask_again([found for passes in self._passes.values() for found in passes.values() if found.asks_flags])

    def _ask_again(self, passes: Iterable[Pass]) -> None:
        before = len(self._due)
        self._due.update(dict.fromkeys(passes))
        if len(self._due) > before:
            self._news.set()

    async def run(self) -> None:
        """Ask again what is due, until cancelled."""
        while True:
            await self._news.wait()
            await self._sleep(DEBOUNCE_SECONDS)
            self._news.clear()
            self._urgent.clear()
            began = self._clock()
            due, self._due = self._due, {}
            for found in due:
                try:
                    await self._judge(found)
                except Exception:  # a supervised boundary: what can't be asked is not allowed, and the others are asked
                    log.exception("a room's rule could not be asked again")
                    self._send_out(found, "POLICY_DENIED")
            await self._sleep(min(REST * (self._clock() - began), LONGEST_REST))

    async def _sleep(self, seconds: float) -> None:
        """Until this much has passed, or something urgent comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()

    async def _judge(self, found: Pass) -> None:
        if self._passes.get((found.room, found.user), {}).get(found.session) is not found:
            return
        self.asked_again += 1
        caller = self._as_now(found)
        if caller is None:
            self._send_out(found, "NOT_IN_ROOM")
            return
        if caller.identity.is_admin:
            return
        try:
            fresh = await self._asked(caller, found.room)
        except PylonError as error:
            if error.code != "POLICY_DENIED" and found.failures < TRIES:
                found.failures += 1
                asyncio.get_running_loop().call_later(2.0**found.failures / 8, self._ask_again, [found])
            else:
                self._send_out(found, "POLICY_DENIED")
            return
        if self._passes.get((found.room, found.user), {}).get(found.session) is found:
            self._keep(fresh)

    def _as_now(self, found: Pass) -> Caller | None:
        """The caller as the session's identity is now; None when it is over or somebody else's."""
        if found.session is None or self._current is None:
            return found.caller
        credential = self._current(found.session)
        if credential.key is None or credential.identity.user_id != found.user:
            return None
        return msgspec.structs.replace(found.caller, identity=credential.identity)
