"""Times as operators write them."""

from __future__ import annotations

import pytest

from pylon.ops.incident.moments import parse_time, span, stamp, utc

NOW = 1_795_406_400.0  # 2026-11-23 04:00:00Z


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        ("2026-11-23T03:58:00Z", NOW - 120),
        ("2026-11-23T04:58:00+01:00", NOW - 120),
        ("2026-11-23 03:58", NOW - 120),
        ("03:58", NOW - 120),
        ("03:58:30", NOW - 90),
        ("23:00", NOW - 5 * 3600),
        ("10m", NOW - 600),
        ("10m ago", NOW - 600),
        ("90 s ago", NOW - 90),
        ("2h", NOW - 7200),
        ("1d", NOW - 86400),
        ("1795406280.5", 1795406280.5),
    ],
)
def test_a_time_is_understood(text: str, at: float) -> None:
    assert parse_time(text, NOW) == at


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "10", "-5m", "10 parsecs ago", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (11_100, "3 h 5 min"), (187_200, "2 d 4 h")],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_times_are_shown_in_utc() -> None:
    assert utc(NOW) == "2026-11-23 04:00:00Z"
    assert stamp(NOW) == "20261123T040000Z"
