"""Tell what an error code means and what to do about it, or summarise a manifest file."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from pylon.cli.codes import CODES
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.loading import find_entry, load
from pylon.model.errors import REGISTRY


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="an error code such as POLICY_DENIED, or the path of a manifest")


def run(options: argparse.Namespace, output: Output) -> int:
    if options.code is None:
        output.answer({"codes": known_codes()}, "\n".join(known_codes()))
        return Exit.USAGE
    if options.code.endswith((".json", ".py")) or Path(options.code).is_file():
        return _explain_app(options.code, output)
    code = options.code.upper()
    if code in REGISTRY:
        entry = REGISTRY[code]
        document = {"code": code, "summary": entry.summary, "fix": entry.fix, "status": entry.status}
        output.answer(document, f"{code} (HTTP {entry.status})\n  {entry.summary}\n  Fix: {entry.fix}")
        return Exit.OK
    if code in CODES:
        own = CODES[code]
        output.answer(
            {"code": code, "summary": own.summary, "fix": own.fix}, f"{code}\n  {own.summary}\n  Fix: {own.fix}"
        )
        return Exit.OK
    near = difflib.get_close_matches(code, known_codes(), n=1)
    hint = f"Did you mean {near[0]}?" if near else "`pylon explain` lists every code."
    output.report([failure("EXPLAIN_UNKNOWN", f"{code} is not a code that Pylon knows", hint)])
    return Exit.USAGE


def known_codes() -> list[str]:
    """Every code that can be explained."""
    return sorted({*REGISTRY, *CODES})


def _explain_app(path: str, output: Output) -> int:
    spec = load(find_entry(path, Path.cwd()))
    lines = [f"{spec.name} {spec.version}"]
    for entity in spec.entities:
        fields = ", ".join(f"{f.name}: {f.type_name}{'?' if f.optional else ''}" for f in entity.fields)
        lines.append(f"  entity {entity.name}: {fields}")
    lines.extend(f"  {function.kind} {function.name} ({function.auth})" for function in spec.functions)
    lines.extend(f"  room {room.pattern} ({room.function.name})" for room in spec.rooms)
    lines.extend(f"  policy {policy.name} on {policy.entity or policy.action}" for policy in spec.policies)
    document = {
        "name": spec.name,
        "version": spec.version,
        "entities": [entity.name for entity in spec.entities],
        "functions": [function.name for function in spec.functions],
        "rooms": [room.pattern for room in spec.rooms],
        "policies": [policy.name for policy in spec.policies],
    }
    output.answer(document, "\n".join(lines))
    return Exit.OK
