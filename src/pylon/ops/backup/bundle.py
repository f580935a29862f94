"""One backup as it is stored: a folder, a tar file, or objects under a prefix (`s3`). Reading only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from pylon.model.errors import PylonError
from pylon.ops.backup import manifest
from pylon.ops.backup.keys import Reader
from pylon.ops.backup.manifest import Manifest

if TYPE_CHECKING:  # felt at cold start, and needed for tar files only
    import tarfile

VERIFIED = "verified.json"
"""Beside the manifest, and not of the backup itself: when it was last verified, and whether it did."""


class Bundle(Protocol):
    """One stored backup. `label` is how people name it."""

    label: str

    def manifest(self) -> Manifest:
        """What it holds. Raises BACKUP_NOT_FOUND, BACKUP_INVALID, BACKUP_TOO_NEW."""

    def open(self, name: str) -> AbstractContextManager[Reader]:
        """A stored file's bytes. Raises BACKUP_INVALID when it is missing."""

    def local(self, name: str) -> Path | None:
        """The stored file itself, where it is one on this machine."""

    def note(self, name: str) -> bytes | None:
        """A small file beside the manifest that is not of the backup."""

    def put_note(self, name: str, text: bytes) -> None:
        """Write one, where the backup's place takes it."""


class FolderBundle:
    """A backup in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = str(folder)

    def manifest(self) -> Manifest:
        path = self.folder / manifest.NAME
        try:
            with path.open("rb") as file:
                text = file.read(manifest.MAX_BYTES + 1)
        except OSError as error:
            raise not_found(self.label) from error
        return manifest.decode(text, self.label)

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        try:
            file = (self.folder / name).open("rb")
        except OSError as error:
            raise manifest.invalid(self.label, f"{name} is missing") from error
        with file:
            yield file

    def local(self, name: str) -> Path | None:
        return self.folder / name

    def note(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def put_note(self, name: str, text: bytes) -> None:
        with contextlib.suppress(OSError):  # a backup on a read-only disk is as good
            (self.folder / name).write_bytes(text)


class TarBundle:
    """A backup in one tar file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.label = str(path)

    def manifest(self) -> Manifest:
        with self._opened() as tar:
            first = tar.next()
            if first is None or first.name != manifest.NAME or not first.isreg():
                raise not_found(self.label)
            file = tar.extractfile(first)
            assert file is not None
            return manifest.decode(file.read(manifest.MAX_BYTES + 1), self.label)

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        with self._opened() as tar:
            try:
                member = tar.getmember(name)
            except KeyError as error:
                raise manifest.invalid(self.label, f"{name} is missing") from error
            file = tar.extractfile(member) if member.isreg() else None
            if file is None:
                raise manifest.invalid(self.label, f"{name} is not a file")
            with file:
                yield cast("Reader", file)

    def local(self, name: str) -> Path | None:
        return None

    def note(self, name: str) -> bytes | None:
        return None

    def put_note(self, name: str, text: bytes) -> None:
        return

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        import tarfile

        try:
            with tarfile.open(self._path, "r:") as tar:
                yield tar
        except FileNotFoundError as error:
            raise not_found(self.label) from error
        except (tarfile.TarError, EOFError) as error:
            raise manifest.invalid(self.label, f"the tar file is damaged or cut ({error})") from error


def not_found(label: str) -> PylonError:
    """There is no backup."""
    return PylonError(
        "BACKUP_NOT_FOUND",
        f"{label} is not a backup: it has no {manifest.NAME}.",
        hint="`pylon backup list` shows what a folder or bucket holds.",
    )
