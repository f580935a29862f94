"""Row types: what a body may hold, what it becomes, and how a wrong one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows, decode_json
from pylon.model.schema import DefaultLiteral, EntitySpec, Field, Kind

POST = EntitySpec(
    name="Post",
    fields=(
        Field(name="title", kind=Kind.STRING),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="f", kind=Kind.FLOAT, optional=True),
        Field(name="b", kind=Kind.BOOL, default=DefaultLiteral(value=True)),
        Field(name="at", kind=Kind.DATETIME, optional=True),
        Field(name="j", kind=Kind.JSON, optional=True),
        Field(name="state", kind=Kind.STRING, optional=True, enum_values=("draft", "live")),
        Field(name="vec", kind=Kind.VECTOR, dimensions=2, optional=True, server_only=True),
        Field(name="list", kind=Kind.JSON, default=DefaultLiteral(value=[])),
    ),
)
TYPES = compile_rows(POST)


def decode(**data: Any) -> Any:
    return TYPES.decode_insert(json.dumps(data).encode())


def test_columns_are_in_alphabetical_order_with_the_id_among_them() -> None:
    assert TYPES.columns == ("at", "b", "f", "id", "j", "list", "n", "state", "title", "vec")


def test_defaults_fill_what_is_absent_or_null() -> None:
    assert decode(title="x").b is True
    assert decode(title="x", b=None).b is True
    assert decode(title="x", b=False).b is False


def test_a_mutable_default_is_nobody_elses() -> None:
    first = decode(title="x")
    first.list.append(1)
    assert decode(title="y").list == []


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        ({"title": 5}, "INVALID_DATA", "Post.title: expected string, got int"),
        ({"n": 1.5}, "INVALID_DATA", "Post.n: expected int, got float"),
        ({"n": True}, "INVALID_DATA", "Post.n: expected int, got bool"),
        ({"n": 2**63}, "INVALID_DATA", "Post.n: expected an int of 64 bits"),
        ({"b": 1}, "INVALID_DATA", "Post.b: expected bool, got int"),
        ({"at": "yesterday"}, "INVALID_DATA", "Post.at: expected ISO 8601 datetime, got string"),
        ({"at": "2026-13-01"}, "INVALID_DATA", "Post.at: expected ISO 8601 datetime, got string"),
        ({"state": "gone"}, "INVALID_DATA", "Post.state: expected one of 'draft', 'live'"),
        ({"vec": [1.0]}, "INVALID_DATA", "Post.vec: expected 2 numbers"),
        (
            {"nope": 1},
            "INVALID_COLUMN",
            'Unknown column "nope" -- valid columns: id, title, n, f, b, at, j, state, list',
        ),
        (
            {"id": "abc"},
            "INVALID_ID",
            "client-provided `id` must be a 40-char lowercase hex string "
            '(use generateId() from @pylonsync/sync). Got: "abc"',
        ),
        (
            {"id": 5},
            "INVALID_ID",
            "Insert data carried a non-string `id` value: 5. Pylon row ids are always 40-char hex strings.",
        ),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], code: str, message: str) -> None:
    for attempt in (lambda: decode(**data), lambda: TYPES.convert_insert(data)):
        with pytest.raises(PylonError) as refused:
            attempt()
        assert (refused.value.code, refused.value.message) == (code, message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"title":"\xff"}',
        b'{"title":"\\ud800"}',
        b'{"n":NaN}',
        b'{"f":1e400}',
        b'{"j":' + b"[" * 128 + b"]" * 128 + b"}",
        b'{"j":' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_is_told_so(body: bytes) -> None:
    with pytest.raises(PylonError) as refused:
        TYPES.decode_insert(body)
    assert refused.value.code == "INVALID_JSON"


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"5", b"null"])
def test_a_body_that_is_no_object_is_told_so(body: bytes) -> None:
    with pytest.raises(PylonError, match="Insert data must be a JSON object"):
        TYPES.decode_insert(body)
    with pytest.raises(PylonError, match="Update data must be a JSON object"):
        TYPES.decode_patch(body)


def test_nesting_counts_levels_and_not_brackets_in_strings() -> None:
    deep = b"[" * 126 + b"]" * 126
    assert TYPES.decode_insert(b'{"title":"x","j":' + deep + b"}")
    assert decode_json(b'"' + b"[" * 1000 + b'\\"]"')


def test_a_patch_holds_what_was_sent_and_never_the_id() -> None:
    assert TYPES.decode_patch(b'{"id":"zzz","n":null,"title":"x"}') == {"n": None, "title": "x"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


@given(
    title=st.text(st.characters(exclude_categories=["Cs"])),
    n=st.none() | st.integers(-(2**63), 2**63 - 1),
    f=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    b=st.booleans(),
    j=json_values,
)
def test_a_row_survives_storing_and_logging(title: str, n: int | None, f: float | None, b: bool, j: Any) -> None:
    row = TYPES.convert_insert({"title": title, "n": n, "f": f, "b": b, "j": j})
    assert TYPES.load(TYPES.dump(row)) == row
    assert TYPES.parse(TYPES.encode(row)) == row


def test_hidden_fields_never_reach_a_replica() -> None:
    row = decode(title="x", vec=[1.0, 2.0])
    assert b"vec" in TYPES.encode(row)
    assert b"vec" not in TYPES.encode_replica(row, TYPES.encode(row))


def test_a_log_entry_of_an_earlier_declaration_is_still_read() -> None:
    row = TYPES.parse(b'{"id":"1","title":"x","gone":true}')
    assert (row.title, row.n) == ("x", None)
