"""What is stored of a user of a running server: all of it as JSON, or erase it from every entity and store.

pylon user export 0197c6… > user.json
pylon user purge 0197c6… --yes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options, segment
from pylon.cli.schema import agreed


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    export = actions.add_parser("export", help="everything that is stored of a user, without secrets, as JSON")
    export.add_argument("id", help="the user's id")
    export.add_argument("--to", type=Path, metavar="FILE", help="write it there (default: to the terminal)")
    purge = actions.add_parser("purge", help="erase a user from every entity and store; there is no way back")
    purge.add_argument("id", help="the user's id")
    purge.add_argument("-y", "--yes", action="store_true", help="don't ask")
    for action in (export, purge):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    path = f"/api/admin/users/{segment(options.id)}"
    if options.action == "export":
        return _export(remote, f"{path}/export", options.to, output)
    if not (options.yes or agreed(f"Erase {options.id} for good?")):
        output.report([failure("PURGE_REFUSED", "nothing was erased", "`--yes` agrees beforehand.")])
        return Exit.FAILED
    report = remote.delete(f"{path}/purge")
    output.answer(report, _told(report))
    return Exit.FAILED if report["errors"] else Exit.OK


def _export(remote: Remote, path: str, target: Path | None, output: Output) -> int:
    if target is None:
        for piece in remote.stream(path):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return Exit.OK
    with target.open("wb") as file:
        for piece in remote.stream(path):
            file.write(piece)
    output.answer({"file": str(target)}, f"written to {target}")
    return Exit.OK


def _told(report: dict[str, Any]) -> str:
    lines = [f"{report['user_id']}: {report['rows_deleted']} rows and {report['sessions_revoked']} sessions deleted"]
    for line in report["report"]:
        counts = ", ".join(f"{line[name]} {name}" for name in ("deleted", "cleared", "kept") if line[name])
        if counts or line["why"]:
            lines.append(f"  {line['store']}: {'. '.join(part for part in (counts, line['why']) if part)}")
    return "\n".join([*lines, *(f"  not deleted: {problem}" for problem in report["errors"])])
