"""`token-leak` and `emergency`: what to do when an admin token has leaked, and the urgent part of it at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.incident import leak_steps
from pylon.cli.incident.leak_steps import STEPS, new_token, purge_sessions, revoke_others
from pylon.cli.incident.line import INCIDENTS, Line, admin_tokens, author, when
from pylon.cli.incident.playbook import Case, Interrupted, StepFailed, asker, outcomes_of, walk
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, RemoteError
from pylon.model.errors import PylonError


def token_leak(options: argparse.Namespace, output: Output) -> int:
    """Walk the playbook."""
    case = _case(options, output)
    case.line.catch_up()
    opened = _open_incident(case.line)
    outcomes = {}
    if opened is not None:
        case.incident = opened["id"]
        if not options.restart:
            outcomes = {n: o for n, o in outcomes_of(case.line, opened["id"]).items() if n in leak_steps.NAMES}
    try:
        return walk(STEPS, case, outcomes)
    except (Interrupted, KeyboardInterrupt):
        output.report([failure("INTERRUPTED", "stopped before the end", leak_steps.resume_hint(case))])
        return Exit.INTERRUPTED


def emergency(options: argparse.Namespace, output: Output) -> int:
    """Maintenance, a new token, no sessions: after one question. A part that fails doesn't stop the next."""
    case = _case(options, output)
    opened = _open_incident(case.line)
    case.incident = opened["id"] if opened is not None else None
    parts: Sequence[tuple[str, str, Callable[[Case], str]]] = (
        ("contain", "turn maintenance mode on: everybody but admins is answered 503", leak_steps.contain),
        ("rotate", "make a new admin token and show it once", new_token),
        ("revoke", "revoke every other admin token, also the one that this command was called with", revoke_others),
        ("purge", f"end {leak_steps.which_sessions(case)}", purge_sessions),
    )
    output.note(f"This will, on {case.line.remote.url}:")
    for _, what, _ in parts:
        output.note(f"  - {what}")
    try:
        if not case.ask("Do all of it now?"):
            output.answer({"done": False}, "nothing was done")
            return Exit.OK
    except Interrupted:
        return Exit.INTERRUPTED
    results: dict[str, str] = {}
    failed: list[str] = []
    for name, _, act in parts:
        if name == "revoke" and "rotate" in failed:
            failed.append(name)
            results[name] = "not tried: without a new token it would lock everybody out"
        else:
            results[name] = _attempt(name, act, case, failed)
        output.note(f"  {name}: {results[name]}")
    case.note("emergency: " + "; ".join(f"{name}: {text}" for name, text in results.items()))
    output.answer(
        {"done": not failed, "steps": results, "failed": failed, "incident": case.incident},
        f"failed: {', '.join(failed)}" if failed else "done; `pylon maintenance off` opens the server again",
    )
    return Exit.FAILED if failed else Exit.OK


def _attempt(name: str, act: Callable[[Case], str], case: Case, failed: list[str]) -> str:
    try:
        return act(case)
    except (StepFailed, RemoteError, PylonError) as error:
        failed.append(name)
        return f"failed: {error}"


def _case(options: argparse.Namespace, output: Output) -> Case:
    line = Line.of(options)
    tokens = admin_tokens()
    line.remote = _accepted(line.remote, tokens)
    purge: dict[str, Any] = {}
    if options.user:
        purge["user"] = options.user
    if options.before:
        purge["before"] = int(when(options.before, "before"))
    if options.guests:
        purge["guests"] = True
    since = getattr(options, "since", None)
    if since is not None:
        when(since, "since")
    return Case(
        line=line,
        output=output,
        folder=Path(getattr(options, "into", ".")),
        by=author(options),
        ask=asker(assume_yes=options.yes),
        purge=purge,
        since=since,
        old_tokens=tokens,
    )


def _accepted(remote: Remote, tokens: Sequence[str]) -> Remote:
    """The server with the first token of the environment that it takes: after a rotation the old one is refused.
    Raises RemoteError when it takes none."""
    refused: RemoteError | None = None
    for token in tokens or (remote.token,):
        candidate = Remote(remote.url, token)
        try:
            candidate.get(INCIDENTS)
        except RemoteError as error:
            if error.status not in (401, 403):
                raise
            refused = error
            continue
        return candidate
    assert refused is not None
    hint = "If it was rotated already: PYLON_ADMIN_TOKEN=<the new token> pylon incident token-leak"
    raise PylonError("FORBIDDEN", f"no token of PYLON_ADMIN_TOKEN is accepted: {refused.message}", hint=hint)


def _open_incident(line: Line) -> dict[str, Any] | None:
    incidents: list[dict[str, Any]] = line.remote.get(INCIDENTS)["incidents"]
    return next((each for each in incidents if not each["closed_at"]), None)
