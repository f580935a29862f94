"""`pylon policy lint`."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.loading import find_entry, load
from pylon.policy.lint import lint


def run(options: argparse.Namespace, output: Output) -> int:
    """The findings; exit 1 when there are any."""
    found = lint(load(find_entry(options.app, Path.cwd())), frozenset(options.ignore))
    document = {"code": "LINT_FOUND" if found else "LINT_OK", "findings": msgspec.to_builtins(found)}
    if not found:
        output.answer(document, "  info[LINT_OK] policies: nothing found")
        return Exit.OK
    output.note("\n".join(f"  warning[{f.code}] {f.place}: {f.message}\n    fix: {f.fix}" for f in found))
    output.answer(document, f"  {len(found)} found; `docs/guide/policies.md#findings` explains each")
    return Exit.FAILED
