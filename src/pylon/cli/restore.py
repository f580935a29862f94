"""Restore a backup into a stopped or new data folder: a folder, a tar file, s3://…, or the place that holds several.

It is verified first, and what does not verify is refused. With --to, changes from the archive bring the newest backup
before that time forward to it. What was in the data folder is moved aside, never deleted. Clients are told to load
everything anew, and sessions end unless --keep-sessions is given: some may have been revoked since. So may keys: those
that the replaced data no longer has are dropped; without such data all API keys and admin tokens are. --keep-keys keeps
what the backup holds.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from typing import TYPE_CHECKING

from pylon.cli.backup import add_keys, facts, keys_of, progress_bar, project_of
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure, finding
from pylon.cli.project import add_data_dir
from pylon.loading import load
from pylon.model.findings import Diagnostic, Severity

if TYPE_CHECKING:
    from pylon.ops.backup.restore import Candidate, Restored, Wish

_LATE = 5.0
"""Seconds by which the archive may end before the time asked for without a word: it is written every few."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a backup, or the folder or bucket that holds several (the newest is taken)")
    parser.add_argument("--to", metavar="TIME", help="bring it forward to this second, such as 2026-11-23T03:14:00Z")
    parser.add_argument("--archive", metavar="DIR", help="data folder or place that holds the archive, if another")
    parser.add_argument("--app", help="the app, for --to; found as by `pylon start` when left out")
    add_data_dir(parser)
    add_keys(parser)
    parser.add_argument("--replace", action="store_true", help="move what is in the data folder aside")
    parser.add_argument("--keep-sessions", action="store_true", help="keep the sessions that the backup holds")
    parser.add_argument("--keep-keys", action="store_true", help="keep the keys that the backup holds, revoked or not")
    parser.add_argument("-y", "--yes", action="store_true", help="don't ask")


def run(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.backup.restore import candidates, check_target, restore

    try:
        wish = _wish(options)
        found = candidates(wish)
        check_target(wish)
        if not options.yes and not _agreed(wish, found[0], output):
            output.answer({"ok": False, "aborted": True}, "Aborted.")
            return Exit.OK
        with progress_bar(output) as progress:
            done = restore(wish, found, progress=progress)
    except ValueError as error:
        hint = "Write it with its zone: 2026-11-23T03:14:00Z."
        output.report([failure("USAGE", f"--to is not a time: {error}", hint)])
        return Exit.USAGE
    output.report(_warnings(wish, done))
    _tell(options, wish, done, output)
    return Exit.OK


def _wish(options: argparse.Namespace) -> Wish:
    from pylon.ops.backup.restore import Wish, archives_of, parse_second
    from pylon.ops.backup.shelf import open_location, open_shelf

    to = None if options.to is None else parse_second(options.to)
    entry, settings = project_of(options.app, options)
    location = open_location(options.source, settings.s3_endpoint)
    named = None if options.archive is None else open_shelf(options.archive, settings.s3_endpoint)
    return Wish(
        location=location,
        data_dir=settings.data_dir,
        version=importlib.metadata.version("pylon"),
        keys=keys_of(options, settings),
        to=to,
        archives=archives_of(location, settings.data_dir, named),
        app=load(entry) if to is not None and entry is not None else None,
        replace=options.replace,
        keep_sessions=options.keep_sessions,
        keep_keys=options.keep_keys,
    )


def _agreed(wish: Wish, newest: Candidate, output: Output) -> bool:
    held = newest.manifest
    lines = [
        f"  {newest.bundle.label}: seq {held.seq}, of {held.taken_at}, {held.size / 1e6:,.1f} MB",
        f"  into {wish.data_dir}" + (", whose data is moved aside" if wish.data_dir.exists() else ""),
    ]
    output.note("\n".join(lines))
    print("Continue? [y/N] ", end="", flush=True, file=sys.stderr)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _warnings(wish: Wish, done: Restored) -> list[Diagnostic]:
    found = [finding(Severity.WARNING, "RESTORE_PASSED_OVER", message) for message in done.passed_over]
    if wish.to is not None and done.covers_until < wish.to - _LATE:
        from pylon.ops.backup.manifest import moment

        text = f"the archive ends at {moment(done.covers_until)}; what came after it is not in the restored data"
        found.append(finding(Severity.WARNING, "RESTORE_ENDS_EARLIER", text))
    if done.unknown:
        text = f"{done.unknown} changes are of entities that nothing declares; their rows were left out"
        found.append(finding(Severity.WARNING, "RESTORE_UNKNOWN_ENTITY", text))
    return found


def _of_keys(wish: Wish, done: Restored) -> list[str]:
    if wish.keep_keys:
        return ["    keys and admin tokens are those of the backup, also those revoked since: look at them"]
    dropped = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.withdrawn.dropped.items())
    if done.withdrawn.is_known:
        lines = ["    admin tokens are those of the data that was replaced"]
        return [*lines, f"    dropped, since that data no longer had them: {dropped}"] if dropped else lines
    lines = ["    what was revoked since is not known: admin tokens are those of PYLON_ADMIN_TOKEN"]
    return [*lines, f"    dropped: {dropped}; --keep-keys keeps them"] if dropped else lines


def _tell(options: argparse.Namespace, wish: Wish, done: Restored, output: Output) -> None:
    files = sum(entry.name.startswith(("uploads/", "data/")) for entry in done.manifest.files)
    document = {
        "code": "RESTORE_OK",
        "ok": True,
        "source": options.source,
        "backup": done.backup,
        "data_dir": str(wish.data_dir),
        "db": True,
        "manifest": True,
        "restored_files": files,
        "replayed": done.replayed,
        "to": options.to,
        "log_floor": done.log_floor,
        "sessions_kept": wish.keep_sessions,
        "keys_kept": wish.keep_keys,
        "keys_dropped": done.withdrawn.dropped,
        "aside": None if done.aside is None else str(done.aside),
        "rows": done.rows,
        **facts(done.manifest),
    }
    lines = [f"  info[RESTORE_OK] {wish.data_dir}: seq {done.manifest.seq} of {done.manifest.taken_at}"]
    if wish.to is not None:
        lines.append(f"    brought forward by {done.replayed} changes to {options.to}")
    if done.aside is not None:
        lines.append(f"    the data of before is in {done.aside}")
    if not wish.keep_sessions:
        lines.append("    sessions ended: people sign in again")
    lines += _of_keys(wish, done)
    lines.append("    switches and flags are those of the backup")
    output.answer(document, "\n".join(lines))
