"""Automatic containment: when the write-ahead log, the disk or the write rate pass a watermark, writers are shed, the
biggest one first, then everybody who isn't signed in, then all but admins; and let back in once it is calm again.

What it turns on are ordinary switches: an operator sees them, and turns one off like any other, after which containment
keeps its hands off for a while. Every step is recorded with its cause.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pylon.engine.caller import SYSTEM
from pylon.engine.limits.switch import Blocks, Scope
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN
from pylon.signals.logs import Log

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

log = Log("pylon.containment")

BY = "containment"
STEP_SECONDS = 5.0
"""How long a step may take to show before the next one follows."""

CALM_SECONDS = 30.0
"""How long everything must be well below its watermark before writers are let back in."""

HANDS_OFF_SECONDS = 600.0
"""How long nothing is shed after an operator has undone a step."""

EXPIRY_SECONDS = 1800.0
_CALM_SHARE = 0.8


class Level(enum.IntEnum):
    """How far containment has gone."""

    NONE = 0
    TOP_WRITER = 1
    ANONYMOUS = 2
    ALL_BUT_ADMINS = 3


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Beyond which writers are shed; 0 turns one off. The rate is of rows per second."""

    wal_bytes: int = 0
    disk_free_bytes: int = 0
    writes_per_second: float = 0.0


class Containment:
    """Call `look` once a second, on the engine's loop."""

    def __init__(self, engine: Engine, watermarks: Watermarks, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._watermarks = watermarks
        self._clock = clock
        self._stepped_at = float("-inf")
        self._pressed_at = float("-inf")
        self._hands_off_until = float("-inf")
        self._rows: tuple[float, int] | None = None
        self._ours: dict[str, str] = {}
        self.rate = 0.0
        self.level = Level.NONE

    async def look(self) -> None:
        """Measure, and take one step up or all steps down where that is due."""
        now = self._clock()
        self._measure(now)
        await self._notice_operator(now)
        causes = self._causes(1.0)
        if causes:
            self._pressed_at = now
            if (
                self.level < Level.ALL_BUT_ADMINS
                and now - self._stepped_at >= STEP_SECONDS
                and now >= self._hands_off_until
            ):
                self._stepped_at = now
                await self._shed(Level(self.level + 1), causes)
        elif self._causes(_CALM_SHARE):
            self._pressed_at = now
        elif self.level and now - self._pressed_at >= CALM_SECONDS:
            await self._lift()

    def _measure(self, now: float) -> None:
        changes = self._engine.committer.statistics.changes
        if self._rows is not None and now > self._rows[0]:
            self.rate = (changes - self._rows[1]) / (now - self._rows[0])
        self._rows = (now, changes)

    def _causes(self, share: float) -> list[str]:
        """Which watermarks are passed, in words; at a share of each for what is not calm yet."""
        marks = self._watermarks
        found = []
        wal = self._engine.committer.wal_bytes() if marks.wal_bytes else 0
        if marks.wal_bytes and wal > marks.wal_bytes * share:
            found.append(f"the write-ahead log holds {wal >> 20} MB")
        if marks.disk_free_bytes:
            free = self._engine.store.free_bytes()
            if free < marks.disk_free_bytes / share:
                found.append(f"the disk has {free >> 20} MB free")
        if marks.writes_per_second and self.rate > marks.writes_per_second * share:
            found.append(f"{self.rate:.0f} rows are written per second")
        return found

    async def _notice_operator(self, now: float) -> None:
        """A switch of ours that is gone before its time was turned off by somebody who knows better."""
        on = {switch.id for switch in self._engine.switches.current()}
        gone = [identifier for identifier in self._ours if identifier not in on]
        if gone:
            for identifier in gone:
                del self._ours[identifier]
            self._hands_off_until = now + HANDS_OFF_SECONDS
            self.level = Level.NONE if not self._ours else self.level
            log.warning("an operator let writers back in; containment keeps its hands off for a while")

    async def _shed(self, level: Level, causes: list[str]) -> None:
        cause = " and ".join(causes)
        scope, target = Scope.READ_ONLY, ""
        if level is Level.TOP_WRITER:
            found = self._top_writer()
            if found is None:
                self.level = level  # nobody stands out: the next look goes on with everybody who isn't signed in
                self._stepped_at = float("-inf")
                return
            scope, target = found
        elif level is Level.ANONYMOUS:
            scope = Scope.ANONYMOUS
        try:
            switch = await self._engine.switches.turn_on(
                SYSTEM,
                scope,
                target,
                blocks=Blocks.WRITES,
                reason="the server protects itself from too many writes",
                expires_in=EXPIRY_SECONDS,
                retry_after=int(CALM_SECONDS),
                by=BY,
            )
            await self._engine.audit.note(
                SYSTEM, "containment.shed", target or scope.value, level=int(level), cause=cause, switch=switch.id
            )
        except PylonError as error:  # a full disk takes no switch either: say so, and look again
            log.error("containment can't store its switch", code=error.code, cause=cause)
            return
        self._ours[switch.id] = scope.value
        self.level = level
        log.error("writers shed", level=level.name.lower(), target=target, cause=cause)

    def _top_writer(self) -> tuple[Scope, str] | None:
        """The signed-in user who writes most, or the address behind most writes that nobody signed for."""
        talkers = self._engine.gate.talkers
        for user, _ in talkers.users.top(3):
            if user == ADMIN.user_id:
                continue
            if user != "anonymous":
                return Scope.USER, user
            addresses = talkers.addresses.top(1)
            return (Scope.IP, addresses[0][0]) if addresses else None
        return None

    async def _lift(self) -> None:
        for identifier in list(self._ours):
            del self._ours[identifier]
            try:
                await self._engine.switches.turn_off(SYSTEM, identifier, why="calm again")
            except PylonError as error:
                if error.code != "NOT_FOUND":
                    raise
        self.level = Level.NONE
        await self._engine.audit.note(SYSTEM, "containment.lift")
        log.warning("calm again: writers let back in")
