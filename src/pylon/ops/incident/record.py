"""What is kept of an incident: the incident itself and the events that people note. Values only, as they are stored.

Both carry ids that their writer made, so that an entry journalled while the server was down can be told to the server
twice and is kept once.
"""

from __future__ import annotations

import enum
import re
import secrets
import time

import msgspec

INCIDENT_KIND = "incident"
EVENT_KIND = "incident-event"
"""The kinds of the records in the database."""

MAX_TITLE = 300
MAX_TEXT = 10_000
MAX_NAME = 120
MAX_EVENTS = 5_000
"""Notes of one incident."""

_ID = re.compile(r"[0-9a-z][0-9a-z-]{3,63}\Z")
_DUE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


class Severity(enum.StrEnum):
    """How bad it is: sev1 data or everybody is affected, sev2 some users are, sev3 nobody noticed."""

    SEV1 = "sev1"
    SEV2 = "sev2"
    SEV3 = "sev3"


class Kind(enum.StrEnum):
    """What a note is about; the report sorts by it."""

    OBSERVATION = "observation"
    DECISION = "decision"
    ACTION = "action"
    IMPACT = "impact"
    CAUSE = "cause"
    WORKED = "worked"
    DID_NOT_WORK = "did-not-work"
    FOLLOW_UP = "follow-up"


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. Times are Unix seconds; `closed_at` is 0 while it is open, `began_at` 0 when nobody said when the
    trouble began."""

    id: str
    title: str
    severity: Severity = Severity.SEV2
    started_at: float
    started_by: str = ""
    began_at: float = 0.0
    closed_at: float = 0.0
    closed_by: str = ""
    summary: str = ""

    @property
    def is_open(self) -> bool:
        return self.closed_at == 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One note. `at` is when it happened, `recorded_at` when it was written down. `step` and `outcome` are set by
    playbooks: that is how a second run knows where the first one stopped."""

    id: str
    incident: str
    at: float
    recorded_at: float
    by: str = ""
    kind: Kind = Kind.OBSERVATION
    text: str
    owner: str = ""
    due: str = ""
    step: str = ""
    outcome: str = ""

    @property
    def key(self) -> str:
        """Under which it is stored."""
        return f"{self.incident}/{self.id}"


def new_incident_id(now: float) -> str:
    """`20261123-0412-7f3a`: to be said on the phone, and sortable."""
    return time.strftime("%Y%m%d-%H%M-", time.gmtime(now)) + secrets.token_hex(2)


def new_event_id(now: float) -> str:
    """Sortable by the time of writing."""
    return f"{int(now * 1000):013d}-{secrets.token_hex(4)}"


def is_id(text: str) -> bool:
    """Whether this may be the id of an incident or an event."""
    return _ID.match(text) is not None


def is_due(text: str) -> bool:
    """Whether this is a day, or nothing."""
    return text == "" or _DUE.match(text) is not None
