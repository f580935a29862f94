"""A copy of a database taken while it is written to, and what such a copy holds.

One read transaction stays open on the source for the whole copy, so every page is of one moment however long it takes,
and no writer ever waits for it; the write-ahead log can't begin anew meanwhile and grows by what is written. The copy
goes in small steps with rests between them, and reaches the disk as it goes: one large flush at the end would hold up
every commit's fsync.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from pylon.model.errors import PylonError
from pylon.store.filters import quote
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import BUSY_MS

_CACHE_KIB = 2048
_FLUSH_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Pace:
    """How gently to copy: pages in one step, and the rest after it as a multiple of the time that the step took. Once
    the write-ahead log, which the copy keeps from beginning anew, holds `hurry_bytes`, the rests are `hurried`."""

    pages: int = 256
    rest: float = 3.0
    hurried: float = 0.5
    hurry_bytes: int = 512 * 2**20
    least: float = 0.001


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds. `seq` is the change log's head, `audit` the newest block's (id, hash), `schema` the SHA-256 of
    every table's and index's definition."""

    pages: int
    page_size: int
    seq: int
    log_floor: int
    timeline: int
    audit: tuple[int, str] | None
    schema: str


def copy_database(
    source: Path,
    target: Path,
    *,
    pace: Pace,
    progress: Callable[[int, int], None],
    clock: Callable[[], float] = time.time,
) -> float:
    """Copy the database of this moment into a new file, durably; the moment in Unix seconds. `progress` is told
    (pages done, pages in all) after each step and may raise to stop. Raises BACKUP_FAILED."""
    try:
        with _reading(source) as origin:
            origin.execute("BEGIN")
            origin.execute("SELECT count(*) FROM sqlite_master").fetchall()
            taken_at = clock()
            _copy_pages(origin, target, pace, progress, source.with_name(source.name + "-wal"))
        _leave_wal_mode(target)
    except apsw.Error as error:
        raise PylonError("BACKUP_FAILED", f"The database could not be copied: {error}") from error
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return taken_at


def contents(path: Path) -> Contents:
    """What a copy holds. Raises BACKUP_INVALID for what is no database of Pylon's."""
    with _frozen(path) as database:
        meta = dict(_fetch(database, "SELECT key, value FROM _pylon_meta"))
        [(seq,)] = _fetch(database, system.LOG_HEAD)
        definitions = _fetch(database, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
        text = "\n".join(str(sql) for (sql,) in definitions)
        return Contents(
            pages=int(database.pragma("page_count")),
            page_size=int(database.pragma("page_size")),
            seq=int(seq),
            log_floor=int(meta.get("log_floor", 0)),
            timeline=int(meta.get(system.TIMELINE_KEY, 0)),
            audit=_audit_head(database),
            schema=hashlib.sha256(text.encode()).hexdigest(),
        )


def examine(path: Path) -> tuple[list[str], dict[str, int]]:
    """SQLite's own check of every page and index, and the number of rows in each table: (problems, rows by table)."""
    with _frozen(path) as database:
        found = [line for (line,) in _fetch(database, "PRAGMA integrity_check(20)") if line != "ok"]
        rows: dict[str, int] = {}
        for (name,) in _fetch(database, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
            [(rows[name],)] = _fetch(database, f"SELECT count(*) FROM {quote(name)}")
        return found, rows


def _copy_pages(
    origin: apsw.Connection, target: Path, pace: Pace, progress: Callable[[int, int], None], wal: Path
) -> None:
    copy = apsw.Connection(str(target))
    descriptor = os.open(target, os.O_RDONLY)
    try:
        copy.execute(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{_CACHE_KIB}")
        unflushed = 0
        rest = pace.rest
        with copy.backup("main", origin, "main") as backup:
            while not backup.done:
                began = time.perf_counter()
                backup.step(pace.pages)
                progress(backup.page_count - backup.remaining, backup.page_count)
                unflushed += pace.pages * 4096
                if unflushed >= _FLUSH_BYTES:
                    os.fdatasync(descriptor)
                    unflushed = 0
                    rest = pace.rest if _bytes(wal) < pace.hurry_bytes else pace.hurried
                time.sleep(max(pace.least, (time.perf_counter() - began) * rest))
    finally:
        os.close(descriptor)
        copy.close()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _leave_wal_mode(path: Path) -> None:
    """One file that needs no companions; a server puts it back into WAL mode when it opens it."""
    with contextlib.closing(apsw.Connection(str(path))) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.pragma("journal_mode", "delete")


def _audit_head(database: apsw.Connection) -> tuple[int, str] | None:
    if not _fetch(database, "SELECT 1 FROM sqlite_master WHERE name = '_pylon_audit'"):
        return None
    rows = _fetch(database, "SELECT id, hash FROM _pylon_audit ORDER BY id DESC LIMIT 1")
    return (rows[0][0], rows[0][1].hex()) if rows else None


def _fetch(database: apsw.Connection, sql: str) -> list[tuple[Any, ...]]:
    return database.execute(sql).fetchall()


@contextmanager
def _reading(path: Path) -> Iterator[apsw.Connection]:
    """A connection that never writes, not even a checkpoint when it closes as the last one."""
    with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("cache_size", -_CACHE_KIB)
        yield connection


@contextmanager
def _frozen(path: Path) -> Iterator[apsw.Connection]:
    """A copy that nobody writes to, opened without making files beside it."""
    address = f"file:{urllib.parse.quote(str(path.absolute()))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        with contextlib.closing(apsw.Connection(address, flags=flags)) as database:
            yield database
    except apsw.Error as error:
        raise PylonError("BACKUP_INVALID", f"the database of the backup can't be read: {error}") from error
