"""Restoring a backup into a stopped or new data folder, as it was or brought forward to a second after it.

Everything is unpacked, verified and replayed in a folder beside the target, which takes the target's place only when it
is whole; what was there is moved aside, never deleted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pylon.engine.keyring import FILE_NAME as SECRET_KEY
from pylon.model.errors import PylonError
from pylon.model.manifest_reader import from_manifest
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec
from pylon.ops.backup import archive, manifest
from pylon.ops.backup.bundle import Bundle, not_found
from pylon.ops.backup.exchange import INSIDE, can_rename, exchange
from pylon.ops.backup.history import History
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.manifest import Manifest
from pylon.ops.backup.shelf import PARTIAL, FolderShelf, Shelf, backup_name, write_file
from pylon.ops.backup.take import DATA, WORK, Progress, silent
from pylon.ops.backup.verify import check_database, unpack
from pylon.store.lock import FolderLock
from pylon.store.sqlite.database import SqliteStore
from pylon.store.sqlite.replay import Logged, Timeline, begin_timeline, replay
from pylon.store.sqlite.withdrawn import Withdrawn, standing

_OF_THE_FOLDER = frozenset({"lock", WORK, archive.FOLDER})
"""What a data folder may hold and still be empty."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to restore, and where. `to` is a Unix second; `archives` are where its records may be, nearest first."""

    location: Bundle | Shelf
    data_dir: Path
    version: str
    keys: Keyring = field(default_factory=Keyring)
    to: int | None = None
    archives: Sequence[Shelf] = ()
    app: AppSpec | None = None
    replace: bool = False
    keep_sessions: bool = False
    keep_keys: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backup that may be restored."""

    bundle: Bundle
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. `withdrawn` are keys of the backup that no longer open anything; `aside` is where the data of
    before is; `passed_over` are newer backups that did not verify."""

    backup: str
    manifest: Manifest
    rows: dict[str, int]
    replayed: int
    unknown: int
    covers_until: float
    log_floor: int
    withdrawn: Withdrawn
    aside: Path | None
    passed_over: tuple[str, ...] = ()


def candidates(wish: Wish) -> list[Candidate]:
    """The backups that fit, newest first: the one that is named, or all that the place holds. Raises BACKUP_NOT_FOUND
    when there is none."""
    location = wish.location
    if not isinstance(location, Shelf):
        found = [Candidate(location, location.manifest())]
    else:
        found = []
        for name in location.names():
            bundle = location.bundle(name)
            with contextlib.suppress(PylonError):  # one that can't be read is no candidate
                found.append(Candidate(bundle, bundle.manifest()))
        found.sort(key=lambda candidate: candidate.manifest.taken, reverse=True)
    if not found:
        raise not_found(location.label)
    if wish.to is None:
        return found
    return _before(wish, wish.to, found)


def _before(wish: Wish, to: int, found: list[Candidate]) -> list[Candidate]:
    fitting = [candidate for candidate in found if candidate.manifest.taken < to + 1]
    if not fitting:
        oldest = found[-1].manifest.taken_at
        raise PylonError(
            "RESTORE_NO_BASE",
            f"No backup was taken at or before {manifest.moment(to)}; the oldest is of {oldest}.",
            hint="Name a later time, or another place with older backups.",
        )
    line = fitting[0].manifest.timeline
    later = [t for t in _history(wish).timelines() if line < t <= to]
    if later:
        raise PylonError(
            "RESTORE_NO_BASE",
            f"The data was restored, or its schema changed in names or types, at {manifest.moment(later[-1])}, "
            "and no backup was taken since then.",
            hint="Name a time before that, or the data folder as it is now.",
        )
    return [candidate for candidate in fitting if candidate.manifest.timeline == line]


def check_target(wish: Wish) -> None:
    """Raise RESTORE_TARGET_NOT_EMPTY for a folder that holds something, unless it is to be replaced."""
    if wish.replace or not wish.data_dir.exists():
        return
    if not wish.data_dir.is_dir() or any(path.name not in _OF_THE_FOLDER for path in wish.data_dir.iterdir()):
        raise PylonError(
            "RESTORE_TARGET_NOT_EMPTY",
            f"{wish.data_dir} is not empty.",
            hint="Add --replace: what is there is moved aside, not deleted. Or name a new folder with --data-dir.",
        )


def restore(
    wish: Wish,
    found: Sequence[Candidate],
    *,
    progress: Progress = silent,
    clock: Callable[[], float] = time.time,
) -> Restored:
    """Restore the newest of the candidates that verifies. Raises DATA_DIR_LOCKED, RESTORE_TARGET_NOT_EMPTY, BACKUP_*,
    ARCHIVE_GAP; the target is as it was then."""
    check_target(wish)
    with _locked(wish.data_dir):
        check_target(wish)
        passed_over: list[str] = []
        for candidate in found:
            manifest.check_version(candidate.manifest, candidate.bundle.label, wish.version)
            try:
                done = _restore(wish, candidate, progress, clock)
            except PylonError as error:
                if error.code != "BACKUP_INVALID" or candidate is found[-1]:
                    raise
                passed_over.append(error.message)
            else:
                return replace(done, passed_over=tuple(passed_over))
    raise AssertionError("there is at least one candidate")


def _restore(wish: Wish, candidate: Candidate, progress: Progress, clock: Callable[[], float]) -> Restored:
    held, label = candidate.manifest, candidate.bundle.label
    now = clock()
    target = wish.data_dir.resolve()
    kept_as = target.with_name(f"{target.name}.{INSIDE}{backup_name(now)}")
    try:
        staged = _stage(target)
        try:
            unpack(candidate.bundle, held, staged, wish.keys, progress)
            database = staged / manifest.DATABASE
            rows = check_database(database, held, label)
            replayed, unknown, until = 0, 0, held.taken
            if wish.to is not None:
                replayed, unknown, until = _bring_forward(wish, wish.to, held, staged, progress)
            _arrange(staged)
            _keep_secret_keys(target / SECRET_KEY, staged / SECRET_KEY)
            line = Timeline(
                begins=int(now),
                reserved_ids_ns=int(now * 1e9),
                keep_sessions=wish.keep_sessions,
                keep_keys=wish.keep_keys,
                standing=standing(target / manifest.DATABASE),
            )
            floor, withdrawn = begin_timeline(database, line)
            _keep_archive(target / archive.FOLDER, staged / archive.FOLDER)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        with _locked(staged):  # from here on `staged` may hold the old data: it is never deleted
            aside = exchange(staged, target, kept_as)
        if aside is not None and {path.name for path in aside.iterdir()} <= {"lock"}:
            shutil.rmtree(aside)  # there was nothing in it
            aside = None
    except OSError as error:
        raise PylonError("RESTORE_FAILED", f"The backup could not be restored: {error.strerror or error}.") from error
    return Restored(label, held, rows, replayed, unknown, until, floor, withdrawn, aside)


def _stage(target: Path) -> Path:
    """A new folder beside the target, or in it when it can't be renamed. Not one of the names that are swept away."""
    inside = not can_rename(target)
    parent, name = (target, "") if inside else (target.parent, target.name)
    parent.mkdir(parents=True, exist_ok=True)
    staged = parent / f"{name}.restoring-{secrets.token_hex(4)}"
    staged.mkdir(mode=0o700)
    return staged


def _bring_forward(wish: Wish, to: int, held: Manifest, staged: Path, progress: Progress) -> tuple[int, int, float]:
    entities = _entities(wish.app, staged)
    types = {name: compile_rows(entity) for name, entity in entities.items()}
    database = staged / manifest.DATABASE
    SqliteStore(database, types).apply(list(entities.values()))
    history = _history(wish)

    def counted() -> Iterator[Logged]:
        for number, record in enumerate(history.records(held.timeline, held.seq, to), 1):
            if number % 1000 == 0:
                progress("records", number, 0)
            yield record

    done = replay(database, types, counted())
    return done.applied, done.unknown, min(history.covers_until(held.timeline) or held.taken, float(to))


def _entities(app: AppSpec | None, staged: Path) -> dict[str, EntitySpec]:
    """What declares the rows: the app as it is now, and for what it no longer has the app as it was at the backup."""
    then = staged / "manifest.json"
    entities: dict[str, EntitySpec] = {}
    if then.is_file():
        entities = {entity.name: entity for entity in from_manifest(then.read_bytes()).entities}
    if app is not None:
        entities |= {entity.name: entity for entity in app.entities}
    if not entities:
        raise PylonError(
            "RESTORE_NO_APP",
            "To bring a backup forward, the app that declares its entities is needed.",
            hint="Name it: `pylon restore SOURCE --to TIME --app app.py`.",
        )
    return entities


def _history(wish: Wish) -> History:
    return History(wish.archives, wish.keys)


def _arrange(staged: Path) -> None:
    """From the layout of a backup to that of a data folder."""
    for name in ("VERSION", "manifest.json"):
        (staged / name).unlink(missing_ok=True)
    data = staged / DATA
    if data.is_dir():
        for path in sorted(data.iterdir()):
            path.rename(staged / path.name)
        data.rmdir()


def _keep_secret_keys(old: Path, new: Path) -> None:
    """The restored folder has the keys of the one it replaces as well as those of the backup: each may have sealed
    something that is needed."""
    keys = [line for path in (old, new) if path.is_file() for line in path.read_text("utf-8").split()]
    if keys:
        new.unlink(missing_ok=True)
        write_file(new, "".join(f"{key}\n" for key in dict.fromkeys(keys)).encode())


def _keep_archive(old: Path, new: Path) -> None:
    """The restored folder keeps the archive, so that another second can be tried; finished files are shared."""
    for path in sorted(old.rglob("*")):
        if path.is_file() and PARTIAL not in path.name:
            target = new / path.relative_to(old)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copy2(path, target)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, if it exists."""
    if not folder.is_dir():
        yield
        return
    lock = FolderLock(folder)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def archives_of(location: Bundle | Shelf, data_dir: Path, named: Shelf | None) -> tuple[Shelf, ...]:
    """Where the archive may be: the place that is named, else this machine's and the one that the backups are in."""
    if named is not None:
        return (named,)
    places: list[Shelf] = [FolderShelf(data_dir)]
    if isinstance(location, Shelf):
        places.append(location)
    return tuple(places)


def parse_second(text: str) -> int:
    """The Unix second that an RFC 3339 time with a zone names. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("it names no time zone")
    return int(moment.astimezone(UTC).timestamp())
