"""Each use of an admin token, and of an operator's session, is recorded: the first of a route and an address at once,
so that a stranger's shows, and how many there were since every ten minutes and at a stop: whoever polls adds an entry
then, not one a second. What is changed is recorded each time besides, by what changes it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN
from pylon.signals.logs import Log

log = Log("pylon.admin")

EVERY_SECONDS = 600.0
MAX_REMEMBERED = 10_000
"""Tokens, addresses and routes that are counted together; each use of more is recorded at once."""


@dataclass(slots=True)
class _Use:
    caller: Caller
    more: int = 0


class AdminUse:
    """Which token or operator was seen from which address lately, and how often."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[bytes, str, str], _Use] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def saw(self, caller: Caller, route: str) -> None:
        """An admin called this route: its template, since a path may hold a value that is encrypted at rest."""
        who = (caller.session or b"", caller.ip, route)
        use = self._seen.get(who)
        if use is not None:
            use.more += 1
            return
        if len(self._seen) < MAX_REMEMBERED:
            self._seen[who] = _Use(caller)
        task = asyncio.get_running_loop().create_task(self._record(caller, route, 1))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def run(self) -> None:
        """Record what was counted, again and again."""
        task = self._engine.tasks.add("admin-use", EVERY_SECONDS)
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                with task.turn():
                    await self.tell()
            except Exception:  # a supervised boundary: the next round counts on
                log.exception("uses of admins could not be recorded")

    async def tell(self) -> None:
        """Record what was counted since the last time; who was not seen since then is forgotten."""
        for who, use in list(self._seen.items()):
            uses, use.more = use.more, 0
            if uses:
                await self._record(use.caller, who[2], uses)
            else:
                self._seen.pop(who, None)

    async def _record(self, caller: Caller, route: str, uses: int) -> None:
        action = "token.use" if caller.identity == ADMIN else "operator.use"
        try:
            await self._engine.audit.note(caller, action, route=route, uses=uses)
        except PylonError as error:
            log.warning("an admin's use could not be recorded", ip=caller.ip, code=error.code)
