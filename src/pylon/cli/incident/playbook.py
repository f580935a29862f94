"""A playbook walked step by step: it says what a step will do, asks, does it, and notes the outcome in the incident.

The notes are the memory: a second run reads them and goes on where the first one stopped. A playbook is a tuple of
steps, so a new step is one entry.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pylon.cli.exits import Exit
from pylon.cli.incident.line import INCIDENTS, Line, is_down
from pylon.cli.output import Output, failure
from pylon.cli.remote import RemoteError, segment
from pylon.model.errors import PylonError
from pylon.ops.incident.book import new_event
from pylon.ops.incident.journal import Entry
from pylon.ops.incident.record import Kind

DONE, DECLINED, FAILED = "done", "declined", "failed"


class StepFailed(Exception):
    """A step did not do what it is for; the text says why, `hint` what to do."""

    def __init__(self, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.hint = hint


class Interrupted(Exception):
    """Nobody answers any more."""


@dataclass(slots=True)
class Case:
    """What the steps share. `incident` is None until one is open; `old_tokens` are those that must not work in the
    end; `since` is when the trouble may have begun."""

    line: Line
    output: Output
    folder: Path
    by: str
    ask: Callable[[str], bool]
    purge: Mapping[str, Any] = field(default_factory=dict)
    since: str | None = None
    incident: str | None = None
    old_tokens: list[str] = field(default_factory=list)

    def note(self, text: str, *, kind: Kind = Kind.ACTION, step: str = "", outcome: str = "") -> None:
        """Note something in the incident, or in the journal when the server takes nothing; nowhere without one."""
        if self.incident is None:
            return
        event = msgspec.structs.replace(
            new_event(self.incident, time.time(), text), by=self.by, kind=kind, step=step, outcome=outcome
        )
        try:
            self.line.send_note(event)
        except RemoteError as error:
            if not is_down(error):
                raise
            self.line.journal.append(Entry(note=event))


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `plan` says what it will do; `act` does it and says what was done, or raises StepFailed, RemoteError,
    PylonError or OSError. `settled` says why nothing needs doing, None when something does."""

    name: str
    title: str
    plan: Callable[[Case], Sequence[str]]
    act: Callable[[Case], str]
    settled: Callable[[Case], str | None] = lambda case: None


def walk(steps: Sequence[Step], case: Case, outcomes: Mapping[str, str]) -> int:
    """Walk the steps that are left; the exit code."""
    results: dict[str, str] = {name: outcome for name, outcome in outcomes.items() if outcome == DONE}
    chosen = remaining(steps, outcomes)
    if outcomes:
        case.output.note(_progress(steps, outcomes, chosen))
    for number, step in enumerate(steps, 1):
        if step in chosen:
            case.output.note(f"\n{case.output.heading(f'{number}. {step.title}')}")
            results[step.name] = take(step, case)
    document = {"incident": case.incident, "steps": {step.name: results.get(step.name, "") for step in steps}}
    left = [step.title for step in steps if results.get(step.name) != DONE]
    case.output.answer(document, "\n" + (f"left undone: {', '.join(left)}" if left else "every step is done"))
    return Exit.FAILED if FAILED in results.values() else Exit.OK


def take(step: Step, case: Case) -> str:
    """Plan, ask, act, note; the outcome. Raises Interrupted."""
    settled = step.settled(case)
    if settled is not None:
        case.output.note(f"   {settled}")
        case.note(settled, step=step.name, outcome=DONE)
        return DONE
    for line in step.plan(case):
        case.output.note(f"   {line}")
    if not case.ask("   Do it?"):
        case.output.note("   left out")
        case.note(f"{step.title}: declined", kind=Kind.DECISION, step=step.name, outcome=DECLINED)
        return DECLINED
    try:
        done = step.act(case)
    except (StepFailed, RemoteError, PylonError, OSError) as error:
        case.output.report([failure("STEP_FAILED", f"{step.title}: {error}", getattr(error, "hint", None))])
        case.note(f"{step.title}: failed: {error}", step=step.name, outcome=FAILED)
        return FAILED
    case.output.note(f"   {done}")
    case.note(done, step=step.name, outcome=DONE)
    return DONE


def remaining(steps: Sequence[Step], outcomes: Mapping[str, str]) -> list[Step]:
    """The steps to take: what failed and what was never reached; once all were reached, those that were declined."""
    unreached = [step for step in steps if outcomes.get(step.name) not in (DONE, DECLINED)]
    return unreached or [step for step in steps if outcomes.get(step.name) == DECLINED]


def outcomes_of(line: Line, incident: str) -> dict[str, str]:
    """The latest outcome of each step, from the notes of the incident."""
    events = line.remote.get(f"{INCIDENTS}/{segment(incident)}")["events"]
    recorded = sorted((e for e in events if e["step"]), key=lambda e: (e["recorded_at"], e["id"]))
    return {event["step"]: event["outcome"] for event in recorded}


def asker(*, assume_yes: bool) -> Callable[[str], bool]:
    """Asks on stderr and reads stdin: yes only for `y` or `yes`."""

    def ask(question: str) -> bool:
        if assume_yes:
            return True
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            raise Interrupted
        return answer.strip().lower() in ("y", "yes")

    return ask


def _progress(steps: Sequence[Step], outcomes: Mapping[str, str], chosen: Sequence[Step]) -> str:
    told = [f"   {outcomes[step.name]}: {step.title}" for step in steps if step.name in outcomes]
    ahead = f"going on with: {chosen[0].title}" if chosen else "nothing is left; --restart begins again"
    return "\n".join(["an earlier run got this far:", *told, ahead])
