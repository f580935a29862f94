"""Where backups are kept: a folder or a bucket (`s3`) that holds several, each under its name, and the archive."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from pylon.model.errors import PylonError
from pylon.ops.backup import manifest
from pylon.ops.backup.bundle import Bundle, FolderBundle, TarBundle, not_found

PARTIAL = ".partial-"
"""In the name of what is being made: never a backup, whatever it holds."""


@runtime_checkable
class Shelf(Protocol):
    """A place for many backups. Keys are paths with `/`."""

    label: str

    def names(self) -> list[str]:
        """The backups, by name."""

    def bundle(self, name: str) -> Bundle:
        """One of them."""

    def stage(self, name: str, work: Path) -> Path:
        """A new empty folder in which a backup is made, here or under `work`."""

    def publish(self, staged: Path, name: str) -> None:
        """Make a staged backup the one of this name, all at once. Raises BACKUP_TARGET_EXISTS."""

    def remove(self, name: str) -> None:
        """Delete a backup; what is left at any moment of it is never taken for one."""

    def keys(self, prefix: str) -> list[str]:
        """Keys of single files below a prefix, sorted."""

    def read(self, key: str) -> bytes | None:
        """A single file."""

    def write(self, key: str, data: bytes) -> None:
        """Write or replace a single file, all at once."""

    def delete(self, key: str) -> None:
        """Delete a single file."""


class FolderShelf:
    """Backups in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = str(folder)

    def names(self) -> list[str]:
        try:
            found = sorted(self.folder.iterdir())
        except FileNotFoundError:
            return []
        return [path.name for path in found if PARTIAL not in path.name and _is_backup(path)]

    def bundle(self, name: str) -> Bundle:
        if manifest.is_unsafe(name) or PARTIAL in name:
            raise not_found(name)
        path = self.folder / name
        return TarBundle(path) if path.is_file() else FolderBundle(path)

    def stage(self, name: str, work: Path) -> Path:
        return partial(self.folder / name)

    def publish(self, staged: Path, name: str) -> None:
        publish_folder(staged, self.folder / name)

    def remove(self, name: str) -> None:
        path = self.folder / name
        if path.is_file():
            path.unlink()
            return
        doomed = self.folder / f"{name}{PARTIAL}removed"
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def keys(self, prefix: str) -> list[str]:
        root = self.folder / prefix
        found = (path.relative_to(self.folder).as_posix() for path in root.rglob("*") if path.is_file())
        return sorted(key for key in found if PARTIAL not in key)

    def read(self, key: str) -> bytes | None:
        try:
            return (self.folder / key).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}{PARTIAL}{secrets.token_hex(4)}")
        try:
            write_file(temporary, data)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)


def open_location(text: str, endpoint: str | None = None) -> Bundle | Shelf:
    """What an address names: one backup (a folder, a tar file, a prefix), or a place that holds several. Raises
    BACKUP_NOT_FOUND."""
    if text.startswith("s3://"):
        from pylon.ops.backup.s3 import open_s3

        return open_s3(text, endpoint)
    path = Path(text)
    if path.is_file():
        return TarBundle(path)
    if (path / manifest.NAME).is_file():
        if PARTIAL in path.resolve().name:
            raise PylonError("BACKUP_INVALID", f"{text} was never finished.", hint="Use another backup.")
        return FolderBundle(path)
    if path.is_dir():
        return FolderShelf(path)
    raise not_found(text)


def open_shelf(text: str, endpoint: str | None = None) -> Shelf:
    """A place for many backups, made when it is first used."""
    if text.startswith("s3://"):
        from pylon.ops.backup.s3 import S3Shelf

        return S3Shelf.of(text, endpoint)
    return FolderShelf(Path(text).expanduser())


def backup_name(taken_at: float) -> str:
    """`20261123T031400Z`: names sort by time."""
    return datetime.fromtimestamp(taken_at, UTC).strftime("%Y%m%dT%H%M%SZ")


def partial(target: Path) -> Path:
    """A new empty folder beside `target`, to be renamed to it. Raises BACKUP_FAILED when that can't be made."""
    folder = target.with_name(f"{target.name}{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise PylonError("BACKUP_FAILED", f"{folder.parent} can't be written to: {error.strerror}.") from error
    return folder


def sweep(folder: Path, older_than: float = 0.0) -> None:
    """Delete what processes that are gone left half-made in a folder, folders and tar files alike, if nothing was
    added to it for `older_than` seconds."""
    for path in folder.glob(f"*{PARTIAL}*") if folder.is_dir() else ():
        owner = path.name.rsplit(PARTIAL, 1)[1].split("-", 1)[0]
        if not _is_running(owner) and time.time() - path.stat().st_mtime >= older_than:
            discard(path)


def discard(path: Path) -> None:
    """Delete a folder or a file, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def _is_running(process: str) -> bool:
    if not process.isdigit() or int(process) == os.getpid():  # a container's first process always has the same id
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def publish_folder(staged: Path, target: Path) -> None:
    """Rename a finished folder to its place, durably. Raises BACKUP_TARGET_EXISTS."""
    try:
        staged.rename(target)  # an empty folder may stand there; anything else refuses
    except OSError as error:
        raise target_exists(str(target)) from error
    sync_folder(target.parent)


def target_exists(label: str) -> PylonError:
    """Something stands where the backup should go."""
    return PylonError(
        "BACKUP_TARGET_EXISTS", f"{label} exists and is not empty.", hint="Name a new one: nothing is overwritten."
    )


def write_file(path: Path, data: bytes) -> None:
    """A small file, durably."""
    with create(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network filesystems don't offer it
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _is_backup(path: Path) -> bool:
    if path.is_dir():
        return (path / manifest.NAME).is_file()
    return path.suffix == ".tar" and path.is_file()
