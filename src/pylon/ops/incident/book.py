"""The book of incidents: opened, noted in and closed, in the one database, each step with its line in the audit log.

Entries made twice (a journal told again, a request repeated) are kept once, by their id. Nobody changes or deletes a
note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.ops.incident.journal import Entry, Journal
from pylon.ops.incident.record import (
    EVENT_KIND,
    INCIDENT_KIND,
    MAX_EVENTS,
    MAX_NAME,
    MAX_TEXT,
    MAX_TITLE,
    Event,
    Incident,
    is_due,
    is_id,
    new_event_id,
    new_incident_id,
)
from pylon.signals.logs import Log
from pylon.store.protocol import ReadSession

T = TypeVar("T")

log = Log("pylon.incident")

_READ_SECONDS = 10.0
JOURNAL_TITLE = "Notes made while the server was down"


class Book:
    """Use on the engine's loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()

    async def all(self) -> list[Incident]:
        """Every incident, newest first."""
        return await self._engine.reads.run(read_incidents, _READ_SECONDS)

    async def get(self, identifier: str) -> tuple[Incident, list[Event]]:
        """An incident with its events in order of time; `open` or `latest` for an id are the newest of that sort.
        Raises INCIDENT_NOT_FOUND."""
        return await self._engine.reads.run(lambda session: read_incident(session, identifier), _READ_SECONDS)

    async def start(self, caller: Caller, incident: Incident, *, parallel: bool = False) -> tuple[Incident, bool]:
        """Open an incident; (it, whether it is new). Raises INCIDENT_OPEN when another is open, unless `parallel`."""
        _check_incident(incident)
        async with self._one_at_a_time:
            known = await self.all()
            same = next((each for each in known if each.id == incident.id), None)
            if same is not None:
                return same, False
            other = next((each for each in known if each.is_open), None)
            if other is not None and not parallel:
                raise PylonError(
                    "INCIDENT_OPEN",
                    f'incident {other.id} "{other.title}" is open',
                    hint="Note in that one, close it, or start this one in parallel (--parallel).",
                    extra={"incident": other.id},
                )
            await self._put(caller, incident, "incident.start", title=incident.title, severity=incident.severity.value)
        log.warning("incident started", incident=incident.id, severity=incident.severity.value, title=incident.title)
        return incident, True

    async def note(self, caller: Caller, event: Event) -> tuple[Event, bool]:
        """Note an event in an incident, open or closed; (it, whether it is new). Raises INCIDENT_NOT_FOUND,
        INCIDENT_FULL."""
        _check_event(event)
        async with self._one_at_a_time:
            incident, events = await self.get(event.incident or "open")
            same = next((each for each in events if each.id == event.id), None)
            if same is not None:
                return same, False
            if len(events) >= MAX_EVENTS:
                raise PylonError("INCIDENT_FULL", f"incident {incident.id} holds {MAX_EVENTS} notes already")
            event = msgspec.structs.replace(event, incident=incident.id)
            encoded = msgspec.json.encode(event)

            def write(tx: Transaction) -> None:
                tx.session.put_record(EVENT_KIND, event.key, encoded)
                tx.note("incident.note", incident.id, kind=event.kind.value, note=event.id)

            await self._engine.run(caller, write, authority=Authority.TRUSTED)
        return event, True

    async def close(self, caller: Caller, identifier: str, *, at: float, by: str, summary: str) -> Incident:
        """Close an incident. Raises INCIDENT_NOT_FOUND, INCIDENT_CLOSED."""
        if len(summary) > MAX_TEXT:
            raise _invalid("summary", f"at most {MAX_TEXT} characters")
        async with self._one_at_a_time:
            incident, _ = await self.get(identifier)
            if not incident.is_open:
                raise PylonError("INCIDENT_CLOSED", f"incident {incident.id} is closed already")
            if at < incident.started_at:
                raise _invalid("at", "the incident can't be closed before it was started")
            closed = msgspec.structs.replace(incident, closed_at=at, closed_by=by, summary=summary or incident.summary)
            await self._put(caller, closed, "incident.close")
        log.warning("incident closed", incident=closed.id)
        return closed

    async def merge(self, journal: Journal, caller: Caller = SYSTEM) -> int:
        """Tell the database what was journalled while it was away; how many entries were new. Raises what the store
        raises, and then the journal is as it was."""
        told = 0
        with journal.drained() as drain:
            for entry in drain.entries:
                try:
                    told += await self._merge_entry(caller, entry)
                except PylonError as error:
                    if error.status >= 500:
                        raise
                    drain.refused.append(entry)
                    log.error("a journalled entry is refused", reason=error.message)
        if told:
            log.warning("incident journal merged", entries=told)
        return told

    async def _merge_entry(self, caller: Caller, entry: Entry) -> bool:
        if entry.start is not None:
            _, is_new = await self.start(caller, entry.start, parallel=True)
            return is_new
        event = entry.note
        assert event is not None
        known = await self.all()
        if not any(each.id == event.incident for each in known):
            event = msgspec.structs.replace(event, incident="")
        if not event.incident and not any(each.is_open for each in known):
            # A note is never lost for want of an incident.
            at = event.at
            found = Incident(id=new_incident_id(at), title=JOURNAL_TITLE, started_at=at, started_by=event.by)
            await self.start(caller, found)
        _, is_new = await self.note(caller, event)
        return is_new

    async def _put(self, caller: Caller, incident: Incident, action: str, **details: str) -> None:
        encoded = msgspec.json.encode(incident)

        def write(tx: Transaction) -> None:
            tx.session.put_record(INCIDENT_KIND, incident.id, encoded)
            tx.note(action, incident.id, **details)

        await self._engine.run(caller, write, authority=Authority.TRUSTED)


def read_incidents(session: ReadSession) -> list[Incident]:
    """Every incident, newest first; what a later release wrote and this one can't read is left out."""
    found = [_decoded(record, Incident) for _, record in session.records(INCIDENT_KIND)]
    return sorted((each for each in found if each is not None), key=lambda each: (-each.started_at, each.id))


def read_incident(session: ReadSession, identifier: str) -> tuple[Incident, list[Event]]:
    """An incident with its events in order of time. Raises INCIDENT_NOT_FOUND."""
    known = read_incidents(session)
    if identifier == "open":
        known = [each for each in known if each.is_open]
    elif identifier != "latest":
        known = [each for each in known if each.id == identifier]
    if not known:
        what = "no incident is open" if identifier == "open" else f"there is no incident {identifier[:64]}"
        raise PylonError("INCIDENT_NOT_FOUND", what, hint="`pylon incident list` shows all of them.")
    incident = known[0]
    prefix = f"{incident.id}/"
    records: Sequence[tuple[str, bytes]] = session.records(EVENT_KIND)
    events = [_decoded(record, Event) for key, record in records if key.startswith(prefix)]
    return incident, sorted((each for each in events if each is not None), key=lambda each: (each.at, each.id))


def new_event(incident: str, now: float, text: str) -> Event:
    """A note of now, to be filled in."""
    return Event(id=new_event_id(now), incident=incident, at=now, recorded_at=now, text=text)


def _decoded(record: bytes, form: type[T]) -> T | None:
    try:
        return msgspec.json.decode(record, type=form)
    except msgspec.MsgspecError:
        log.error("an incident's record can't be read", form=form.__name__)
        return None


def _check_incident(incident: Incident) -> None:
    if not is_id(incident.id):
        raise _invalid("id", "4 to 64 lower-case letters, digits and dashes")
    if not incident.title.strip() or len(incident.title) > MAX_TITLE:
        raise _invalid("title", f"1 to {MAX_TITLE} characters")
    if len(incident.started_by) > MAX_NAME:
        raise _invalid("by", f"at most {MAX_NAME} characters")


def _check_event(event: Event) -> None:
    if not is_id(event.id):
        raise _invalid("id", "4 to 64 lower-case letters, digits and dashes")
    if not event.text.strip() or len(event.text) > MAX_TEXT:
        raise _invalid("text", f"1 to {MAX_TEXT} characters")
    for name in ("by", "owner", "step", "outcome"):
        if len(getattr(event, name)) > MAX_NAME:
            raise _invalid(name, f"at most {MAX_NAME} characters")
    if not is_due(event.due):
        raise _invalid("due", "a day: 2026-12-01")


def _invalid(name: str, expected: str) -> PylonError:
    return PylonError("INVALID_DATA", f"{name}: expected {expected}")
