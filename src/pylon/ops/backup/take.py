"""Making one backup: the database first, then the files beside it, then the manifest, into a folder that is renamed to
its place when all of it is on the disk.

The database comes first, so that every upload that one of its rows names is there to be copied.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pylon.engine.keyring import FILE_NAME as SECRET_KEY
from pylon.model.errors import PylonError
from pylon.model.manifest import to_manifest
from pylon.model.schema import AppSpec
from pylon.ops.backup import manifest, shelf
from pylon.ops.backup.keys import Measure, Seal, copy_stream
from pylon.ops.backup.manifest import AppFacts, AuditHead, Database, FileEntry, Manifest, SealedFile
from pylon.store.sqlite.snapshot import Pace, contents, copy_database

if TYPE_CHECKING:  # felt at cold start, and needed for tar files only
    import tarfile

UPLOADS = "uploads"
DATA = "data"
"""Where a backup keeps the other files of the data folder, such as switches."""

WORK = ".backup"
"""The folder inside the data folder where plain copies lie that are about to be sealed or sent."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""

_NOT_TAKEN = frozenset({"lock", "dev-diagnostics.json"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What a backup is of. `app` is what the data's app declares, where that is known."""

    data_dir: Path
    version: str
    app: AppSpec | None = None


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def take(
    subject: Subject,
    staged: Path,
    *,
    seal: Seal | None,
    pace: Pace | None = None,
    progress: Progress = silent,
    clock: Callable[[], float] = time.time,
) -> Manifest:
    """Make a backup in the empty folder `staged`. Raises BACKUP_EMPTY, BACKUP_FAILED."""
    source = subject.data_dir / manifest.DATABASE
    if not source.is_file():
        raise PylonError(
            "BACKUP_EMPTY",
            f"There is nothing to back up: {subject.data_dir} holds no {manifest.DATABASE}.",
            hint="Name the folder with --data-dir or PYLON_DATA_DIR.",
        )
    try:
        with _plain_place(subject, staged, seal) as plain:
            taken_at = copy_database(
                source,
                plain,
                pace=pace or Pace(),
                progress=lambda done, total: progress("database", done, total),
                clock=clock,
            )
            held = contents(plain)
            writer = _Writer(staged, seal)
            writer.add_database(plain)
        files = _files(subject.data_dir, is_sealed=seal is not None)
        for number, (path, name) in enumerate(files, 1):
            writer.add(path, name)
            progress("files", number, len(files))
        if subject.app is not None:
            writer.add_text(msgspec.json.encode(to_manifest(subject.app)), "manifest.json")
        shelf.write_file(staged / "VERSION", subject.version.encode())
        writer.entries.append(_entry(staged / "VERSION", staged))
        made = Manifest(
            pylon=subject.version,
            app=None
            if subject.app is None
            else AppFacts(subject.app.name, subject.app.version, _declared(subject.app)),
            taken_at=manifest.moment(taken_at),
            seq=held.seq,
            log_floor=held.log_floor,
            timeline=held.timeline,
            audit=None if held.audit is None else AuditHead(*held.audit),
            database=Database(held.pages, held.page_size, held.schema),
            encryption=None if seal is None else seal.encryption,
            files=tuple(writer.entries),
            sealed=None if seal is None else seal.text(msgspec.json.encode(writer.sealed)),
        )
        shelf.write_file(staged / manifest.NAME, made.encode())
        for folder in {path.parent for path in staged.rglob("*")}:
            shelf.sync_folder(folder)
    except OSError as error:
        raise PylonError("BACKUP_FAILED", f"The backup could not be written: {error.strerror or error}.") from error
    return made


def to_tar(staged: Path, target: Path) -> None:
    """Pack a staged backup into one file beside which it lies, and put it in its place. Each file is deleted once it is
    packed, so that the disk holds little twice. Raises BACKUP_TARGET_EXISTS."""
    import tarfile

    if target.exists():
        raise shelf.target_exists(str(target))
    temporary = target.with_name(f"{staged.name}.tar")
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    files.sort(key=lambda path: path.name != manifest.NAME or path.parent != staged)
    try:
        with shelf.create(temporary) as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for path in files:
                    tar.add(path, path.relative_to(staged).as_posix(), recursive=False, filter=_anonymous)
                    path.unlink()
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, target)  # unlike rename, it refuses what exists
        shelf.sync_folder(target.parent)
    except FileExistsError as error:
        raise shelf.target_exists(str(target)) from error
    except OSError as error:
        raise PylonError("BACKUP_FAILED", f"The tar file could not be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


class _Writer:
    """Stores files in a backup, sealed or as they are, and remembers their sums."""

    def __init__(self, staged: Path, seal: Seal | None) -> None:
        self._staged = staged
        self._seal = seal
        self.entries: list[FileEntry] = []
        self.sealed: list[SealedFile] = []

    def add_database(self, plain: Path) -> None:
        if self._seal is None:
            self.entries.append(_entry(plain, self._staged))
        else:
            self.add(plain, manifest.DATABASE)

    def add(self, path: Path, name: str) -> None:
        """Store one file; one that was deleted since it was listed is left out."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return
        with source:
            self._store(source, name)

    def add_text(self, text: bytes, name: str) -> None:
        import io

        self._store(io.BytesIO(text), name)

    def _store(self, source: Any, name: str) -> None:
        stored = name if self._seal is None else self._sealed_name(name)
        target = self._staged / stored
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with shelf.create(target) as file:
            plain, kept = Measure(source), Measure(file)
            if self._seal is None:
                copy_stream(plain, kept)
            else:
                self._seal.stream(plain, kept)
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(FileEntry(stored, kept.size, kept.sha256))
        if self._seal is not None:
            self.sealed.append(SealedFile(stored, name, plain.size, plain.sha256))

    def _sealed_name(self, name: str) -> str:
        if "/" not in name:
            return f"{name}.age"
        return f"{name.split('/', 1)[0]}/{len(self.sealed):08d}.age"


@contextlib.contextmanager
def _plain_place(subject: Subject, staged: Path, seal: Seal | None) -> Iterator[Path]:
    """Where the copy of the database is made: in its place, or, when it is to be sealed, in the data folder, so that
    nothing in the clear ever reaches the backup's disk."""
    if seal is None:
        yield staged / manifest.DATABASE
        return
    folder = shelf.partial(subject.data_dir / WORK / "plain")
    try:
        yield folder / manifest.DATABASE
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(data_dir: Path, *, is_sealed: bool) -> list[tuple[Path, str]]:
    """The files beside the database: uploads, and single files such as switches. Never links, never other folders. The
    secret key goes into sealed backups only: beside an open database it would open all that is sealed in it."""
    uploads = data_dir / UPLOADS
    found = [(path, path.relative_to(data_dir).as_posix()) for path in uploads.rglob("*") if _is_plain(path)]
    for path in data_dir.iterdir():
        own = path.name.startswith((manifest.DATABASE, ".")) or path.name in _NOT_TAKEN or path.suffix == ".log"
        own = own or (path.name == SECRET_KEY and not is_sealed)
        if not own and shelf.PARTIAL not in path.name and path.suffix != ".tar" and _is_plain(path):
            found.append((path, f"{DATA}/{path.name}"))
    return sorted(found, key=lambda item: item[1])


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _entry(path: Path, folder: Path) -> FileEntry:
    with path.open("rb") as file:
        measure = Measure(file)
        while measure.read():
            pass
    return FileEntry(path.relative_to(folder).as_posix(), measure.size, measure.sha256)


def _declared(app: AppSpec) -> str:
    """The fingerprint of what the app declares."""
    import hashlib

    entities = to_manifest(app).get("entities")
    return hashlib.sha256(msgspec.json.encode(entities, order="sorted")).hexdigest()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
