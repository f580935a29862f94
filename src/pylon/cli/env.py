"""List every environment variable: what it is for, its default and its effective value. Secrets are never shown."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.project import add_data_dir, settings_for, unknown_findings
from pylon.settings import VARIABLES, effective


def configure(parser: argparse.ArgumentParser) -> None:
    add_data_dir(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    here = Path.cwd()
    environ, settings = settings_for(options, {}, here, here)
    listed: list[dict[str, Any]] = []
    lines: list[str] = []
    for variable in VARIABLES:
        value = effective(settings, variable)
        default = variable.dev_default if settings.dev_mode else variable.default
        entry: dict[str, Any] = {
            "name": variable.name,
            "description": variable.description,
            "set": bool(environ.get(variable.name, "").strip()),
            "default": default,
        }
        if value is not None:
            entry["value"] = value
        listed.append(entry)
        shown = "unset" if value is None else "[set] (value hidden)" if variable.secret else value
        lines.append(f"{output.heading(variable.name)} = {shown}" + ("" if entry["set"] else "  (default)"))
        lines.extend(textwrap.wrap(variable.description, 96, initial_indent="    ", subsequent_indent="    "))
    unknown = unknown_findings(environ)
    output.answer(listed, "\n".join(lines))
    if unknown:
        output.note("")
        for found in unknown:
            output.note(f"  warning[{found.code}] {found.message}. {found.hint}")
    return Exit.OK
