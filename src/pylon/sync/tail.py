"""What was committed a moment ago, read from the log at start: a socket that reconnects to a new process misses
nothing that the old one committed behind its last pull."""

from __future__ import annotations

from pylon.engine.engine import Engine
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.protocol import LogEntry, ReadSession
from pylon.sync.hub import TAIL_CHANGES, TAIL_SECONDS
from pylon.sync.log import change_of

log = Log("pylon.sync")

_READ_SECONDS = 5.0


async def recent_changes(engine: Engine) -> list[Change]:
    """The last seconds of the log, at most as many changes as the hub keeps: counted from the newest change and not
    from now, since somebody may have set the clock in between."""

    def read(session: ReadSession) -> list[LogEntry]:
        head = session.log_head()
        return session.log_after(max(0, head - TAIL_CHANGES), TAIL_CHANGES)

    entries = await engine.reads.run(read, _READ_SECONDS, what="tail")
    since = entries[-1].second - TAIL_SECONDS if entries else 0.0
    found = (_change(engine, entry) for entry in entries if entry.second >= since)
    return [change for change in found if change is not None]


def _change(engine: Engine, entry: LogEntry) -> Change | None:
    plan = engine.plans.get(entry.entity)
    if plan is None:
        return None
    try:
        return change_of(plan.types, entry)
    except PylonError as error:  # its key is lost: a pull over it says so, and the server must be up for that
        log.error("a change is not replayed", entity=entry.entity, row=entry.row_id, reason=error.message)
        return None
