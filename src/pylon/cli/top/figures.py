"""Figures as few characters: sizes, times, counts, and a line of little bars for how they went."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-=+*%#"
"""Where the terminal has no other characters."""


def size(count: float) -> str:
    """`512 B`, `4.0 MB`, `1.5 GB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def count(number: float) -> str:
    """`0.25`, `12.5`, `1,250`, `1.2M`."""
    if abs(number) >= 1e6:
        return f"{number / 1e6:.1f}M"
    if abs(number) >= 100 or number == int(number):
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.1f}"


def milliseconds(ms: float) -> str:
    """`0.7 ms`, `24 ms`, `1.5 s`."""
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"


def duration(seconds: float) -> str:
    """`12s`, `5m 10s`, `3h 4m`, `2d 1h`."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {whole % 60}s" if minutes else f"{whole}s"


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """The last values as bars, the newest at the right, from 0 to the highest of them. More values than `width` share a
    bar, which shows the highest of its own, so that no spike is lost."""
    if not values or width < 1:
        return ""
    share = -(-len(values) // width)
    first = len(values) % share
    groups = [values[:first]] if first else []
    groups += [values[at : at + share] for at in range(first, len(values), share)]
    peaks = [max(group) for group in groups]
    highest = max(peaks)
    if highest <= 0:
        return bars[0] * len(peaks)
    return "".join(bars[min(int(max(peak, 0) / highest * len(bars)), len(bars) - 1)] for peak in peaks)


def clean(text: object, width: int = 200) -> str:
    """Text of others on one line: a user's id must not be able to drive the operator's terminal."""
    shown = str(text)
    if not shown.isprintable():
        shown = shown.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= width else shown[: width - 1] + "…"
