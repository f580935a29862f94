"""How points in time are written and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.model.timestamps import is_iso_datetime, iso_millis, iso_seconds, parse_iso


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    east = timezone(timedelta(hours=2))
    assert iso_millis(datetime(2026, 11, 23, 6, 42, 5, 675999, tzinfo=east)) == "2026-11-23T04:42:05.675Z"


def test_a_moment_without_a_zone_is_taken_as_utc() -> None:
    assert iso_millis(datetime(2026, 11, 23, 4, 42, 5)) == "2026-11-23T04:42:05.000Z"
    assert parse_iso("2026-11-23T04:42:05") == datetime(2026, 11, 23, 4, 42, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "2026-11-23T04:42",
        "2026-11-23 04:42:05",
        "2026-11-23T04:42:05Z",
        "2026-11-23T04:42:05.123456789+02:00",
        "2026-11-23T04:42:05-0530",
    ],
)
def test_iso_forms_are_accepted(text: str) -> None:
    assert is_iso_datetime(text)
    assert parse_iso(text).tzinfo is not None


@pytest.mark.parametrize(
    "text", ["", "nope", "2026-13-01", "2026-02-30T00:00:00Z", "23.11.2026", "2026-11-23T25:00:00"]
)
def test_other_texts_and_impossible_dates_are_not(text: str) -> None:
    assert not is_iso_datetime(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again_to_the_millisecond(moment: datetime) -> None:
    text = iso_millis(moment)
    assert is_iso_datetime(text)
    assert parse_iso(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_a_moment_cut_to_seconds_is_in_utc_whatever_its_zone() -> None:
    local = datetime(2026, 11, 23, 5, 42, 5, 999_000, tzinfo=timezone(timedelta(hours=1)))
    assert iso_seconds(local) == iso_seconds(datetime(2026, 11, 23, 4, 42, 5)) == "2026-11-23T04:42:05Z"
