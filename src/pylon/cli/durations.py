"""Spans and points in time on the command line."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `30m`, `2h`, `7d`. Raises ArgumentTypeError."""
    found = _SPAN.match(text.strip())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time span: write 90s, 30m, 2h or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def moment(text: str) -> float:
    """Unix seconds of `2026-11-23T03:14:00Z` (UTC where no zone is named) or of `30m`, that long ago. Raises
    ArgumentTypeError."""
    if _SPAN.match(text.strip()):
        return time.time() - duration(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2026-11-23T03:14:00Z, or 30m for that long ago"
        ) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def shown(at: float) -> str:
    """`2026-11-23 03:14:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
