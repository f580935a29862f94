"""`pylon policy coverage`: runs the app's tests and tells which rules they never asked."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.loading import find_entry, load
from pylon.model.schema import Action
from pylon.testing.coverage import FILE, Counts, read

NO_TESTS = 5
"""How pytest exits when it found none."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Exit 1 when the tests fail, or ask fewer rules than `--min` percent."""
    entry = find_entry(options.app, Path.cwd())
    spec = load(entry)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "coverage.jsonl"
        words = [word for word in options.words if word != "--"]
        done = subprocess.run(  # noqa: S603 - the user's own tests
            [sys.executable, "-m", "pytest", "-q", *words],
            cwd=entry.folder,
            env={**os.environ, FILE: str(told)},
            stdout=sys.stderr,
            check=False,
        )
        counts = read(told)
    rules = [(entity.name, action.value) for entity in spec.entities for action in Action]
    never = [rule for rule in rules if not counts[*rule, "asked"]]
    percent = 100 * (len(rules) - len(never)) / len(rules) if rules else 100.0
    document = {
        "code": "COVERAGE",
        "percent": round(percent, 1),
        "rules": [_told(counts, entity, action) for entity, action in rules],
    }
    lines = [f"  {e}.{a}".ljust(36) + _shown(_told(counts, e, a)) for e, a in rules]
    output.answer(document, "\n".join([*lines, f"  {percent:.0f} % of {len(rules)} rules were asked"]))
    if done.returncode == NO_TESTS:
        output.report([failure("TESTS_NONE", "pytest found no tests", "Write some: docs/guide/testing.md.")])
        return Exit.FAILED
    if done.returncode:
        output.report([failure("TESTS_FAILED", "the tests failed, so this is not the whole picture")])
        return Exit.FAILED
    if percent < options.min:
        output.report([failure("COVERAGE_LOW", f"{percent:.0f} % is below {options.min:g} %")])
        return Exit.FAILED
    return Exit.OK


def _told(counts: Counts, entity: str, action: str) -> dict[str, object]:
    numbers = {what: counts[entity, action, what] for what in ("asked", "allowed", "denied")}
    return {"entity": entity, "action": action, **numbers}


def _shown(rule: dict[str, object]) -> str:
    if not rule["asked"]:
        return "never asked"
    return f"asked {rule['asked']}, allowed {rule['allowed']}, denied {rule['denied']}"
