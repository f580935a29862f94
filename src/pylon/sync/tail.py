"""What was committed a moment ago, read from the log at start: a socket that reconnects to a new process misses
nothing that the old one committed behind its last pull."""

from __future__ import annotations

from pylon.engine.engine import Engine
from pylon.model.change import Change
from pylon.store.protocol import LogEntry, ReadSession
from pylon.sync.hub import TAIL_CHANGES, TAIL_SECONDS
from pylon.sync.log import change_of

_READ_SECONDS = 5.0


async def recent_changes(engine: Engine) -> list[Change]:
    """The changes of the last seconds, at most as many as the hub keeps."""

    def read(session: ReadSession) -> list[LogEntry]:
        head = session.log_head()
        return session.log_after(max(0, head - TAIL_CHANGES), TAIL_CHANGES)

    since = engine.clock() - TAIL_SECONDS
    entries = await engine.reads.run(read, _READ_SECONDS, what="tail")
    return [
        change
        for entry in entries
        if int(entry.timestamp.rstrip("Z")) >= since and (change := _change(engine, entry)) is not None
    ]


def _change(engine: Engine, entry: LogEntry) -> Change | None:
    plan = engine.plans.get(entry.entity)
    if plan is None:
        return None
    return change_of(plan.types, entry)
