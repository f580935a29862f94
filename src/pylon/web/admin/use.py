"""What each admin token and each operator is used for is recorded: each route once an hour for each address that it is
used from, so that a stranger's use shows, and what it read. What it changes is recorded each time, by what changes it.
"""

from __future__ import annotations

import asyncio
import time

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN
from pylon.signals.logs import Log

log = Log("pylon.admin")

EVERY_SECONDS = 3600.0
MAX_REMEMBERED = 10_000


class AdminUse:
    """Which token or operator was seen from which address lately."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[bytes, str, str], float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def saw(self, caller: Caller, route: str) -> None:
        """An admin called this route: its template, since a path may hold a value that is encrypted at rest."""
        who = (caller.session or b"", caller.ip, route)
        now = time.monotonic()
        if now - self._seen.get(who, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        if len(self._seen) >= MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[who] = now
        task = asyncio.get_running_loop().create_task(self._record(caller, route))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _record(self, caller: Caller, route: str) -> None:
        try:
            await self._engine.audit.note(
                caller, "token.use" if caller.identity == ADMIN else "operator.use", route=route
            )
        except PylonError as error:
            log.warning("an admin's use could not be recorded", ip=caller.ip, code=error.code)
