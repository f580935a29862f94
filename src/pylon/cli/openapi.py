"""Write an app's API as OpenAPI 3.1, as a server serves it at `/api/openapi.json`."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.project import report_load_error
from pylon.loading import LoadError, find_entry, load
from pylon.web.app import describe


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    parser.add_argument("-o", "--out", default="-", help="file to write; - prints it, which is the default")


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        spec = load(find_entry(options.app, Path.cwd()))
    except LoadError as error:
        report_load_error(error, "OPENAPI", output)
        return Exit.FAILED
    added = [route for plugin in spec.plugins if hasattr(plugin, "routes") for route in plugin.routes()]
    document = msgspec.json.format(describe(spec, added), indent=2).decode()
    if options.out == "-":
        output.answer(msgspec.json.decode(document), document)
        return Exit.OK
    target = Path(options.out)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document + "\n", "utf-8")
    functions = sum(not function.internal for function in spec.functions)
    told = f"{target}: {len(spec.entities)} entities, {functions} functions"
    output.answer({"code": "OPENAPI_OK", "file": str(target)}, f"  info[OPENAPI_OK] Written: {told}")
    return Exit.OK
