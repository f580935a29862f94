"""What happened when: the notes of an incident and the operators' actions of the audit log, in one order of time.

Pure: from records to a timeline, and from a timeline to the figures of the post-mortem. The rules are told to people in
docs/ops/POSTMORTEM.md.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from pylon.engine.audit.records import OPERATOR, AuditEntry
from pylon.ops.incident.moments import span
from pylon.ops.incident.record import Event, Incident, Kind

LEAD_UP_SECONDS = 3600.0
"""How far before its beginning operators' actions belong to an incident's story: a deploy is a frequent cause."""


class Tone(enum.StrEnum):
    """How a moment is drawn."""

    MARK = "mark"
    NOTE = "note"
    TROUBLE = "trouble"
    REMEDY = "remedy"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline. `text` is untrusted."""

    at: float
    who: str
    label: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Phases:
    """When the trouble began, was detected, was first answered, was over, and was closed; 0 for what did not happen
    yet. `standing` names containment that is still on."""

    began: float
    detected: float
    responded: float
    recovered: float
    closed: float
    standing: tuple[str, ...]

    def to_detect(self) -> float | None:
        return self.detected - self.began

    def to_respond(self) -> float | None:
        return self.responded - self.detected if self.responded else None

    def to_recover(self) -> float | None:
        return self.recovered - self.began if self.recovered else None


_LEFT_OUT = frozenset({"incident.start", "incident.note", "incident.close", "token.use", "operator.use"})
"""Already told by the incident and its events, or no event: that tokens are used."""

_CONTAINMENT = frozenset(
    {
        "switch.on",
        "containment.shed",
        "token.rotate",
        "token.revoke",
        "sessions.purge",
        "sockets.bounce",
        "sockets.kick",
    }
)
_TROUBLE = frozenset({"alarm.raise", "containment.shed", "budget.reached", "backup.fail"})
_RECOVERY = frozenset({"switch.off", "alarm.clear"})
_DEPLOY = frozenset({"server.start", "server.stop"})

_WORDS = {
    "alarm.clear": "alarm cleared",
    "alarm.raise": "alarm raised",
    "backup.fail": "backup failed",
    "backup.take": "backup taken",
    "budget.delete": "budget dropped",
    "budget.exceeded": "budget exceeded",
    "budget.put": "budget set",
    "checkpoint.run": "checkpoint",
    "containment.shed": "load shed",
    "fanout.throttle": "fan-out throttled",
    "flag.delete": "flag dropped",
    "flag.put": "flag set",
    "incident.capture": "signals captured",
    "keys.purge": "API keys ended",
    "log.level": "log level",
    "mail.retry": "letter sent again",
    "mail.test": "test letter sent",
    "server.start": "server started",
    "server.stop": "server stopped",
    "sessions.purge": "sessions purged",
    "sockets.bounce": "sockets bounced",
    "sockets.kick": "sockets closed",
    "switch.off": "switch off",
    "switch.on": "switch on",
    "token.create": "admin token made",
    "token.revoke": "admin token revoked",
    "token.rotate": "admin token rotated",
    "webhook.retry": "webhook tried again",
}


def window(incident: Incident, events: Sequence[Event], now: float) -> tuple[float, float]:
    """Since and until when operators' actions belong to the incident."""
    return _first(incident, events) - LEAD_UP_SECONDS, incident.closed_at or now


def timeline(incident: Incident, events: Sequence[Event], audit: Sequence[AuditEntry]) -> list[Moment]:
    """Everything in order of time; what happened at one time stays in the order: audit, incident, notes."""
    told = _told(audit)
    moments = [_of_audit(entry) for entry in told]
    opened = f"{incident.severity.value}: {incident.title}"
    moments.append(Moment(incident.started_at, incident.started_by, "incident started", opened, Tone.MARK))
    if incident.began_at and incident.began_at < incident.started_at:
        moments.append(Moment(incident.began_at, incident.started_by, "trouble began", "", Tone.TROUBLE))
    moments += [_of_event(event) for event in events]
    if incident.closed_at:
        moments.append(Moment(incident.closed_at, incident.closed_by, "incident closed", "", Tone.MARK))
    return sorted(moments, key=lambda moment: moment.at)


def phases(incident: Incident, events: Sequence[Event], audit: Sequence[AuditEntry]) -> Phases:
    """The points that the figures are measured between."""
    told = _told(audit)
    detected = incident.started_at
    alarms = [e.at for e in told if e.action == "alarm.raise" and detected - LEAD_UP_SECONDS <= e.at <= detected]
    began = incident.began_at or min([_first(incident, events), *alarms])
    answers = [e.at for e in told if e.action in _CONTAINMENT and e.at >= began]
    answers += [e.at for e in events if e.kind in (Kind.ACTION, Kind.DECISION) and not e.step and e.at >= began]
    responded = max(min(answers), detected) if answers else 0.0
    standing = _standing(told, detected)
    ends = [e.at for e in told if e.action in _RECOVERY and e.at >= max(detected, responded)]
    recovered = 0.0 if standing else max(ends) if ends else incident.closed_at
    return Phases(began, detected, responded, recovered, incident.closed_at, standing)


def _told(audit: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Operators' actions that are not the incident's own, oldest first."""
    kept = [entry for entry in audit if entry.kind == OPERATOR and entry.action not in _LEFT_OUT]
    return sorted(kept, key=lambda entry: entry.at)


def _first(incident: Incident, events: Sequence[Event]) -> float:
    """When it began as far as people said: never after it was started."""
    return min([incident.started_at, incident.began_at or incident.started_at, *(event.at for event in events)])


def _standing(told: Sequence[AuditEntry], detected: float) -> tuple[str, ...]:
    """Switches and alarms that went on and never off again, by what they are called."""
    on: dict[tuple[str, str], str] = {}
    for entry in told:
        area, _, verb = entry.action.partition(".")
        target = str(entry.details.get("target", ""))
        if verb in ("on", "raise") and area in ("switch", "alarm"):
            on[area, target] = f"{area} {target.replace(':', ' ', 1)}"
        elif verb in ("off", "clear"):
            on.pop((area, target), None)
    return tuple(on.values())


def _of_event(event: Event) -> Moment:
    tone = {Kind.ACTION: Tone.REMEDY, Kind.IMPACT: Tone.TROUBLE}.get(event.kind, Tone.NOTE)
    label = event.kind.value.replace("-", " ")
    if event.step:
        label, tone = f"playbook: {event.step}", Tone.REMEDY if event.outcome == "done" else Tone.NOTE
    late = event.recorded_at - event.at
    written = f" (written down {span(late)} later)" if late >= 60 else ""
    return Moment(event.at, event.by, label, event.text + written, tone)


def _of_audit(entry: AuditEntry) -> Moment:
    label = _WORDS.get(entry.action, entry.action)
    return Moment(entry.at, _who(entry), label, _detail_text(entry), _tone(entry.action))


def _who(entry: AuditEntry) -> str:
    if entry.door == "system":
        return "pylon"
    name = "operator" if entry.user in (None, "__admin__") else str(entry.user)
    return f"{name} from {entry.ip}" if entry.ip else name


def _tone(action: str) -> Tone:
    if action in _TROUBLE:
        return Tone.TROUBLE
    if action in _DEPLOY:
        return Tone.CHANGE
    return Tone.REMEDY if action in _CONTAINMENT or action in _RECOVERY else Tone.NOTE


def _detail_text(entry: AuditEntry) -> str:
    details = dict(entry.details)
    target = str(details.pop("target", ""))
    if entry.action in ("alarm.raise", "alarm.clear"):
        details.pop("since", None)  # that is when it was raised, which has a line of its own
    if entry.action in ("switch.on", "switch.off"):
        blocks = "" if details.get("blocks", "all") == "all" else f" ({details['blocks']})"
        reason = details.get("reason") if entry.action == "switch.on" else details.get("why")
        return f"{target.replace(':', ' ', 1)}{blocks}" + (f": {reason}" if reason else "")
    rest = ", ".join(f"{name} {_value(value)}" for name, value in details.items() if value not in ("", None))
    return ": ".join(part for part in (target, rest) if part)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
