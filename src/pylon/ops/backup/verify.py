"""Whether a backup is whole: every file's sum, and what the database holds against what the manifest says of it.

What is sealed, packed or in a bucket is unpacked for it; a plain folder is read where it lies.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pylon.model.errors import PylonError
from pylon.ops.backup import manifest
from pylon.ops.backup.bundle import VERIFIED, Bundle
from pylon.ops.backup.keys import Keyring, Measure, Opener, copy_stream
from pylon.ops.backup.manifest import FileEntry, Manifest, SealedFile
from pylon.ops.backup.shelf import create
from pylon.ops.backup.take import Progress, silent
from pylon.store.sqlite.snapshot import contents, examine


@dataclass(frozen=True, slots=True)
class Verdict:
    """A backup that is whole, and the number of rows in each of its tables."""

    manifest: Manifest
    rows: dict[str, int]


class Note(msgspec.Struct, frozen=True):
    """What is remembered of the last verification."""

    at: str
    ok: bool
    problem: str | None = None


def verify(bundle: Bundle, keys: Keyring, *, clock: Callable[[], float], progress: Progress = silent) -> Verdict:
    """Check everything, and note the outcome beside the backup. Raises BACKUP_INVALID, BACKUP_KEY_REFUSED."""
    try:
        verdict = _verify(bundle, keys, progress)
    except PylonError as error:
        if error.code == "BACKUP_INVALID":
            _note(bundle, Note(manifest.moment(clock()), False, error.message))
        raise
    _note(bundle, Note(manifest.moment(clock()), True))
    return verdict


def noted(bundle: Bundle) -> Note | None:
    """The last verification that is remembered."""
    text = bundle.note(VERIFIED)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Note)
    except msgspec.MsgspecError:
        return None


def unpack(bundle: Bundle, held: Manifest, into: Path, keys: Keyring, progress: Progress = silent) -> None:
    """Write every file of a backup, opened, below `into`, checking each sum. Raises BACKUP_INVALID, BACKUP_KEY_REFUSED;
    what is in `into` is worth nothing then."""
    opener, inside = _opened(held, keys, bundle.label)
    total = held.size or 1
    done = 0
    for entry in held.files:
        sealed = inside.get(entry.name)
        target = into / (sealed.name if sealed else entry.name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            bundle.open(entry.name) as source,
            create(target) as file,
        ):
            stored, plain = Measure(source), Measure(file)
            try:
                if sealed is not None and opener is not None:
                    opener.stream(stored, plain)
                else:
                    copy_stream(stored, plain)
            except ValueError as error:
                raise manifest.invalid(bundle.label, f"{entry.name} can't be opened: {error}") from error
            _compare(bundle, entry, stored)
            if sealed is not None and (plain.size, plain.sha256) != (sealed.size, sealed.sha256):
                raise manifest.invalid(bundle.label, f"{entry.name} holds something else than it should")
            file.flush()
            os.fsync(file.fileno())
        done += entry.size
        progress("files", done, total)


def check_database(path: Path, held: Manifest, label: str) -> dict[str, int]:
    """Rows by table of an unpacked database that is whole and what the manifest says. Raises BACKUP_INVALID."""
    found = contents(path)
    problems, rows = examine(path)
    if problems:
        raise manifest.invalid(label, f"integrity_check: {problems[0]}")
    audit = None if held.audit is None else (held.audit.id, held.audit.hash)
    for what, stated, true in (
        ("seq", held.seq, found.seq),
        ("log_floor", held.log_floor, found.log_floor),
        ("timeline", held.timeline, found.timeline),
        ("page count", held.database.pages, found.pages),
        ("schema", held.database.schema, found.schema),
        ("audit head", audit, found.audit),
    ):
        if stated != true:
            raise manifest.invalid(label, f"its {what} is {true}, {manifest.NAME} says {stated}")
    return rows


def _verify(bundle: Bundle, keys: Keyring, progress: Progress) -> Verdict:
    held = bundle.manifest()
    database = bundle.local(manifest.DATABASE)
    if held.encryption is None and database is not None:
        done, total = 0, held.size or 1
        for entry in held.files:
            with bundle.open(entry.name) as source:
                measure = Measure(source)
                _compare(bundle, entry, measure)
            done += entry.size
            progress("files", done, total)
        _needs_database({entry.name for entry in held.files}, bundle.label)
        return Verdict(held, check_database(database, held, bundle.label))
    with tempfile.TemporaryDirectory(prefix="pylon-verify-") as scratch:
        unpack(bundle, held, Path(scratch), keys, progress)
        return Verdict(held, check_database(Path(scratch) / manifest.DATABASE, held, bundle.label))


def _opened(held: Manifest, keys: Keyring, label: str) -> tuple[Opener | None, dict[str, SealedFile]]:
    if held.encryption is None:
        _needs_database({entry.name for entry in held.files}, label)
        return None, {}
    opener = keys.opener(held.encryption)
    try:
        sealed = msgspec.json.decode(opener.text(held.sealed or ""), type=tuple[SealedFile, ...])
    except msgspec.MsgspecError as error:
        raise manifest.invalid(label, "its sealed list of files is malformed") from error
    names = [item.name for item in sealed]
    if len(set(names)) != len(names) or any(manifest.is_unsafe(name) for name in names):
        raise manifest.invalid(label, "it names a file twice, or one outside the backup")
    stored = {entry.name for entry in held.files}
    if missing := {item.stored for item in sealed} - stored:
        raise manifest.invalid(label, f"{min(missing)} is missing")
    _needs_database(set(names), label)
    return opener, {item.stored: item for item in sealed}


def _needs_database(names: set[str], label: str) -> None:
    if manifest.DATABASE not in names:
        raise manifest.invalid(label, f"it holds no {manifest.DATABASE}")


def _compare(bundle: Bundle, entry: FileEntry, read: Measure) -> None:
    while read.read():  # what an opener left unread counts too
        pass
    if read.size != entry.size:
        raise manifest.invalid(bundle.label, f"{entry.name} has {read.size} bytes instead of {entry.size}")
    if read.sha256 != entry.sha256:
        raise manifest.invalid(bundle.label, f"{entry.name} was altered: its SHA-256 differs")


def _note(bundle: Bundle, note: Note) -> None:
    bundle.put_note(VERIFIED, msgspec.json.encode(note))
