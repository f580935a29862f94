"""Which backups to keep: the newest few, the newest of each of the last days, and of each of the last weeks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

DAYS = 7
WEEKS = 4


def to_drop(backups: Sequence[tuple[str, float]], keep: int, now: float) -> list[str]:
    """The names to delete, oldest first, of backups given as (name, Unix seconds). The newest is always kept."""
    newest_first = sorted(backups, key=lambda backup: backup[1], reverse=True)
    kept = {name for name, _ in newest_first[: max(1, keep)]}
    today = datetime.fromtimestamp(now, UTC).date()
    days, weeks = set(), set()
    for name, taken in newest_first:
        day = datetime.fromtimestamp(taken, UTC).date()
        week = day.isocalendar()[:2]
        if day > today - timedelta(days=DAYS) and day not in days:
            days.add(day)
            kept.add(name)
        if day > today - timedelta(weeks=WEEKS) and week not in weeks:
            weeks.add(week)
            kept.add(name)
    return [name for name, _ in reversed(newest_first) if name not in kept]
