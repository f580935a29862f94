"""What can be had of incidents while no server runs: from the database file, read-only, and from the data folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from pylon.engine.audit.records import KINDS
from pylon.engine.audit.search import AuditFilter, Position, page
from pylon.ops.incident import facts
from pylon.ops.incident.book import read_incident, read_incidents
from pylon.ops.incident.capture import Part, Pieces, Unavailable, Window
from pylon.ops.incident.evidence import document, in_portions
from pylon.ops.incident.journal import Journal
from pylon.settings import Settings
from pylon.store.protocol import ReadSession
from pylon.store.sqlite.database import SqliteStore

_PAGE = 2_000
_IN_MEMORY = "it is in the memory of the process, which can't be asked"
_NEEDS_SERVER = (
    ("log.txt", f"{_IN_MEMORY}; look at its stderr, such as `journalctl -u pylon`"),
    *((name, _IN_MEMORY) for name in ("metrics.prom", "metrics.json", "overview.json", "alarms.json", "readers.json")),
    *((name, _IN_MEMORY) for name in ("process.json", "threads.txt", "tasks.txt")),
)


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[ReadSession]:
    """A read-only session on the database file; it changes nothing, not even the write-ahead log. Raises Unavailable
    where there is none that can be read."""
    path = settings.database_path
    if not path.is_file():
        raise Unavailable(f"there is no database at {path}")
    try:
        session = SqliteStore(path, {}).reader()
    except Exception as error:  # whatever is wrong with the file, the caller goes on without it
        raise Unavailable(f"the database can't be opened: {error}") from None
    try:
        yield session
    finally:
        session.close()


def parts(settings: Settings) -> list[Part]:
    """What a bundle holds without a server."""
    return [
        *(Part(name, "", _missing(reason)) for name, reason in _NEEDS_SERVER),
        document("versions.json", "what is installed here", lambda _: facts.versions()),
        document(
            "config.json",
            "settings as this command reads them, secrets masked",
            lambda _: facts.configuration(settings),
        ),
        document("disk.json", "free space and the data folder", lambda _: facts.disk(settings.data_dir)),
        document("records.json", "operators' records: switches, alarms, backups", lambda _: _records(settings)),
        document("incident.json", "the incidents on record and the journal", lambda _: _incidents(settings)),
        Part("audit.jsonl", "who wrote and read what, newest first", _audit(settings)),
    ]


def _missing(why: str) -> Any:
    async def read(window: Window) -> Pieces:
        raise Unavailable(why)
        yield b""

    return read


_KINDS = ("switch", "alarm", "backup", "flag", "budget")
"""Records that hold no secret, not even as a hash."""


def _records(settings: Settings) -> dict[str, Any]:
    with database(settings) as session:
        return {kind: {key: _plain(record) for key, record in session.records(kind)} for kind in _KINDS}


def _plain(record: bytes) -> Any:
    try:
        return msgspec.json.decode(record)
    except msgspec.MsgspecError:
        return record.decode("utf-8", "backslashreplace")


def _incidents(settings: Settings) -> dict[str, Any]:
    told: dict[str, Any] = {"journal": Journal(settings.data_dir).entries(), "incidents": []}
    with contextlib.suppress(Unavailable), database(settings) as session:
        for incident in read_incidents(session):
            told["incidents"].append({"incident": incident, "events": read_incident(session, incident.id)[1]})
    return told


def _audit(settings: Settings) -> Any:
    async def read(window: Window) -> Pieces:
        wanted = AuditFilter(kinds=frozenset(KINDS), since=window.since, until=window.until)
        before: Position | None = None
        with database(settings) as session:
            while True:
                found, before = page(session, wanted, before, _PAGE)
                for piece in in_portions(msgspec.json.encode(entry).decode() for entry in found):
                    yield piece
                if before is None:
                    return

    return read
