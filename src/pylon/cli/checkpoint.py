"""Move the write-ahead log into the database and empty it: through the running server, or, when none holds the data
folder, directly. A server does this by itself; run it when the log has grown and the long reader is gone."""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import add_data_dir, settings_for
from pylon.cli.remote import Remote, Unreachable, add_remote_options
from pylon.model.errors import PylonError
from pylon.settings import Settings

_WAIT_SECONDS = 5.0
_MARGIN_SECONDS = 10.0
_RETRY_SECONDS = 0.05


def configure(parser: argparse.ArgumentParser) -> None:
    add_remote_options(parser)
    add_data_dir(parser)
    parser.add_argument(
        "--wait",
        type=float,
        default=_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for readers of older snapshots (default 5, at most 60)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    here = Path.cwd()
    _, settings = settings_for(options, {}, here, here)
    remote = Remote.from_options(options)
    try:
        if options.url is None and not _is_held(settings):
            answer = _offline(settings, options.wait)
        else:
            remote.timeout = options.wait + _MARGIN_SECONDS
            answer = remote.post("/api/admin/checkpoint", {"seconds": options.wait})
    except Unreachable as error:
        hint = "A process holds the data folder, but does not answer there: name it with --url, or stop it."
        output.report([failure(error.code, error.message, error.hint if options.url else hint)])
        return Exit.UNAVAILABLE
    output.answer(answer, _told(answer))
    return Exit.OK if answer["complete"] else Exit.FAILED


def _is_held(settings: Settings) -> bool:
    """Whether a process uses the data folder. A folder without a database is nobody's to checkpoint offline."""
    from pylon.store.lock import FolderLock

    if not settings.database_path.is_file():
        return True
    lock = FolderLock(settings.data_dir)
    try:
        lock.acquire()
    except PylonError:
        return True
    lock.release()
    return False


def _offline(settings: Settings, seconds: float) -> dict[str, Any]:
    """The same on the files. Raises DATA_DIR_LOCKED when a server starts just now."""
    from pylon.store.lock import FolderLock
    from pylon.store.sqlite.database import SqliteStore

    lock = FolderLock(settings.data_dir)
    lock.acquire()
    try:
        with contextlib.closing(SqliteStore(settings.database_path, {}).checkpoints()) as checkpoints:
            began = time.monotonic()
            before = checkpoints.file_bytes()
            while not (complete := checkpoints.truncate()) and time.monotonic() - began < seconds:
                time.sleep(_RETRY_SECONDS)
            return {
                "mode": "truncate",
                "wal_bytes_before": before,
                "wal_bytes_after": checkpoints.file_bytes(),
                "complete": complete,
                "seconds": round(time.monotonic() - began, 3),
                "readers": [],
            }
    finally:
        lock.release()


def _told(answer: dict[str, Any]) -> str:
    before, after = answer["wal_bytes_before"] / 2**20, answer["wal_bytes_after"] / 2**20
    lines = [f"write-ahead log: {before:.1f} MB before, {after:.1f} MB after ({answer['seconds']:.1f} s)"]
    if not answer["complete"]:
        lines.append("not complete: a reader holds an older snapshot")
        lines += [
            f"  {reader['what']}  {reader['seconds']:.1f} s  user {reader['user'] or '-'}  "
            f"request {reader['request_id'] or '-'}"
            for reader in answer["readers"]
        ]
        lines.append("wait for it, or for PYLON_READER_MAX_SECS, and run this again")
    return "\n".join(lines)
