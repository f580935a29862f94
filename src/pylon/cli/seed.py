"""Fill a running server with the rows of a file, `seed.json` by default: `{"Entity": [{row}, …]}` (spec 07 §8)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure, finding
from pylon.cli.remote import Remote, add_remote_options, segment
from pylon.model.findings import Severity


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", default="seed.json", help="the rows (default seed.json)")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        entities = json.loads(Path(options.file).read_text("utf-8"))
        if not isinstance(entities, dict) or not all(isinstance(rows, list) for rows in entities.values()):
            raise ValueError
    except (OSError, ValueError) as error:
        what = "can't be read" if isinstance(error, OSError) else 'is not of the form {"Entity": [{row}, …]}'
        output.report([failure("SEED_FILE_INVALID", f"{options.file} {what}", "Name it with --file.")])
        return Exit.FAILED
    seeded: dict[str, int] = {}
    refused = 0
    remote = Remote.from_options(options)
    for entity in sorted(entities):
        lines = [json.dumps(row).encode() + b"\n" for row in entities[entity]]
        report = remote.upload(f"/api/import/{segment(entity)}", lines, "application/x-ndjson", on_error="skip")
        seeded[entity] = report["imported"]
        refused += report["failed"]
        output.report(
            [
                finding(Severity.ERROR, "SEED_INSERT_FAILED", f"{entity}, row {told['line']}: {told['message']}")
                for told in report["failures"]
            ]
        )
    total = sum(seeded.values())
    words = " and ".join(f"{count} {entity}" for entity, count in seeded.items())
    code = "SEED_PARTIAL" if refused else "SEED_OK"
    output.answer({"code": code, "seeded": seeded, "total": total}, f"Seeded {words or 'nothing'} ({total} total)")
    return Exit.FAILED if refused else Exit.OK
