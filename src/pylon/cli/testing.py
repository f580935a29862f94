"""Run the tests of an app: `pylon test` runs pytest in its folder; `pylon test --leaks` lets random people ask for
random rows at every door of the app, and reports whatever shows to somebody who may not read it.

Words behind `--` go to pytest. A leak is told with the seed that finds it again: `--seed`.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.loading import find_entry, load


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="PYTEST", help="what pytest is given")
    parser.add_argument("--app", help="app.py, a folder, module:attribute or pylon.manifest.json")
    parser.add_argument(
        "--leaks", action="store_true", help="look for rows that show to somebody who may not read them"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look (10)")
    parser.add_argument("--seed", type=int, help="play the round of this seed only")


def run(options: argparse.Namespace, output: Output) -> int:
    entry = find_entry(options.app, Path.cwd())
    return _leaks(options, output) if options.leaks else _tests(options, entry.folder, output)


def _tests(options: argparse.Namespace, folder: Path, output: Output) -> int:
    if importlib.util.find_spec("pytest") is None:
        output.report([failure("TESTS_MISSING", "pytest is not installed", "`pip install pytest`")])
        return Exit.UNAVAILABLE
    words = [word for word in options.words if word != "--"]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=folder, check=False)  # noqa: S603 - the user's own
    return done.returncode


def _leaks(options: argparse.Namespace, output: Output) -> int:
    from pylon.testing.leaks import hunt

    found = hunt(load(find_entry(options.app, Path.cwd())), seconds=options.seconds, seed=options.seed)
    output.report([failure("LEAK_FOUND", str(leak)) for leak in found.leaks])
    code = "LEAK_FOUND" if found.leaks else "LEAKS_NONE"
    document = {"code": code, "rounds": found.rounds, "questions": found.questions}
    asked = f"{found.questions:,} questions in {found.rounds} rounds"
    text = f"  {len(found.leaks)} leaks in {asked}" if found.leaks else f"  info[LEAKS_NONE] nothing leaked in {asked}"
    output.answer(document | {"leaks": msgspec.to_builtins(found.leaks)}, text)
    return Exit.FAILED if found.leaks else Exit.OK
