"""Make a new app in a new folder: app.py, a page that is live, and a README."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure

TEMPLATES = ("basic",)
NAME_MARK = "__APP_NAME__"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_FOLDER = Path(__file__).parent / "templates"
_RENAMED = {"gitignore": ".gitignore"}
"""A template's own .gitignore would be obeyed by git and by packaging."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", help="folder to make; its name becomes the app's")
    parser.add_argument("--template", default="basic", help=f"one of: {', '.join(TEMPLATES)}")


def run(options: argparse.Namespace, output: Output) -> int:
    problem = _problem(options)
    if problem is not None:
        output.report([failure(*problem)])
        return Exit.USAGE
    target = Path(options.path).absolute()
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            output.report([failure("INIT_DIR_EXISTS", f"{target} exists and is not empty", "Choose another path.")])
            return Exit.FAILED
        files = write_template(_FOLDER / options.template, target)
    except OSError as error:
        output.report([failure("INIT_WRITE_FAILED", f"{error.filename or target}: {error.strerror}")])
        return Exit.FAILED
    document = {"code": "INIT_OK", "name": target.name, "path": str(target), "files": files}
    lines = [f"Made {target.name} in {target}", *(f"  {name}" for name in files), "", "Next:"]
    output.answer(document, "\n".join([*lines, f"  cd {options.path}", "  pylon dev"]))
    return Exit.OK


def write_template(template: Path, target: Path) -> list[str]:
    """Copy a template, filling in the app's name; the files made, relative to `target`."""
    made: list[str] = []
    for source in sorted(template.rglob("*")):
        if not source.is_file() or "__pycache__" in source.parts:
            continue
        name = source.relative_to(template)
        name = name.with_name(_RENAMED.get(name.name, name.name))
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.read_text("utf-8").replace(NAME_MARK, target.name), "utf-8")
        made.append(name.as_posix())
    return made


def _problem(options: argparse.Namespace) -> tuple[str, str, str] | None:
    """What is wrong with the command line: code, message, hint."""
    if not options.path:
        return "INIT_NO_PATH", "No path was given", "Write `pylon init my-app`."
    name = Path(options.path).absolute().name
    if not _NAME.match(name):
        return (
            "INIT_INVALID_NAME",
            f"{name!r} is no name for an app",
            "Start with a letter; use letters, digits, - and _.",
        )
    if options.template not in TEMPLATES:
        return (
            "INIT_UNKNOWN_TEMPLATE",
            f"There is no template {options.template!r}",
            f"There is: {', '.join(TEMPLATES)}.",
        )
    return None
