"""Points in time and spans as operators write and read them. Everything is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6})\s*(s|sec|m|min|h|d)(?:\s+ago)?\Z", re.ASCII)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?Z?\Z", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
FORMS = "2026-11-23T04:12:00Z, 04:12 (UTC, the latest one that has passed), `10m ago` or Unix seconds"


def parse_time(text: str, now: float) -> float:
    """Unix seconds of what an operator wrote. Raises ValueError for what is no time."""
    text = text.strip()
    if text == "now":
        return now
    if ago := _AGO.match(text):
        return now - int(ago[1]) * _SECONDS[ago[2]]
    if clock := _CLOCK.match(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour > 23 or minute > 59 or second > 59:
            raise ValueError(f"{text!r} is no time")
        today = datetime.fromtimestamp(now, UTC).replace(hour=hour, minute=minute, second=second, microsecond=0)
        return (today if today.timestamp() <= now else today - timedelta(days=1)).timestamp()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()


def utc(at: float) -> str:
    """`2026-11-23 04:12:05Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def stamp(at: float) -> str:
    """`20261123T041205Z`, for names of files."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def span(seconds: float) -> str:
    """`42 s`, `12 min 5 s`, `3 h 5 min`, `2 d 4 h`: the two largest units that say something."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"
