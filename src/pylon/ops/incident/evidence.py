"""The parts of a bundle that a running server can give. Each is one entry of `parts`; what another room offers is one
entry more, made by `document` or `lines`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any

import msgspec

from pylon.engine.audit.records import KINDS
from pylon.engine.audit.search import AuditFilter, Position
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.ops.alarms import Alarms
from pylon.ops.incident import facts
from pylon.ops.incident.book import Book
from pylon.ops.incident.capture import Part, Pieces, Window
from pylon.ops.overview import Overview
from pylon.settings import Settings
from pylon.signals import logs
from pylon.signals.exposition import prometheus_text
from pylon.signals.metrics import Registry

MAX_TASKS = 5_000
MAX_SOCKETS = 10_000
_TASK_FRAMES = 8
_TOP = 20
_LINES_AT_ONCE = 2_000

Give = Callable[[Window], Any | Awaitable[Any]]


def document(name: str, about: str, give: Give) -> Part:
    """A part that is one JSON document. `give` may be a coroutine function; it runs on the event loop."""

    async def read(window: Window) -> Pieces:
        found = give(window)
        yield encoded(await found if isawaitable(found) else found)

    return Part(name, about, read)


def lines(name: str, about: str, give: Callable[[Window], Iterable[str]]) -> Part:
    """A part of text lines."""

    async def read(window: Window) -> Pieces:
        for piece in in_portions(give(window)):
            yield piece

    return Part(name, about, read)


def encoded(value: Any) -> bytes:
    """JSON to be read by people too."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2) + b"\n"


def in_portions(texts: Iterable[str]) -> Iterable[bytes]:
    """Lines, many at a time."""
    gathered: list[str] = []
    for text in texts:
        gathered.append(text)
        if len(gathered) >= _LINES_AT_ONCE:
            yield ("\n".join(gathered) + "\n").encode("utf-8", "backslashreplace")
            gathered = []
    if gathered:
        yield ("\n".join(gathered) + "\n").encode("utf-8", "backslashreplace")


def parts(
    engine: Engine,
    settings: Settings,
    registry: Registry,
    *,
    report: Callable[[], Any],
    uptime: Callable[[], float],
    book: Book,
) -> list[Part]:
    """What every server has. `report` is the JSON form of `/metrics`."""
    return [
        document("versions.json", "what runs", lambda _: facts.versions()),
        document("config.json", "settings in force, secrets masked", lambda _: facts.configuration(settings)),
        lines("log.txt", "log lines that memory still holds", _log_lines),
        document("process.json", "this process", lambda _: facts.process(uptime())),
        lines("metrics.prom", "/metrics as Prometheus text", lambda _: prometheus_text(registry).splitlines()),
        document("metrics.json", "/metrics as JSON", lambda _: report()),
        document("database.json", "log, write-ahead log and queues", lambda _: _database(engine)),
        document(
            "disk.json", "free space and the data folder", lambda _: asyncio.to_thread(facts.disk, settings.data_dir)
        ),
        document("switches.json", "switches and flags that are on, refusals", lambda _: _limits(engine)),
        document("talkers.json", "who and what causes writes now, rows per second", lambda _: _talkers(engine)),
        lines("threads.txt", "the stack of every thread", lambda _: stacks()),
        lines("tasks.txt", "every asyncio task and where it waits", lambda _: tasks()),
        document("incident.json", "the incident on record", lambda _: _incident(book)),
        Part("audit.jsonl", "who wrote and read what, newest first", _audit(engine)),
    ]


def watched(
    engine: Engine,
    overview: Overview,
    alarms: Alarms,
    connections: Callable[[], Iterable[Any]],
    mail: Callable[[], dict[str, int]],
) -> list[Part]:
    """What is watched while a server runs: the figures of `pylon top` with their history, reads, alarms, open sockets,
    and the work that goes on by itself."""
    return [
        document("overview.json", "the overview and its last ten minutes", lambda _: _overview(overview)),
        document("readers.json", "reads that run, and those that were slow", lambda _: _readers(engine)),
        document("alarms.json", "alarms that are raised", lambda _: {"alarms": alarms.active()}),
        document("sockets.json", "open sockets and streams", lambda _: _sockets(connections())),
        document("background.json", "background tasks, and mail that waits", lambda _: _background(engine, mail())),
    ]


def stacks() -> Iterable[str]:
    """The stack of every thread of this process."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for identifier, frame in sys._current_frames().items():
        yield f"thread {names.get(identifier, '?')} ({identifier})"
        yield "".join(traceback.format_stack(frame)).rstrip()
        yield ""


def tasks() -> Iterable[str]:
    """Every task of the running loop, with the frames it waits in."""
    found = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    yield f"{len(found)} tasks"
    for task in found[:MAX_TASKS]:
        yield f"\n{task.get_name()}: {getattr(task.get_coro(), '__qualname__', task.get_coro())}"
        for frame in task.get_stack(limit=_TASK_FRAMES):
            yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_qualname}'


def _sockets(connections: Iterable[Any]) -> dict[str, Any]:
    found = list(connections)
    return {"total": len(found), "sockets": [one._asdict() for one in found[:MAX_SOCKETS]]}


def _background(engine: Engine, mail: dict[str, int]) -> dict[str, Any]:
    return {"tasks": [state._asdict() for state in engine.tasks.states()], "mail": mail}


def _database(engine: Engine) -> dict[str, Any]:
    statistics = engine.committer.statistics
    return {
        "log_head": engine.reads.log_head(),
        "wal_bytes_in_use": engine.committer.wal_bytes(),
        "free_bytes": engine.store.free_bytes(),
        "checkpoints": engine.housekeeping.checkpoints,
        "reads_moved_to_pool": engine.reads.moved_to_pool,
        "audit_reads_waiting": engine.audit.waiting,
        "writer": {name: getattr(statistics, name) for name in statistics.__slots__},
    }


def _log_lines(window: Window) -> Iterable[str]:
    return (line.text for line in logs.recent(window.minutes))


def _limits(engine: Engine) -> dict[str, Any]:
    return {
        "switches": engine.switches.current(),
        "flags": engine.flags.all(),
        "refused": engine.gate.refused,
    }


def _overview(overview: Overview) -> dict[str, Any]:
    return {**overview.snapshot(), "history": overview.history.document()}


def _readers(engine: Engine) -> dict[str, Any]:
    readers = engine.reads.readers
    return {"readers": readers.running(), "slow_queries": readers.slow_queries()}


def _talkers(engine: Engine) -> dict[str, Any]:
    talkers = engine.gate.talkers
    return {name: getattr(talkers, name).top(_TOP) for name in talkers.__slots__}


async def _incident(book: Book) -> dict[str, Any]:
    try:
        incident, events = await book.get("open")
    except PylonError as error:
        if error.code != "INCIDENT_NOT_FOUND":
            raise
        return {"incident": None, "events": []}
    return {"incident": incident, "events": events}


def _audit(engine: Engine) -> Callable[[Window], AsyncIterator[bytes]]:
    async def read(window: Window) -> Pieces:
        wanted = AuditFilter(kinds=frozenset(KINDS), since=window.since, until=window.until)
        before: Position | None = None
        while True:
            found, before = await engine.audit.page(wanted, before, _LINES_AT_ONCE)
            for piece in in_portions(msgspec.json.encode(entry).decode() for entry in found):
                yield piece
            if before is None:
                return

    return read
