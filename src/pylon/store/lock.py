"""One process per data folder: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from pylon.model.errors import PylonError

_POLL = 0.01


class FolderLock:
    """The lock of a data folder, held from `acquire` to `release`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock, waiting at most `wait` seconds. Raises DATA_DIR_LOCKED with the holder's process id."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    os.close(descriptor)
                    raise PylonError(
                        "DATA_DIR_LOCKED",
                        f"The data folder {self._path.parent} is in use by process {holder}.",
                        hint="Stop that process, or give this one another folder with --data-dir or PYLON_DATA_DIR.",
                    ) from None
                time.sleep(_POLL)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; a no-op when it isn't held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def folder_holder(folder: Path) -> str | None:
    """The process that holds a data folder, None when nobody does. Nothing is made where there is no lock file."""
    path = folder / "lock"
    if not path.is_file():
        return None
    lock = FolderLock(folder)
    try:
        lock.acquire()
    except PylonError:
        return path.read_text("ascii", "replace").strip() or "unknown"
    lock.release()
    return None
