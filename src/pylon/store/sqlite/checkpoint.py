"""Checkpoints on their own connection, off the write path.

PASSIVE checkpoints copy what they can without waiting. When the log has outgrown its watermark, one TRUNCATE waits a
few milliseconds for readers; reads have a time limit, so none pins the log for long.
"""

from __future__ import annotations

from pathlib import Path

import apsw

_TRUNCATE_WAIT_MS = 20


class SqliteCheckpoints:
    """The checkpointer of one database; used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("synchronous", "full")
        self._connection.set_busy_timeout(_TRUNCATE_WAIT_MS)

    def wal_bytes(self) -> int:
        """Size of the write-ahead log's file."""
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    def run(self) -> int:
        """Checkpoint now without waiting for anybody; WAL pages left."""
        total, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return total - moved

    def truncate(self) -> bool:
        """Checkpoint and empty the log, waiting briefly for readers; whether it is empty now."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
