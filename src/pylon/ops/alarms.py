"""Alarms inside the process: a figure is past its limit, for how long, and what to do next.

An alarm is raised when its figure has been past `raise_at` for `raise_after` seconds, and cleared when it has been
back behind `clear_at` for `clear_after`: the gap between the two keeps it from flapping. Raising and clearing is logged
and recorded in the audit log. Other rooms add their own:

    alarms.watch(Alarm(name="budget", read=lambda: spent, raise_at=100.0, clear_at=80.0, ...))

Any thread may not: everything here happens on the event loop, once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.signals.metrics import Registry
from pylon.signals.tasks import Task

log = Log("pylon.alarms")

EVALUATE_SECONDS = 1.0
UNRECORDED_MAX = 256
"""Transitions that may wait to be recorded while the store takes nothing; older ones go. The log has told them."""

MAX_ALARMS = 128


class Severity(enum.StrEnum):
    WARNING = "warning"
    """Look at it today."""
    CRITICAL = "critical"
    """Look at it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One figure and its limits. It is bad when high if `raise_at` is above `clear_at`, else when low.

    `text` says what to do next and may name `{value}` and `{threshold}`, written in `unit` (`bytes`, `seconds`, or any
    word); `runbook` is a page and an anchor of this documentation.
    """

    name: str
    read: Callable[[], float]
    raise_at: float
    clear_at: float
    text: str
    runbook: str
    unit: str = ""
    severity: Severity = Severity.WARNING
    raise_after: float = 0.0
    clear_after: float = 10.0

    @property
    def is_bad_when_high(self) -> bool:
        return self.raise_at >= self.clear_at

    def is_past(self, value: float) -> bool:
        """Whether this value is reason to raise."""
        return value >= self.raise_at if self.is_bad_when_high else value <= self.raise_at

    def is_back(self, value: float) -> bool:
        """Whether this value is reason to clear."""
        return value <= self.clear_at if self.is_bad_when_high else value >= self.clear_at


class ActiveAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that is raised; `since` is in Unix seconds."""

    name: str
    severity: Severity
    since: float
    value: float
    threshold: float
    text: str
    runbook: str


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm was raised or cleared."""

    action: str
    alarm: ActiveAlarm


class _Watch:
    __slots__ = ("alarm", "failed", "since", "turning_since", "value")

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm
        self.value = 0.0
        self.since: float | None = None
        self.turning_since: float | None = None
        self.failed = False


class Alarms:
    """The alarms of one server. `clock` is monotonic, `wall` the time of day."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._watches: dict[str, _Watch] = {}
        self._gauges = registry.gauges("pylon_alarm_active", "1 while the alarm is raised.", ("alarm",), MAX_ALARMS)
        self._unrecorded: asyncio.Queue[Transition] = asyncio.Queue(UNRECORDED_MAX)
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self, alarm: Alarm) -> None:
        """Watch one more figure, or the same name under other limits; it starts cleared."""
        if alarm.name not in self._watches and len(self._watches) >= MAX_ALARMS:
            raise ValueError(f"more than {MAX_ALARMS} alarms")
        self._watches[alarm.name] = _Watch(alarm)
        self._gauges.of(alarm.name).value = 0

    def unwatch(self, name: str) -> None:
        """Watch it no more; a no-op for one that isn't watched."""
        if self._watches.pop(name, None) is not None:
            self._gauges.of(name).value = 0

    def active(self) -> list[ActiveAlarm]:
        """What is raised, the critical first, then the oldest."""
        found = [_active(watch) for watch in self._watches.values() if watch.since is not None]
        return sorted(found, key=lambda alarm: (alarm.severity is not Severity.CRITICAL, alarm.since))

    def names(self) -> list[str]:
        """All that are watched."""
        return sorted(self._watches)

    def start(self, engine: Engine) -> None:
        """Evaluate every second on the running loop, and record what changes in the engine's audit log."""
        turns = engine.tasks.add("alarms", EVALUATE_SECONDS)
        self._tasks = [asyncio.create_task(self._run(turns)), asyncio.create_task(self._record(engine))]

    async def stop(self) -> None:
        """Evaluate no more."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def evaluate(self) -> list[Transition]:
        """Look at every figure once; what was raised or cleared by that."""
        now = self._clock()
        transitions = []
        for watch in list(self._watches.values()):
            try:
                watch.value = float(watch.alarm.read())
            except Exception:  # one figure that can't be read must not keep the others from being watched
                if not watch.failed:
                    log.exception("alarm can't be read", alarm=watch.alarm.name)
                watch.failed = True
                continue
            watch.failed = False
            transition = self._turn(watch, now)
            if transition is not None:
                transitions.append(transition)
        return transitions

    def _turn(self, watch: _Watch, now: float) -> Transition | None:
        alarm = watch.alarm
        is_raised = watch.since is not None
        if not (alarm.is_back(watch.value) if is_raised else alarm.is_past(watch.value)):
            watch.turning_since = None
            return None
        if watch.turning_since is None:
            watch.turning_since = now
        if now - watch.turning_since < (alarm.clear_after if is_raised else alarm.raise_after):
            return None
        watch.turning_since = None
        if is_raised:
            told = _active(watch)
            watch.since = None
            self._gauges.of(alarm.name).value = 0
            log.warning("alarm cleared", alarm=told.name, value=told.value, seconds=round(self._wall() - told.since, 1))
            return Transition(action="alarm.clear", alarm=told)
        watch.since = round(self._wall(), 3)
        self._gauges.of(alarm.name).value = 1
        told = _active(watch)
        log.warning("alarm raised", alarm=told.name, severity=told.severity.value, text=told.text, runbook=told.runbook)
        return Transition(action="alarm.raise", alarm=told)

    async def _run(self, task: Task) -> None:
        while True:
            try:
                with task.turn():
                    for transition in self.evaluate():
                        if self._unrecorded.full():
                            self._unrecorded.get_nowait()
                        self._unrecorded.put_nowait(transition)
            except Exception:  # a supervised boundary: the next second looks again
                log.exception("alarms failed")
            await asyncio.sleep(EVALUATE_SECONDS)

    async def _record(self, engine: Engine) -> None:
        """Into the audit log, one after the other; apart from evaluating, because a store in trouble is slow."""
        while True:
            transition = await self._unrecorded.get()
            alarm = transition.alarm
            try:
                await engine.audit.note(
                    SYSTEM,
                    transition.action,
                    alarm.name,
                    severity=alarm.severity.value,
                    value=alarm.value,
                    threshold=alarm.threshold,
                    since=alarm.since,
                )
            except PylonError as error:
                log.warning("alarm not recorded", alarm=alarm.name, action=transition.action, code=error.code)
            except Exception:  # a supervised boundary: later ones are recorded
                log.exception("alarm not recorded", alarm=alarm.name)


def _active(watch: _Watch) -> ActiveAlarm:
    alarm = watch.alarm
    text = alarm.text.format(value=shown(watch.value, alarm.unit), threshold=shown(alarm.raise_at, alarm.unit))
    return ActiveAlarm(
        name=alarm.name,
        severity=alarm.severity,
        since=watch.since or 0.0,
        value=round(watch.value, 3),
        threshold=alarm.raise_at,
        text=text,
        runbook=alarm.runbook,
    )


def shown(value: float, unit: str) -> str:
    """A figure for people: `300 MB`, `12.5 s`, `120 ms`, `7`."""
    match unit:
        case "bytes":
            return f"{value / 2**20:,.0f} MB"
        case "seconds":
            return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
        case "percent":
            return f"{value:.1f} %"
        case _:
            return f"{value:,.0f}{' ' + unit if unit else ''}"
