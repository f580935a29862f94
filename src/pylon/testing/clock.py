"""A clock that stands still until it is told to move."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class TestClock:
    """The time of a test app: policies, sessions, time stamps and expiries follow it."""

    __test__ = False

    def __init__(self, now: datetime | None = None) -> None:
        self._seconds = time.time() if now is None else now.timestamp()

    def __call__(self) -> float:
        """Unix seconds."""
        return self._seconds

    @property
    def now(self) -> datetime:
        """The time as it is there."""
        return datetime.fromtimestamp(self._seconds, UTC)

    def advance(self, seconds: float = 0.0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
        """Move on; the new time."""
        self._seconds += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        return self.now

    def set(self, now: datetime) -> None:
        """Move to a time, also back."""
        self._seconds = now.timestamp()
