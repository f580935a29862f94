"""`pylon policy test`: one expression on one row, or all cases of a file."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.loading import find_entry, load
from pylon.model.identity import Identity
from pylon.policy.cases import CaseError, Cases, try_cases, try_expression
from pylon.policy.rules import PolicyError

NAMES = ("policies.test.toml", "policies.test.json")
_TRUE = ("true", "1", "yes")


def run(options: argparse.Namespace, output: Output) -> int:
    """Exit 0 for allow, or when every case passes."""
    return _cases(options, output) if options.expression is None else _expression(options, output)


def _expression(options: argparse.Namespace, output: Output) -> int:
    try:
        identity = _identity(options.auth)
        row = None if options.row is None else json.loads(options.row)
        if row is not None and not isinstance(row, dict):
            raise ValueError("--row is a JSON object")
    except ValueError as error:
        output.report([failure("USAGE", str(error), "`pylon policy test --help` shows the forms.")])
        return Exit.USAGE
    try:
        verdict = try_expression(options.expression, identity, row)
        allowed, reason = verdict.allowed, verdict.reason
    except PolicyError as error:
        allowed, reason = False, str(error)
    auth = {
        "is_admin": identity.is_admin,
        "is_guest": identity.is_guest,
        "roles": list(identity.roles),
        "user_id": identity.user_id,
    }
    document = {
        "auth": auth,
        "expr": options.expression,
        "reason": None if allowed else reason,
        "result": "allow" if allowed else "deny",
        "row": row,
    }
    told = [("ALLOW" if allowed else "DENY"), f"  expr: {options.expression}", f"  auth: {json.dumps(auth)}"]
    output.answer(document, "\n".join([*told, f"  reason: {reason}"]))
    return Exit.OK if allowed else Exit.FAILED


def _identity(text: str) -> Identity:
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        match name.strip():
            case "userId":
                values["user_id"] = value
            case "tenantId":
                values["tenant_id"] = value
            case "email":
                values["email"] = value
            case "isAdmin":
                values["is_admin"] = value.lower() in _TRUE
            case "isGuest":
                values["is_guest"] = value.lower() in _TRUE
            case "roles":
                values["roles"] = tuple(filter(None, value.split("|")))
            case unknown:
                raise ValueError(f"--auth knows no {unknown!r}")
    return Identity(**values)


def _cases(options: argparse.Namespace, output: Output) -> int:
    entry = find_entry(options.app, Path.cwd())
    path = Path(options.file) if options.file else next((p for n in NAMES if (p := entry.folder / n).is_file()), None)
    if path is None:
        output.report([failure("USAGE", f"there is no {NAMES[0]} beside the app", "Name an expression, or --file.")])
        return Exit.USAGE
    try:
        outcomes = try_cases(load(entry), _read(path).case)
    except (OSError, ValueError) as error:
        if isinstance(error, PolicyError):
            raise
        output.report([failure("POLICY_CASES_INVALID", f"{path.name}: {error}", "See docs/guide/policies.md#cases.")])
        return Exit.FAILED
    failed = [outcome for outcome in outcomes if not outcome.passed]
    output.report(
        [
            failure(
                "POLICY_CASE_FAILED",
                f"{one.name}: {'allowed' if one.verdict.allowed else 'denied'}, because {one.verdict.reason}",
            )
            for one in failed
        ]
    )
    document = {
        "code": "POLICY_CASES_OK" if not failed else "POLICY_CASE_FAILED",
        "outcomes": msgspec.to_builtins(outcomes),
    }
    output.answer(document, f"  {len(outcomes) - len(failed)} of {len(outcomes)} cases pass")
    return Exit.FAILED if failed else Exit.OK


def _read(path: Path) -> Cases:
    """Raises OSError, ValueError."""
    text = path.read_text("utf-8")
    loaded = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    try:
        return msgspec.convert(loaded, Cases)
    except msgspec.ValidationError as error:
        raise CaseError(str(error)) from None
