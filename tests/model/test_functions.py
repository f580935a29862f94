"""Arguments of functions: hints are the validators."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pytest
from msgspec import Meta

from pylon import DeclarationError, Entity, Id, Json, PylonError, RichText
from pylon.model.functions import convert_arguments, decode_arguments, input_fields, read_function
from pylon.model.schema import FunctionSpec


class Note(Entity):
    title: str


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Filter(TypedDict):
    tag: str
    limit: NotRequired[int]


@dataclass
class Point:
    x: float
    y: float = 0.0


class Tree(msgspec.Struct):
    children: list[Tree]


def spec(handler: Callable[..., Any]) -> FunctionSpec:
    return read_function(handler, "query", scope={})


def hinted(hint: Any) -> FunctionSpec:
    """A function with one required argument `x` of that hint."""

    def f(ctx: object, x: Any) -> None: ...

    f.__annotations__["x"] = hint
    return spec(f)


def publish(
    ctx: object,
    title: str,
    note: Id[Note],
    tag: str = "public",
    limit: Annotated[int, Meta(ge=1, le=200)] = 50,
    at: datetime | None = None,
    colour: Colour = Colour.RED,
    tags: list[str] = [],  # noqa: B006 - copied for each call
) -> None: ...


PUBLISH = spec(publish)


def refusal(body: bytes, of: FunctionSpec = PUBLISH) -> tuple[str, str]:
    with pytest.raises(PylonError) as caught:
        decode_arguments(of, body)
    return caught.value.code, caught.value.message


def decoded(body: bytes) -> dict[str, Any]:
    return msgspec.structs.asdict(decode_arguments(PUBLISH, body))


# -- decoding ----------------------------------------------------------------------------------------------------


def test_arguments_arrive_as_python_values() -> None:
    assert decoded(b'{"title":"a","note":"n","limit":3,"at":"2026-11-23T04:42:05Z","colour":"blue","tags":["x"]}') == {
        "title": "a",
        "note": "n",
        "tag": "public",
        "limit": 3,
        "at": datetime(2026, 11, 23, 4, 42, 5, tzinfo=UTC),
        "colour": Colour.BLUE,
        "tags": ["x"],
    }


def test_null_for_an_argument_with_a_default_means_the_default() -> None:
    values = decoded(b'{"title":"a","note":"n","tag":null,"at":null,"tags":null}')
    assert (values["tag"], values["at"], values["tags"]) == ("public", None, [])


def test_undeclared_arguments_are_ignored() -> None:
    assert "more" not in decoded(b'{"title":"a","note":"n","more":1}')


def test_a_mutable_default_is_made_anew_for_each_call() -> None:
    decoded(b'{"title":"a","note":"n"}')["tags"].append("x")
    assert decoded(b'{"title":"a","note":"n"}')["tags"] == []


def test_an_empty_body_means_no_arguments() -> None:
    def f(ctx: object, n: int = 1) -> None: ...

    assert msgspec.structs.asdict(decode_arguments(spec(f), b"")) == {"n": 1}


def test_values_of_nested_calls_are_converted_alike() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    values = msgspec.structs.asdict(convert_arguments(PUBLISH, {"title": "a", "note": "n", "at": moment}))
    assert values["at"] == moment
    with pytest.raises(PylonError, match=r"args\.title: expected str, got int"):
        convert_arguments(PUBLISH, {"title": 1, "note": "n"})


# -- what callers are told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"{", b'{"title":', b"\xff", b"   "])
def test_a_body_that_is_no_json(body: bytes) -> None:
    assert refusal(body) == ("INVALID_JSON", "Invalid request body")


def test_json_that_nests_too_deeply() -> None:
    deep = b"[" * 200 + b"]" * 200
    assert refusal(b'{"x":' + deep + b"}", hinted(Any))[0] == "INVALID_JSON"


@pytest.mark.parametrize(("body", "got"), [(b"[]", "array"), (b"null", "null"), (b"3", "int"), (b"true", "bool")])
def test_arguments_are_an_object(body: bytes, got: str) -> None:
    assert refusal(body) == ("INVALID_ARGS", f"args must be an object, got {got}")


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ('"title":3', "args.title: expected str, got int"),
        ('"tag":true', "args.tag: expected str, got bool"),
        ('"limit":true', "args.limit: expected int, got bool"),
        ('"limit":1.5', "args.limit: expected int, got float"),
        ('"limit":0', "args.limit: expected int >= 1"),
        ('"tags":["a",1]', "args.tags[1]: expected str, got int"),
        ('"at":"2026-11-23"', "args.at: expected a date and time with its zone, as in 2026-11-23T04:42:05Z"),
        ('"at":"2026-11-23T01:00:00"', "args.at: expected a date and time with its zone, as in 2026-11-23T04:42:05Z"),
        ('"colour":"pink"', "args.colour: expected 'red' or 'blue', got 'pink'"),
    ],
)
def test_an_argument_of_another_type_is_named(argument: str, text: str) -> None:
    body = b'{"title":"a","note":"n",' + argument.encode() + b"}"
    assert refusal(body) == ("INVALID_ARGS", text)


def test_a_missing_argument_is_named_and_so_is_null() -> None:
    assert refusal(b'{"note":null}')[1] == (
        "args.title: missing required argument (str); args.note: missing required argument (id of Note)"
    )


# -- validators on the wire --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (RichText, {"type": "string"}),
        (datetime, {"type": "string"}),
        (int, {"type": "int"}),
        (Annotated[int, Meta(ge=1)], {"type": "int"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Id[Note], {"type": "id", "table": "Note"}),
        (Json, {"type": "any"}),
        (Any, {"type": "any"}),
        (list, {"type": "array", "items": {"type": "any"}}),
        (set[int], {"type": "array", "items": {"type": "int"}}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (
            list[str | None],
            {"type": "array", "items": {"type": "union", "variants": [{"type": "string"}, {"type": "null"}]}},
        ),
        (dict[str, int], {"type": "object", "fields": {}}),
        (Literal["a"], {"type": "literal", "value": "a"}),
        (Colour, {"type": "union", "variants": [{"type": "literal", "value": v} for v in ("red", "blue")]}),
        (int | str, {"type": "union", "variants": [{"type": "int"}, {"type": "string"}]}),
        (
            Filter,
            {"type": "object", "fields": {"tag": {"type": "string"}, "limit": {"type": "int", "optional": True}}},
        ),
        (
            Point,
            {"type": "object", "fields": {"x": {"type": "number"}, "y": {"type": "number", "optional": True}}},
        ),
        (
            Tree,
            {
                "type": "object",
                "fields": {"children": {"type": "array", "items": {"type": "object", "fields": {}}}},
            },
        ),
    ],
)
def test_a_hint_has_a_validator(hint: Any, schema: dict[str, Any]) -> None:
    assert hinted(hint).args_schema == {"x": schema}


def test_an_argument_is_optional_when_it_may_be_none_or_has_a_default() -> None:
    def f(ctx: object, a: str | None, b: int = 1) -> None: ...

    assert spec(f).args_schema == {
        "a": {"type": "string", "optional": True},
        "b": {"type": "int", "optional": True},
    }


def test_arguments_become_input_fields_of_a_manifest() -> None:
    assert [(f["name"], f["type"], f["optional"]) for f in input_fields(PUBLISH)] == [
        ("title", "string", False),
        ("note", "id(Note)", False),
        ("tag", "string", True),
        ("limit", "int", True),
        ("at", "datetime", True),
        ("colour", "string", True),
        ("tags", "json", True),
    ]


# -- what is refused at import -----------------------------------------------------------------------------------


def declaration_error(handler: Callable[..., Any]) -> str:
    with pytest.raises(DeclarationError) as caught:
        spec(handler)
    return caught.value.message


def test_an_entity_is_no_argument() -> None:
    with pytest.raises(DeclarationError, match=r"f\(x\): Note is an entity.*Take its id with Id\[Note\]"):
        hinted(Note)


@pytest.mark.parametrize("hint", [complex, object(), "Nope", bytes | complex])
def test_an_unknown_hint_is_refused(hint: Any) -> None:
    with pytest.raises(DeclarationError, match=r"f\(x\)"):
        hinted(hint)


def test_hints_that_json_can_not_tell_apart_are_refused() -> None:
    with pytest.raises(DeclarationError, match="can't be told apart"):
        hinted(datetime | str)


def test_a_parameter_without_a_hint_is_refused() -> None:
    def f(ctx, x): ...  # type: ignore[no-untyped-def]

    assert declaration_error(f).startswith("f(x): has no type hint")


def test_a_default_must_fit_its_hint() -> None:
    def f(ctx: object, x: int = "a") -> None: ...  # type: ignore[assignment]

    assert declaration_error(f).startswith("f(x): the default 'a' does not fit the hint")


def test_arguments_are_passed_by_name() -> None:
    def star(ctx: object, *x: int) -> None: ...

    def stars(ctx: object, **x: int) -> None: ...

    def positional(ctx: object, x: int, /) -> None: ...

    for f in (star, stars, positional):
        assert "arguments are passed by name" in declaration_error(f)
