"""Opening SQLite connections, and turning SQLite's errors into ours.

The interpreter's own SQLite is not used: apsw brings a current one. `synchronous=FULL` makes a COMMIT durable in WAL
mode; checkpoints are taken elsewhere (`checkpoint`), so the writer never pays for one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from pylon.model.errors import PylonError

BUSY_MS = 5000
_CACHE_KIB = 65536
_WRITER_CACHE = 512


def connect_writer(path: Path, synchronous: str) -> apsw.Connection:
    """The read-write connection. `synchronous` is FULL or NORMAL. A new database, like the files that SQLite puts
    beside it, is for the eyes of the server's account alone."""
    if not path.exists():
        with contextlib.suppress(OSError):  # SQLite says better what is wrong
            path.touch(mode=0o600)
    connection = apsw.Connection(str(path), statementcachesize=_WRITER_CACHE)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("journal_mode", "wal")
    for name, value in (
        ("synchronous", synchronous),
        ("wal_autocheckpoint", 0),
        ("cache_size", -_CACHE_KIB),
        ("temp_store", "memory"),
        ("foreign_keys", True),
    ):
        connection.pragma(name, value)
    return connection


def connect_reader(path: Path) -> apsw.Connection:
    """A read-only connection."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=256)
    connection.set_busy_timeout(BUSY_MS)
    for name, value in (
        ("cache_size", -8192),
        ("mmap_size", 268435456),
        ("temp_store", "memory"),
        ("query_only", True),
    ):
        connection.pragma(name, value)
    return connection


def storage_error(error: apsw.Error) -> PylonError:
    """The error a client may see for a failure of the store itself; details go to the log, not to the client."""
    if isinstance(error, apsw.FullError):
        return PylonError("STORAGE_FULL", "The disk is full; nothing of this write was applied.")
    if isinstance(error, apsw.InterruptError):
        return PylonError("QUERY_TIMEOUT", "The statement took longer than its time limit and was interrupted.")
    if str(error) == "integer overflow":
        return PylonError("QUERY_FAILED", "A sum of whole numbers is beyond 64 bits.")
    return PylonError(
        "STORAGE_UNAVAILABLE",
        "The store did not accept the request; nothing of it was applied.",
        headers={"Retry-After": "1"},
    )


def write_error(error: apsw.Error, code: str, what: str) -> PylonError:
    """The error of a refused row write, in the wording that clients parse (spec 01 §4.6)."""
    if isinstance(error, apsw.ConstraintError):
        return PylonError(code, f"{what} failed: {error}")
    return storage_error(error)
