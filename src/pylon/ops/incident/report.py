"""The post-mortem of an incident as Markdown. The same records always give the same bytes.

Whatever people typed is escaped, so that it reads as it was written and can neither format the page nor put links or
pictures into it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pylon.engine.audit.records import AuditEntry
from pylon.ops.incident.moments import span, utc
from pylon.ops.incident.record import Event, Incident, Kind, Severity
from pylon.ops.incident.timeline import Moment, Phases, phases, timeline

_MEANING = {
    Severity.SEV1: "data or everybody is affected",
    Severity.SEV2: "some users are affected",
    Severity.SEV3: "no user noticed",
}
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#+!|~&$@]")
_LINE_START = re.compile(r"^(\s*)([-+=:]|\d{1,9}[.)])")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_NOTHING = "*Nothing noted.*"


@dataclass(frozen=True, slots=True)
class PostMortem:
    """Everything that a report tells, in order."""

    incident: Incident
    events: tuple[Event, ...]
    moments: tuple[Moment, ...]
    phases: Phases

    def of(self, kind: Kind) -> list[Event]:
        return [event for event in self.events if event.kind is kind and not event.step]


def post_mortem(incident: Incident, events: Sequence[Event], audit: Sequence[AuditEntry]) -> PostMortem:
    """Put the records together."""
    return PostMortem(
        incident, tuple(events), tuple(timeline(incident, events, audit)), phases(incident, events, audit)
    )


def head_markdown(told: PostMortem) -> str:
    """Title, summary, severity, impact and the figures: what stands before the timeline."""
    incident = told.incident
    lines = [
        f"# Post-mortem: {inline(incident.title)}",
        "",
        f"Incident `{incident.id}` · {_state(incident)}",
        "",
        "## Summary",
        "",
        prose(incident.summary) or "*Not written yet: `pylon incident close --summary` fills it in.*",
        "",
        "## Severity and impact",
        "",
        f"**{incident.severity.value}**: {_MEANING[incident.severity]}.",
        "",
        *_bullets(told.of(Kind.IMPACT), "*No impact noted (`pylon incident note --kind impact`).*"),
        "",
        "| phase | UTC | took |",
        "| --- | --- | --- |",
        *_figures(told.phases),
        "",
    ]
    if told.phases.standing:
        lines += ["Still standing: " + ", ".join(inline(name) for name in told.phases.standing) + ".", ""]
    return "\n".join(lines)


def body_markdown(told: PostMortem) -> str:
    """From the timeline on."""
    lines = ["## Timeline (UTC)", "", "| time | who | what |", "| --- | --- | --- |"]
    lines += [_row(moment) for moment in told.moments]
    sections = (
        ("Root cause", Kind.CAUSE, "*Not known yet (`pylon incident note --kind cause`).*"),
        ("Decisions", Kind.DECISION, _NOTHING),
        ("What worked", Kind.WORKED, _NOTHING),
        ("What did not work", Kind.DID_NOT_WORK, _NOTHING),
    )
    for title, kind, nothing in sections:
        lines += ["", f"## {title}", "", *_bullets(told.of(kind), nothing)]
    lines += ["", "## Follow-up", "", *_follow_up(told.of(Kind.FOLLOW_UP)), ""]
    return "\n".join(lines)


def markdown(told: PostMortem) -> str:
    """The whole report."""
    return head_markdown(told) + "\n" + body_markdown(told)


def inline(text: str) -> str:
    """Untrusted text on one line of Markdown, as it was written."""
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], plain(text))
    return _LINE_START.sub(lambda found: found[1] + _escape_start(found[2]), escaped)


def plain(text: str) -> str:
    """Untrusted text on one line; what can't be seen, or turns the direction of reading, is shown as one sign."""
    return " ".join(_UNSEEN.sub("\ufffd", re.sub(r"[\r\n\t]", " ", text)).split())


def prose(text: str) -> str:
    """Untrusted text as paragraphs: an empty line ends one."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "\n\n".join(inline(paragraph) for paragraph in paragraphs if paragraph.strip())


def _escape_start(mark: str) -> str:
    """What would begin a list, an underline or a table's rule."""
    return f"{mark[:-1]}\\{mark[-1]}"


def _state(incident: Incident) -> str:
    if incident.is_open:
        return "still open"
    return f"closed {utc(incident.closed_at)} after {span(incident.closed_at - incident.started_at)}"


def _figures(found: Phases) -> list[str]:
    rows = (
        ("Began", found.began, None),
        ("Detected", found.detected, found.to_detect()),
        ("First response", found.responded, found.to_respond()),
        ("Recovered", found.recovered, found.to_recover()),
    )
    notes = {"Detected": "after it began", "First response": "after detection", "Recovered": "after it began"}
    return [
        f"| {name} | {utc(at) if at else 'not yet'} | {'' if took is None else f'{span(took)} {notes[name]}'} |"
        for name, at, took in rows
    ]


def _row(moment: Moment) -> str:
    text = inline(moment.text)
    what = f"**{inline(moment.label)}**" + (f": {text}" if text else "")
    return f"| {utc(moment.at)} | {inline(moment.who)} | {what} |"


def _bullets(events: Sequence[Event], nothing: str) -> list[str]:
    return [f"- {inline(event.text)}" for event in events] or [nothing]


def _follow_up(events: Sequence[Event]) -> list[str]:
    if not events:
        return ["*No actions noted (`pylon incident note --kind follow-up --owner NAME --due DAY`).*"]
    rows = [
        f"| {inline(event.text)} | {inline(event.owner) or '**nobody yet**'} | {event.due or '**no date**'} |"
        for event in events
    ]
    return ["| action | owner | due |", "| --- | --- | --- |", *rows]
