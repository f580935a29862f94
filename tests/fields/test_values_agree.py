"""For any entity and any JSON, all that decodes values says the same, and what was taken comes back as it was."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.engine.keyring import KeyRing
from pylon.model.bounds import bounds_problem
from pylon.model.errors import PylonError
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import Bounds, EntitySpec, Field, Kind
from pylon.model.sealing import KeyHolder

KEYS = KeyHolder(KeyRing(["key-of-the-tests-only-0123456789abcdef"]))
ROW_ID = "0" * 40
KINDS = [kind for kind in Kind if kind is not Kind.VECTOR]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["2024-02-03T04:05:06Z", "2024-13-01", "a", "b", "1", "true"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
LIMITS = st.builds(
    Bounds,
    min=st.none() | st.integers(-5, 5),
    max=st.none() | st.integers(-5, 5),
    min_length=st.none() | st.integers(0, 3),
    max_length=st.none() | st.integers(0, 5),
    pattern=st.none() | st.sampled_from(["[a-z]*", "(a|b)+", r"\d{2,}"]),
)


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    kind = draw(st.sampled_from(KINDS))
    listed = draw(st.none() | st.just(("a", "b"))) if kind is Kind.STRING else None
    field = Field(
        name=name,
        kind=kind,
        target="User" if kind is Kind.ID else None,
        optional=True,
        enum_values=listed,
        encrypted=draw(st.booleans()),
        bounds=draw(st.none() | LIMITS),
    )
    return msgspec.structs.replace(field, bounds=None) if bounds_problem(field) else field


ENTITIES = st.tuples(fields("a"), fields("b"), fields("c")).map(
    lambda found: compile_rows(EntitySpec(name="Thing", fields=found), KEYS)
)
VALUES = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def verdict(decode: Any, *given_: Any) -> tuple[str, str] | None:
    try:
        decode(*given_)
    except PylonError as error:
        return error.code, error.message
    return None


# The first draw imports and compiles what later ones reuse, so a busy machine takes over a second for it.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ENTITIES, VALUES)
def test_every_way_of_decoding_says_the_same(types: RowTypes, values: dict[str, Any]) -> None:
    body = msgspec.json.encode(values)
    values = msgspec.json.decode(body)  # whole numbers beyond 64 bits arrive as floats
    verdicts = {
        verdict(types.decode_insert, body),
        verdict(types.convert_insert, values),
        verdict(types.decode_patch, body),
        verdict(types.convert_patch, values),
        verdict(types.decode_import, body),
        verdict(types.convert_import, values),
    }
    assert len(verdicts) == 1, verdicts


@given(ENTITIES, VALUES)
def test_what_was_taken_comes_back_from_the_table_and_from_the_log(types: RowTypes, values: dict[str, Any]) -> None:
    try:
        row = types.decode_insert(msgspec.json.encode(values))
    except PylonError:
        return
    row.id = ROW_ID
    for again in (
        types.load(types.dump(row)),
        types.parse(types.encode(row)),
        types.load(types.stored(types.encode(row))),
    ):
        assert msgspec.json.encode(again) == msgspec.json.encode(row)
    patch = {name: getattr(row, name) for name in "abc"}
    stored = {"id": ROW_ID, **types.dump_patch(ROW_ID, patch)}
    assert msgspec.json.encode(types.load(tuple(stored[name] for name in types.columns))) == msgspec.json.encode(row)
    for field in types.entity.fields:
        if field.encrypted and stored[field.name] is not None:
            assert str(stored[field.name]).startswith("enc:v2:")
