"""One incident as its records, and the report that is kept of it in `golden/`. Write the files again with
`python -m tests.incident_kit.story` after a change that is meant."""

from __future__ import annotations

from pathlib import Path

from pylon.engine.audit.records import AuditEntry
from pylon.ops.incident.page import html
from pylon.ops.incident.record import Event, Incident, Kind, Severity
from pylon.ops.incident.report import PostMortem, markdown, post_mortem

GOLDEN = Path(__file__).parent / "golden"
T = 1_795_406_400.0
"""2026-11-23 04:00:00Z."""

INCIDENT = Incident(
    id="20261123-0400-7f3a",
    title="Writes time out",
    severity=Severity.SEV1,
    started_at=T,
    started_by="ada",
    closed_at=T + 3_725,
    closed_by="ada",
    summary="A job wrote in a loop until the disk was full.\n\nWrites were refused for 14 minutes; nothing is lost.",
)


def event(minutes: float, text: str, kind: Kind = Kind.OBSERVATION, **fields: str) -> Event:
    at = T + minutes * 60
    return Event(
        id=f"e{int(at)}-{kind.value}",
        incident=INCIDENT.id,
        at=at,
        recorded_at=at,
        by=fields.pop("by", "ben"),
        kind=kind,
        text=text,
        **fields,
    )


def action(minutes: float, name: str, /, *, system: bool = False, **details: str | float) -> AuditEntry:
    return AuditEntry(
        at=T + minutes * 60,
        kind="operator",
        user="__admin__",
        actor_is_admin=True,
        ip="" if system else "10.0.0.7",
        request_id="r1",
        door="system" if system else "http",
        token="" if system else "adm_0123456789ab",
        action=name,
        details=details,
    )


EVENTS = (
    event(2, "checkout fails for everybody since 03:52", Kind.IMPACT),
    event(4, "the import job writes 900 rows a second"),
    event(5, "stop the import, keep reads open", Kind.DECISION, by="ada"),
    event(30, "disk usage falls"),
    event(55, "the import had no limit on retries", Kind.CAUSE, by="ada"),
    event(56, "the per-entity switch stopped it within a second", Kind.WORKED),
    event(57, "the alarm on disk space came 8 minutes late", Kind.DID_NOT_WORK),
    event(58, "limit the retries of the import", Kind.FOLLOW_UP, owner="ben", due="2026-12-01"),
    event(59, "lower the threshold of the disk alarm", Kind.FOLLOW_UP),
)
AUDIT = (
    action(-40, "server.start", system=True, version="0.1.0"),
    action(-8, "alarm.raise", system=True, target="disk-space", severity="critical", value=0.04),
    action(0.01, "incident.start", target=INCIDENT.id),
    action(3, "incident.capture", minutes=30.0),
    action(6, "switch.on", target="entity:Import", id="sw_1", blocks="writes", by="__admin__", reason="runaway import"),
    action(20, "switch.off", target="entity:Import", id="sw_1", blocks="writes", why="lifted"),
    action(25, "alarm.clear", system=True, target="disk-space"),
)


def told() -> PostMortem:
    return post_mortem(INCIDENT, EVENTS, AUDIT)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "report.md").write_text(markdown(told()), "utf-8")
    (GOLDEN / "report.html").write_text(html(told()), "utf-8")
