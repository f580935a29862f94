"""The one place that knows how Pylon writes and reads points in time: ISO 8601 text in UTC with milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII)


def iso_millis(moment: datetime) -> str:
    """`2026-11-23T04:42:05.675Z`, cut to milliseconds. A datetime without a zone is taken as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def iso_seconds(moment: datetime) -> str:
    """The same cut to seconds, as records that people read hold it: `2026-11-23T04:42:05Z`."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def is_iso_datetime(text: str) -> bool:
    """True for a real date, or date and time with `Z`, an offset or no zone, and at most 9 decimals of a second."""
    if _ISO.match(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_iso(text: str) -> datetime:
    """The aware datetime that the text means, UTC where it names no zone. Raises ValueError when it is not one."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
