"""Where an incident command speaks to: the running server, or the journal and the database file while there is none."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from pylon.cli import envfile
from pylon.cli.project import settings_for
from pylon.cli.remote import Remote, RemoteError, Unreachable, segment
from pylon.model.errors import PylonError
from pylon.ops.incident.book import JOURNAL_TITLE
from pylon.ops.incident.journal import Entry, Journal
from pylon.ops.incident.moments import FORMS, parse_time
from pylon.ops.incident.record import Event, Incident
from pylon.settings import Settings

INCIDENTS = "/api/admin/incidents"


class Line:
    """The server and the data folder that the options name."""

    def __init__(self, remote: Remote, settings: Settings) -> None:
        self.remote = remote
        self.settings = settings
        self.journal = Journal(settings.data_dir)

    @classmethod
    def of(cls, options: argparse.Namespace) -> Line:
        """Raises SettingsError."""
        return cls(Remote.from_options(options), settings(options))

    def catch_up(self) -> int:
        """Tell the server what was journalled here; how many entries were. Raises RemoteError, and then the journal is
        as it was."""
        told = 0
        with self.journal.drained() as drain:
            for entry in drain.entries:
                try:
                    self._tell(entry)
                    told += 1
                except RemoteError as error:
                    if is_down(error) or error.status in (401, 403, 429):
                        raise
                    drain.refused.append(entry)
        return told

    def send_start(self, incident: Incident, *, parallel: bool) -> dict[str, Any]:
        """Open an incident on the server."""
        body = {
            "id": incident.id,
            "title": incident.title,
            "severity": incident.severity.value,
            "at": incident.started_at,
            "began": incident.began_at or None,
            "by": incident.started_by,
            "parallel": parallel,
        }
        answer: dict[str, Any] = self.remote.post(INCIDENTS, body)
        return answer

    def send_note(self, event: Event) -> dict[str, Any]:
        """Note an event on the server."""
        body = {name: value for name, value in msgspec.to_builtins(event).items() if name != "incident"}
        answer: dict[str, Any] = self.remote.post(f"{INCIDENTS}/{segment(event.incident or 'open')}/notes", body)
        return answer

    def _tell(self, entry: Entry) -> None:
        if entry.start is not None:
            self.send_start(entry.start, parallel=True)
            return
        event = entry.note
        assert event is not None
        try:
            self.send_note(event)
        except RemoteError as error:
            if error.code != "INCIDENT_NOT_FOUND":
                raise
            open_now = next((i for i in self.remote.get(INCIDENTS)["incidents"] if not i["closed_at"]), None)
            if open_now is None:
                found = Incident(id=f"note-{event.id}", title=JOURNAL_TITLE, started_at=event.at, started_by=event.by)
                open_now = self.send_start(found, parallel=False)
            self.send_note(msgspec.structs.replace(event, incident=open_now["id"]))


def settings(options: argparse.Namespace) -> Settings:
    """The settings in force here; only the data folder and the masks matter. Raises SettingsError."""
    return settings_for(options, {}, Path.cwd(), Path.cwd())[1]


def admin_tokens() -> list[str]:
    """All admin tokens of the environment, the first one first."""
    values = envfile.merged(os.environ, Path.cwd())
    return [token.strip() for token in values.get("PYLON_ADMIN_TOKEN", "").split(",") if token.strip()]


def is_down(error: RemoteError) -> bool:
    """Whether the server, or the store under it, takes nothing now: then the journal does."""
    return isinstance(error, Unreachable) or error.status >= 500


def author(options: argparse.Namespace) -> str:
    """Who is noted as the author."""
    given = getattr(options, "by", None)
    if given:
        return str(given)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return "operator"


def when(text: str | None, name: str) -> float:
    """A time of the command line, or now. Raises INVALID_DATA."""
    now = time.time()
    if not text:
        return now
    try:
        at = parse_time(text, now)
    except ValueError:
        raise PylonError("INVALID_DATA", f"--{name}: {text!r} is no time", hint=f"Write {FORMS}.") from None
    if at > now + 60:
        raise PylonError("INVALID_DATA", f"--{name}: {text!r} has not come yet")
    return at
