"""A tar.gz that grows member by member and is sent as it grows: nothing of it is kept, on disk or in memory.

A disk that is full is one reason to capture, so there are no temporary files.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib

_BLOCK = 512
_LEVEL = 4
"""Text shrinks nearly as well as at the default level, at half the time."""


class Archive:
    """One archive, whose members lie in a folder of their own. What each call returns is sent before the next."""

    def __init__(self, folder: str, at: float) -> None:
        self._folder = folder
        self._at = int(at)
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)

    def member(self, name: str, content: bytes) -> bytes:
        """Add a file; the next bytes of the archive."""
        info = tarfile.TarInfo(f"{self._folder}/{name}")
        info.size = len(content)
        info.mtime = self._at
        info.mode = 0o600
        head = info.tobuf(tarfile.PAX_FORMAT)
        return self._gzip.compress(head) + self._gzip.compress(content) + self._gzip.compress(_padding(len(content)))

    def end(self) -> bytes:
        """The last bytes."""
        return self._gzip.compress(bytes(2 * _BLOCK)) + self._gzip.flush()


def digest(content: bytes) -> str:
    """SHA-256 in hex, as the manifest tells it."""
    return hashlib.sha256(content).hexdigest()


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
