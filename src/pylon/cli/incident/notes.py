"""`start`, `note` and `close`: told to the server, or to the journal while it takes nothing."""

from __future__ import annotations

import argparse
import contextlib
import time

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.incident.line import INCIDENTS, Line, author, is_down, when
from pylon.cli.output import Output, failure
from pylon.cli.remote import RemoteError, segment
from pylon.model.errors import PylonError
from pylon.ops.incident import offline
from pylon.ops.incident.book import new_event, read_incidents
from pylon.ops.incident.capture import Unavailable
from pylon.ops.incident.journal import Entry, open_start
from pylon.ops.incident.moments import span, utc
from pylon.ops.incident.record import Incident, Kind, Severity, is_due, new_incident_id


def start(options: argparse.Namespace, output: Output) -> int:
    """Open an incident."""
    line = Line.of(options)
    at = when(options.at, "at")
    incident = Incident(
        id=new_incident_id(time.time()),
        title=options.title,
        severity=Severity(options.severity),
        started_at=at,
        began_at=when(options.began, "began") if options.began else 0.0,
        started_by=author(options),
    )
    try:
        line.catch_up()
        answer = line.send_start(incident, parallel=options.parallel)
    except RemoteError as error:
        if not is_down(error):
            raise
        return _journalled_start(line, incident, options.parallel, error, output)
    output.answer(answer, f"incident {answer['id']} started: {answer['severity']} {answer['title']}")
    return Exit.OK


def note(options: argparse.Namespace, output: Output) -> int:
    """Write something down."""
    line = Line.of(options)
    if not is_due(options.due):
        raise PylonError("INVALID_DATA", f"--due: {options.due!r} is no day", hint="Write 2026-12-01.")
    event = msgspec.structs.replace(
        new_event(options.incident, time.time(), options.text),
        at=when(options.at, "at"),
        by=author(options),
        kind=Kind(options.kind),
        owner=options.owner,
        due=options.due,
    )
    try:
        line.catch_up()
        answer = line.send_note(event)
    except RemoteError as error:
        if not is_down(error):
            raise
        began = open_start(line.journal.entries()) if event.incident == "open" else None
        known = began.id if began is not None else "" if event.incident == "open" else event.incident
        event = msgspec.structs.replace(event, incident=known)
        line.journal.append(Entry(note=event))
        _say_journalled(line, msgspec.to_builtins(event), "noted", error, output)
        return Exit.OK
    output.answer(answer, f"noted in {answer['incident']} at {utc(answer['at'])}")
    return Exit.OK


def close(options: argparse.Namespace, output: Output) -> int:
    """Close an incident; needs the server."""
    line = Line.of(options)
    line.catch_up()
    body = {"summary": options.summary, "by": author(options), "at": when(options.at, "at") if options.at else None}
    answer = line.remote.post(f"{INCIDENTS}/{segment(options.incident)}/close", body)
    lasted = span(answer["closed_at"] - answer["started_at"])
    output.answer(
        answer, f"incident {answer['id']} closed after {lasted}\n`pylon incident report {answer['id']}` tells it"
    )
    return Exit.OK


def _journalled_start(line: Line, incident: Incident, parallel: bool, error: RemoteError, output: Output) -> int:
    other = open_start(line.journal.entries())
    if other is None:
        with contextlib.suppress(Unavailable), offline.database(line.settings) as session:
            other = next((each for each in read_incidents(session) if each.is_open), None)
    if other is not None and not parallel:
        hint = "Note in that one, or start this one in parallel (--parallel)."
        output.report([failure("INCIDENT_OPEN", f'incident {other.id} "{other.title}" is open', hint)])
        return Exit.FAILED
    line.journal.append(Entry(start=incident))
    _say_journalled(line, msgspec.to_builtins(incident), f"incident {incident.id} started", error, output)
    return Exit.OK


def _say_journalled(line: Line, document: dict[str, object], what: str, error: RemoteError, output: Output) -> None:
    told = f"{what} in the journal {line.journal.path}, because {error.message}"
    output.answer(
        document | {"journalled": True, "journal": str(line.journal.path)},
        f"{told}\nthe next start, or the next command that reaches a server, tells it to the database",
    )
