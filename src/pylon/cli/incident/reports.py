"""`status`, `list` and `report`: asked of the server, or read from the database file while there is none."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.incident.line import INCIDENTS, Line, is_down
from pylon.cli.output import Output
from pylon.cli.remote import RemoteError, segment
from pylon.engine.audit.records import OPERATOR
from pylon.engine.audit.search import MAX_ENTRIES, AuditFilter, search
from pylon.ops.incident import offline
from pylon.ops.incident.book import read_incident, read_incidents
from pylon.ops.incident.journal import Journal
from pylon.ops.incident.moments import span, utc
from pylon.ops.incident.page import html
from pylon.ops.incident.report import markdown, plain, post_mortem
from pylon.ops.incident.timeline import window
from pylon.settings import Settings

LATEST_NOTES = 10


def status(options: argparse.Namespace, output: Output) -> int:
    """What is open, with the latest notes of each."""
    line = Line.of(options)
    try:
        line.catch_up()
        found = line.remote.get(INCIDENTS)["incidents"]
        opened = [line.remote.get(f"{INCIDENTS}/{segment(i['id'])}") for i in found if not i["closed_at"]]
    except RemoteError as error:
        if not is_down(error):
            raise
        output.note(f"{error.message}; this is what the data folder says")
        opened = _opened_offline(line.settings)
    waiting = msgspec.to_builtins(line.journal.entries())
    document = {"open": opened, "journalled": waiting}
    texts = [_told(each["incident"], each["events"]) for each in opened] or ["no incident is open"]
    if waiting:
        texts.append(f"{len(waiting)} entries wait in {line.journal.path}")
    output.answer(document, "\n\n".join(texts))
    return Exit.OK


def listing(options: argparse.Namespace, output: Output) -> int:
    """All incidents."""
    line = Line.of(options)
    try:
        line.catch_up()
        incidents = line.remote.get(INCIDENTS)["incidents"]
    except RemoteError as error:
        if not is_down(error):
            raise
        with offline.database(line.settings) as session:
            incidents = msgspec.to_builtins(read_incidents(session))
    output.answer({"incidents": incidents}, "\n".join(_head(each) for each in incidents) or "no incident so far")
    return Exit.OK


def report(options: argparse.Namespace, output: Output) -> int:
    """The post-mortem."""
    line = Line.of(options)
    try:
        line.catch_up()
        forms = _from_server(line, options)
    except RemoteError as error:
        if not is_down(error):
            raise
        output.note(f"{error.message}; this is what the data folder says") if options.md or options.html else None
        forms = _offline(line.settings, options)
    written = {}
    for form, file in (("md", options.md), ("html", options.html)):
        if file is not None:
            Path(file).write_text(forms[form], "utf-8")
            written[form] = file
    if written:
        output.answer({"written": written}, "\n".join(f"written: {file}" for file in written.values()))
    else:
        output.answer({"markdown": forms["md"]}, forms["md"].rstrip())
    return Exit.OK


def _from_server(line: Line, options: argparse.Namespace) -> dict[str, str]:
    path = f"{INCIDENTS}/{segment(options.id)}/report"
    wanted = [form for form, file in (("md", options.md), ("html", options.html)) if file is not None] or ["md"]
    return {form: str(line.remote.get(path, format=form)) for form in wanted}


def _offline(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    with offline.database(settings) as session:
        incident, events = read_incident(session, options.id)
        since, until = window(incident, events, time.time())
        wanted = AuditFilter(kinds=frozenset((OPERATOR,)), since=since, until=until, limit=MAX_ENTRIES)
        told = post_mortem(incident, events, list(search(session, wanted)))
    return {"md": markdown(told), "html": html(told)}


def _opened_offline(settings: Settings) -> list[dict[str, Any]]:
    opened: list[dict[str, Any]] = []
    with offline.database(settings) as session:
        for incident in read_incidents(session):
            if incident.is_open:
                opened.append(
                    {
                        "incident": msgspec.to_builtins(incident),
                        "events": msgspec.to_builtins(read_incident(session, incident.id)[1]),
                    }
                )
    started = [entry.start for entry in Journal(settings.data_dir).entries() if entry.start is not None]
    return opened + [{"incident": msgspec.to_builtins(each), "events": []} for each in started]


def _told(incident: dict[str, Any], events: list[dict[str, Any]]) -> str:
    lines = [_head(incident)]
    if len(events) > LATEST_NOTES:
        lines.append(f"  … {len(events) - LATEST_NOTES} earlier notes")
    for event in events[-LATEST_NOTES:]:
        label = event["step"] or event["kind"]
        lines.append(f"  {utc(event['at'])} {event['by']} {label}: {plain(event['text'])}")
    return "\n".join(lines)


def _head(incident: dict[str, Any]) -> str:
    """`20261123-0412-7f3a sev1 open for 12 min  Writes time out`."""
    ended = incident["closed_at"]
    lasted = span((ended or time.time()) - incident["started_at"])
    state = f"closed after {lasted}" if ended else f"open for {lasted}"
    return f"{incident['id']} {incident['severity']} {utc(incident['started_at'])} {state}  {plain(incident['title'])}"
