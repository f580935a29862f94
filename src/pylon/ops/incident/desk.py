"""The incident kit of one server: its book, its reports, its bundles. What the admin routes and the server hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from pylon.engine.audit.records import OPERATOR
from pylon.engine.audit.search import MAX_ENTRIES, AuditFilter
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.ops.incident.book import Book
from pylon.ops.incident.capture import Part, bundle, last_minutes
from pylon.ops.incident.journal import Journal
from pylon.ops.incident.mask import Mask
from pylon.ops.incident.report import PostMortem, post_mortem
from pylon.ops.incident.timeline import window
from pylon.signals.logs import Log

log = Log("pylon.incident")


class IncidentDesk:
    """Use on the engine's loop. `parts` are what a bundle holds; `version` is told in its manifest."""

    def __init__(
        self, engine: Engine, data_folder: Path, mask: Mask, version: str, parts: Callable[[Book], Sequence[Part]]
    ) -> None:
        self.book = Book(engine)
        self._engine = engine
        self._journal = Journal(data_folder)
        self._mask = mask
        self._version = version
        self._parts = parts(self.book)

    async def start(self) -> None:
        """Tell the book what was journalled while no server ran. A failure is logged: the journal waits for the next
        start."""
        try:
            await self.book.merge(self._journal)
        except (PylonError, OSError) as error:
            log.error("the incident journal could not be merged", reason=str(error))

    async def report(self, identifier: str) -> PostMortem:
        """The post-mortem of an incident. Raises INCIDENT_NOT_FOUND."""
        incident, events = await self.book.get(identifier)
        since, until = window(incident, events, self._engine.clock())
        wanted = AuditFilter(kinds=frozenset((OPERATOR,)), since=since, until=until, limit=MAX_ENTRIES)
        return post_mortem(incident, events, await self._engine.audit.search(wanted))

    async def capture(self, caller: Caller, minutes: float) -> AsyncIterator[bytes]:
        """A bundle, piece by piece."""
        about: dict[str, Any] = {"source": "server", "version": self._version, "minutes": minutes}
        seen = last_minutes(minutes, self._engine.clock())
        try:
            await self._engine.audit.note(caller, "incident.capture", minutes=minutes)
        except PylonError as error:  # a store that takes no writes is a reason to capture, not one against it
            about["not_audited"] = error.code
        async for piece in bundle(self._parts, seen, self._mask, about):
            yield piece
