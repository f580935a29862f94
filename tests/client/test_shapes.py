"""What the client makes of rows: instances of classes, whatever way a time is written in."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from pylon import App, Entity
from pylon.client.shapes import dump_where, load


class Note(Entity):
    title: str
    at: datetime | None = None


class Page(msgspec.Struct):
    notes: list[Note]
    first: Note | None = None


app = App("shapes", entities=[Note])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-03", datetime(2024, 2, 3, tzinfo=UTC)),
        ("2024-02-03 04:05", datetime(2024, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-02-03T04:05:06", datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2024-02-03T04:05:06Z", datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)),
    ],
)
def test_every_time_that_a_server_stores_is_read(text: str, moment: datetime) -> None:
    with app.test() as t:
        assert t.as_admin().insert(Note, title="x", at=text)
        [row] = t.as_admin().list(Note)
    found = load(Note, row).at
    assert (found if found.tzinfo else found.replace(tzinfo=UTC)) == moment
    page = load(Page, {"notes": [row], "first": row})
    assert page.notes[0].at == page.first.at == found
    assert load(Note, {"id": "1", "title": "2024-02-03"}).title == "2024-02-03"


def test_what_does_not_fit_is_still_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="title"):
        load(Note, {"id": "1", "title": 7, "at": "2024-02-03"})
    with pytest.raises(msgspec.ValidationError):
        load(Note, {"id": "1", "title": "x", "at": "soon"})


def test_a_filter_has_wire_names_and_times_with_an_offset_at_every_depth() -> None:
    class Row(msgspec.Struct, rename={"from_": "from"}):
        from_: str
        at: datetime

    local = datetime(2024, 2, 3, 4, 5, 6)
    offset = local.astimezone().isoformat()
    found = dump_where(
        Row,
        {"$or": [{"from_": "a"}, {"$not": {"from_": {"$in": ["b"]}}}], "at": {"$gt": local}, "$and": [{"at": local}]},
    )
    offset = offset.replace("+00:00", "Z")
    assert found == {
        "$or": [{"from": "a"}, {"$not": {"from": {"$in": ["b"]}}}],
        "at": {"$gt": offset},
        "$and": [{"at": offset}],
    }
