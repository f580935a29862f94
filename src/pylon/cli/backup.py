"""Take a backup, while the server runs or not: `pylon backup DIR`, `pylon backup --tar FILE`, `pylon backup s3://…`.

`pylon backup verify WHERE` checks one from its sums to its rows; `pylon backup list [WHERE]` shows what a folder or a
bucket holds (PYLON_BACKUP_TARGET by default). The server needn't be reachable: the data folder is what is copied.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pylon.cli.exits import Exit
from pylon.cli.output import HumanOutput, Output, failure
from pylon.cli.project import add_data_dir, settings_for
from pylon.loading import Entry, NoEntryError, find_entry, load
from pylon.model.errors import PylonError
from pylon.settings import Settings

if TYPE_CHECKING:
    from pylon.ops.backup.keys import Keyring
    from pylon.ops.backup.manifest import Manifest
    from pylon.ops.backup.take import Progress

_NICE = 10
"""How far the copy stands back behind the server that it shares the machine with."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WHAT",
        help="DIR [APP], s3://BUCKET/NAME [APP], verify WHERE, list [WHERE]; APP adds its declaration",
    )
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign] # words after options
    parser.add_argument("--tar", metavar="FILE", help="write one tar file instead of a folder")
    add_data_dir(parser)
    add_keys(parser)
    parser.add_argument(
        "--recipient", metavar="AGE_KEY", help="encrypt to this age public key (PYLON_BACKUP_RECIPIENT)"
    )


def add_keys(parser: argparse.ArgumentParser) -> None:
    """The options that name a key."""
    parser.add_argument(
        "--passphrase-file", metavar="FILE", help="file of the passphrase, - for stdin (PYLON_BACKUP_PASSPHRASE)"
    )
    parser.add_argument("--identity", metavar="FILE", help="file of the age private key that opens a backup")


def run(options: argparse.Namespace, output: Output) -> int:
    words = options.words
    actions = {"verify": _verify, "list": _list}
    action = actions.get(words[0]) if words else None
    expected = (
        (len(words) == 2 if action is _verify else len(words) <= 2) if action else len(words) + bool(options.tar) > 0
    )
    if not expected or len(words) > (1 if options.tar else 2):
        output.report([failure("USAGE", "name what to write", "`pylon backup DIR`, or `pylon backup --help`.")])
        return Exit.USAGE
    return (action or _take)(options, output)


def _take(options: argparse.Namespace, output: Output) -> int:
    import importlib.metadata

    from pylon.ops.backup.shelf import open_shelf, partial, publish_folder, target_exists
    from pylon.ops.backup.take import WORK, Subject, take, to_tar

    target, named = (options.tar, options.words[:1]) if options.tar else (options.words[0], options.words[1:])
    entry, settings = project_of(named[0] if named else None, options)
    app = load(entry) if named and entry is not None else None
    subject = Subject(settings.data_dir, importlib.metadata.version("pylon"), app)
    seal = keys_of(options, settings).seal()
    is_remote = target.startswith("s3://")
    path = Path(target).expanduser().absolute()
    if not is_remote and path.exists() and (options.tar or not path.is_dir() or any(path.iterdir())):
        raise target_exists(target)
    shelf = open_shelf(target, settings.s3_endpoint) if is_remote else None
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    began = time.monotonic()
    _require_database(subject.data_dir)
    staged = partial(subject.data_dir / WORK / "upload" if is_remote else path)
    try:
        with progress_bar(output) as progress:
            made = take(subject, staged, seal=seal, progress=progress)
            if shelf is not None:
                shelf.publish(staged, "")
            elif options.tar:
                to_tar(staged, path)
            else:
                publish_folder(staged, path)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    uploads = sum(entry.name.startswith("uploads/") for entry in made.files)
    document = {
        "code": "BACKUP_OK",
        "ok": True,
        "target": target,
        "db": True,
        "manifest": True,
        "uploaded_files": uploads,
        "seconds": round(time.monotonic() - began, 3),
        **facts(made),
    }
    how = f", encrypted ({made.encryption.method})" if made.encryption else ""
    text = f"  info[BACKUP_OK] {target}: seq {made.seq}, {size(made.size)}, {uploads} uploads{how}, of {made.taken_at}"
    output.answer(document, text)
    return Exit.OK


def _require_database(data_dir: Path) -> None:
    """Nothing is made, not even an empty folder, where there is nothing to copy."""
    if not (data_dir / "pylon.db").is_file():
        raise PylonError(
            "BACKUP_EMPTY",
            f"There is nothing to back up: {data_dir} holds no pylon.db.",
            hint="Name the folder with --data-dir or PYLON_DATA_DIR.",
        )


def _verify(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.backup.bundle import not_found
    from pylon.ops.backup.shelf import Shelf, open_location
    from pylon.ops.backup.verify import verify

    _, settings = project_of(None, options)
    location = open_location(options.words[1], settings.s3_endpoint)
    keys = keys_of(options, settings)
    if isinstance(location, Shelf):
        names = location.names()
        if not names:
            raise not_found(location.label)
        bundles = [location.bundle(name) for name in names]
    else:
        bundles = [location]
    failed = 0
    for bundle in bundles:
        try:
            with progress_bar(output) as progress:
                verdict = verify(bundle, keys, clock=time.time, progress=progress)
        except PylonError as error:
            if len(bundles) == 1:
                raise
            failed += 1
            output.report([failure(error.code, error.message, error.hint)])
            continue
        rows = {name: count for name, count in verdict.rows.items() if not name.startswith(("_pylon_", "sqlite_"))}
        document = {"code": "BACKUP_VERIFIED", "ok": True, "backup": bundle.label} | facts(verdict.manifest)
        counted = ", ".join(f"{count} {name}" for name, count in rows.items()) or "no entities"
        text = f"  info[BACKUP_VERIFIED] {bundle.label}: whole, seq {verdict.manifest.seq}; {counted}"
        output.answer(document | {"rows": verdict.rows}, text)
    return Exit.FAILED if failed else Exit.OK


def _list(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.backup.schedule import list_backups
    from pylon.ops.backup.shelf import Shelf, open_location, open_shelf

    _, settings = project_of(None, options)
    if len(options.words) > 1:
        location = open_location(options.words[1], settings.s3_endpoint)
    elif settings.backup_target is not None:
        location = open_shelf(settings.backup_target, settings.s3_endpoint)
    else:
        output.report([failure("USAGE", "name a folder or bucket", "Or set PYLON_BACKUP_TARGET.")])
        return Exit.USAGE
    if not isinstance(location, Shelf):
        held = location.manifest()
        document = {"backups": [{"name": location.label} | facts(held)]}
        output.answer(document, f"{location.label}  {held.taken_at}  seq {held.seq}  {size(held.size)}")
        return Exit.OK
    found = list_backups(location)
    import msgspec

    words = {None: "never verified", True: "verified", False: "DOES NOT VERIFY"}
    lines = [
        f"{one.name}  {one.taken_at}  seq {one.seq}  {size(one.bytes)}  {words[one.verified]}"
        + ("  encrypted" if one.encrypted else "")
        for one in found
    ]
    output.answer({"backups": msgspec.to_builtins(found)}, "\n".join(lines) or "no backups")
    return Exit.OK


def project_of(app: str | None, options: argparse.Namespace) -> tuple[Entry | None, Settings]:
    """The app, where there is one, and the settings. An app that is named must exist."""
    here = Path.cwd()
    try:
        entry = find_entry(app, here)
    except NoEntryError:
        return None, settings_for(options, {}, here, here)[1]
    return entry, settings_for(options, {}, here, entry.folder)[1]


def keys_of(options: argparse.Namespace, settings: Settings) -> Keyring:
    """The key that the options name, else the settings'."""
    from pylon.ops.backup.keys import read_keyring

    named = options.passphrase_file or getattr(options, "recipient", None)
    passphrase = None if named else settings.backup_passphrase
    recipient = getattr(options, "recipient", None) or (None if named else settings.backup_recipient)
    return read_keyring(options.passphrase_file, recipient, options.identity, passphrase)


def facts(made: Manifest) -> dict[str, object]:
    """A backup in JSON answers."""
    return {
        "taken_at": made.taken_at,
        "seq": made.seq,
        "bytes": made.size,
        "files": len(made.files),
        "encryption": made.encryption.method if made.encryption else None,
        "pylon": made.pylon,
    }


def size(count: int) -> str:
    """`12.3 MB`."""
    return f"{count / 1e6:,.1f} MB"


@contextmanager
def progress_bar(output: Output) -> Iterator[Progress]:
    """A bar on a terminal; nothing elsewhere."""
    if not isinstance(output, HumanOutput) or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, int] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)  # type: ignore[arg-type]

        yield tell
