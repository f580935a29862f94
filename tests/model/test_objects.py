"""Rows and Entity instances."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from pylon import App, Entity, Id, Json, PylonError, field
from pylon.model.manifest import from_manifest, to_manifest
from pylon.model.objects import ObjectCodec
from pylon.model.rows import compile_rows
from pylon.model.schema import EntitySpec

MOMENT = datetime(2026, 11, 23, 4, 42, 5, 675000, tzinfo=UTC)


class State(enum.Enum):
    DRAFT = "draft"
    LIVE = "live"


class User(Entity):
    pass


class Note(Entity):
    title: str
    author: Id[User] | None = field(name="authorId")
    state: State = State.DRAFT
    old_state: State | None
    at: datetime | None
    meta: Json | None
    secret: str | None = field(server_only=True)


SPEC = next(e for e in App("x", entities=[Note]).spec().entities if e.name == "Note")
CODEC = ObjectCodec(SPEC)
TYPES = compile_rows(SPEC)


def row(**values: Any) -> Any:
    return TYPES.row(**{"id": "i", "title": "t", "state": "live", **values})


def test_a_row_becomes_an_instance_with_python_values() -> None:
    note = CODEC.load(row(authorId="u", old_state="draft", at="2026-11-23T04:42:05.675Z", meta={"a": [1]}))
    assert isinstance(note, Note)
    assert (note.id, note.title, note.author) == ("i", "t", "u")
    assert (note.state, note.old_state, note.at, note.meta) == (State.LIVE, State.DRAFT, MOMENT, {"a": [1]})


def test_null_is_none() -> None:
    note = CODEC.load(row())
    assert (note.author, note.at, note.meta) == (None, None, None)


def test_what_the_declaration_can_not_read_is_handed_over_as_it_is() -> None:
    note = CODEC.load(row(state="gone", at="nope"))
    assert (note.state, note.at) == ("gone", "nope")


def test_an_entity_without_fields_has_an_id() -> None:
    spec = User.__pylon_entity__  # type: ignore[attr-defined]
    assert ObjectCodec(spec).load(compile_rows(spec).row(id="i")) == User(id="i")


def test_an_entity_of_a_manifest_is_handed_over_as_its_row() -> None:
    spec = manifest_entity()
    codec = ObjectCodec(spec)
    found = compile_rows(spec).row(id="i")
    assert codec.load(found) is found
    assert codec.dump({"authorId": "u"}) == {"authorId": "u"}


def manifest_entity() -> EntitySpec:
    found = from_manifest(to_manifest(App("x", entities=[Note]).spec())).entity("Note")
    assert found is not None
    return found


def test_values_become_wire_values_under_wire_names() -> None:
    east = MOMENT.astimezone(timezone(timedelta(hours=3)))
    assert CODEC.dump({"title": "t", "author": User(id="u"), "state": State.LIVE, "at": east, "meta": {"on": [1]}}) == {
        "title": "t",
        "authorId": "u",
        "state": "live",
        "at": "2026-11-23T04:42:05.675Z",
        "meta": {"on": [1]},
    }


def test_values_that_are_wire_values_already_stay() -> None:
    values = {"author": "u", "state": "live", "at": "2026-11-23", "meta": None, "id": "i"}
    assert CODEC.dump(values) == {"authorId": "u", "state": "live", "at": "2026-11-23", "meta": None, "id": "i"}


def test_a_date_is_a_datetime_on_the_wire() -> None:
    assert CODEC.dump({"at": date(2026, 1, 2)}) == {"at": "2026-01-02"}


def test_json_fields_take_structs() -> None:
    class Point(msgspec.Struct):
        x: int

    assert CODEC.dump({"meta": [Point(1)]}) == {"meta": [{"x": 1}]}


def test_an_unknown_attribute_is_told_with_the_valid_ones() -> None:
    with pytest.raises(PylonError) as caught:
        CODEC.dump({"titel": "t"})
    assert caught.value.code == "INVALID_COLUMN"
    assert caught.value.message == (
        'Unknown column "titel" -- valid columns: id, title, author, state, old_state, at, meta, secret'
    )


def test_what_is_dumped_is_what_was_loaded() -> None:
    found = row(authorId="u", at="2026-11-23T04:42:05.675Z", meta=[1], secret="s")
    note = CODEC.load(found)
    values = {attribute: getattr(note, attribute) for attribute in Note.__struct_fields__}
    assert TYPES.row(**CODEC.dump(values)) == found


def test_hidden_fields_do_not_leave_the_server() -> None:
    public = CODEC.public(CODEC.load(row(secret="s")))
    assert "secret" not in public
    assert public["authorId"] is None
