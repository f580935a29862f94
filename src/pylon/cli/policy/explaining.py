"""`pylon policy explain`: asks a running server, as an admin."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote


def run(options: argparse.Namespace, output: Output) -> int:
    """Show the verdict as a tree."""
    try:
        data = None if options.data is None else json.loads(options.data)
        new = json.loads(options.new)
    except ValueError:
        output.report([failure("USAGE", "--data and --new are JSON objects", """--data '{"title":"x"}'""")])
        return Exit.USAGE
    person = {
        "user": options.user,
        "roles": options.role,
        "tenant": options.tenant,
        "email": options.email,
        "guest": options.guest,
    }
    body = {
        "entity": options.entity,
        "action": options.what,
        "as": person,
        "row": options.row,
        "data": data,
        "new": new,
    }
    verdict = Remote.from_options(options).post("/api/admin/policy/explain", body)
    word = "ALLOW" if verdict["allowed"] else "DENY"
    lines = [f"{word}  {options.what} {options.entity}", f"  because {verdict['reason']}"]
    lines.append(f"  policies: {', '.join(verdict['policies'])}")
    if verdict["rule"] is not None:
        lines += _tree(verdict["rule"], 1)
    output.answer(verdict, "\n".join(lines))
    return Exit.OK if verdict["allowed"] else Exit.FAILED


def _tree(part: dict[str, Any], depth: int) -> list[str]:
    mark = "→" if part.get("decided") else " "
    value = "not asked" if part.get("skipped") else json.dumps(part.get("value"))
    line = f"{'  ' * depth}{mark} {part['text']}  =  {value}"
    return [line, *(inner for child in part.get("parts", []) for inner in _tree(child, depth + 1))]
