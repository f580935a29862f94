"""Checkpoints on their own connection, off the write path.

PASSIVE checkpoints copy what they can without waiting. Under load a log never begins anew by itself, so at the
watermark a RESTART follows, which copies the few pages that came meanwhile and waits some milliseconds for readers;
reads have a time limit, so none pins the log for long. The file is truncated in quiet seconds only: growing it again
costs commits.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import apsw

_PAGE_BYTES = 4096
_TRUNCATE_WAIT_MS = 20
_GROWTH_BYTES = 4 * 2**20
"""The database file grows by this much at once, so that a checkpoint's fsync rarely changes the file's metadata."""


class SqliteCheckpoints:
    """The checkpointer of one database; used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("synchronous", "full")
        chunk = ctypes.c_int(_GROWTH_BYTES)
        self._connection.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(chunk))
        self._connection.set_busy_timeout(_TRUNCATE_WAIT_MS)

    def file_bytes(self) -> int:
        """Size of the write-ahead log's file."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def run(self) -> int:
        """Checkpoint now without waiting for anybody; WAL pages left."""
        try:
            total, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another process does it, such as a successor that is about to take over
            return self.file_bytes() // _PAGE_BYTES
        return total - moved

    def restart(self) -> bool:
        """Checkpoint what `run` left and let the log begin anew, waiting briefly for readers; whether it does."""
        return self._checkpoint(apsw.SQLITE_CHECKPOINT_RESTART)

    def truncate(self) -> bool:
        """Checkpoint and empty the log, waiting briefly for readers; whether it is empty now."""
        return self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _checkpoint(self, mode: int) -> bool:
        try:
            self._connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
