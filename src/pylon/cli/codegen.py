"""Write what clients know of an app: `pylon codegen client` writes its rows and functions as TypeScript for pylon.js,
or as a client in Python, so that an editor completes and checks every call."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import report_load_error
from pylon.loading import LoadError, find_entry, load
from pylon.model.python_client import python_client
from pylon.model.schema import AppSpec
from pylon.model.typescript import client_types

TARGETS = ("client",)
LANGUAGES: dict[str, tuple[Callable[[AppSpec], str], str]] = {
    "typescript": (client_types, "pylon.types.ts"),
    "python": (python_client, "pylon_client.py"),
}
"""What writes a language, and the file that it writes by default."""

DECLARATIONS = ("pylon.d.ts", "pylon-react.d.ts")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=TARGETS, help="client: what a client of this app knows of it")
    parser.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default="typescript",
        help="typescript: types for pylon.js, which is the default; python: a typed client on pylon.client",
    )
    parser.add_argument("--out", help="file to write (pylon.types.ts or pylon_client.py); - prints it")
    parser.add_argument(
        "--declarations", action="store_true", help="write pylon.d.ts and pylon-react.d.ts beside the types, too"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not up to date")


def run(options: argparse.Namespace, output: Output) -> int:
    write, usual = LANGUAGES[options.language]
    if options.declarations and options.language != "typescript":
        why = "--declarations belong to TypeScript"
        output.report([failure("CODEGEN_OPTION", why, "Leave it out, or `--language typescript`.")])
        return Exit.USAGE
    try:
        spec = load(find_entry(options.app, Path.cwd()))
    except LoadError as error:
        report_load_error(error, "CODEGEN", output)
        return Exit.FAILED
    text = write(spec)
    if options.out == "-":
        output.answer({"code": "CODEGEN_CLIENT", "text": text}, text.rstrip("\n"))
        return Exit.OK
    target = Path(options.out or usual)
    wanted = {target: text}
    if options.declarations:
        static = files("pylon.web") / "static"
        wanted |= {target.parent / name: (static / name).read_text("utf-8") for name in DECLARATIONS}
    stale = [path for path, content in wanted.items() if not path.exists() or path.read_text("utf-8") != content]
    if options.check and stale:
        names = ", ".join(str(path) for path in stale)
        output.report([failure("CODEGEN_STALE", f"{names}: not what the app declares", "Run it without --check.")])
        return Exit.FAILED
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], "utf-8")
    told = {"code": "CODEGEN_CLIENT", "files": [str(path) for path in wanted], "written": [str(path) for path in stale]}
    changed = ", ".join(str(path) for path in stale) or "nothing: all is up to date"
    output.answer(told, f"  info[CODEGEN_CLIENT] Written: {changed}")
    return Exit.OK
