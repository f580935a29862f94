"""Bounds of fields: every door refuses the same values, by field and rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pylon import App, Entity, field
from pylon.model.diagnostics import DeclarationError, check
from pylon.model.entity import entity_spec
from pylon.model.errors import PylonError
from pylon.model.manifest import from_manifest, to_manifest
from pylon.model.rows import compile_rows


class Product(Entity):
    name: str = field(min_length=2, max_length=5)
    slug: str | None = field(pattern="[a-z0-9]+(-[a-z0-9]+)*")
    price: float | None = field(min=0, max=10.5)
    stock: int | None = field(min=-3)


TYPES = compile_rows(entity_spec(Product))


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"name": "a"}, "name: must have at least 2 characters"),
        ({"name": "abcdef"}, "name: must have at most 5 characters"),
        ({"slug": "a--b"}, "slug: must match [a-z0-9]+(-[a-z0-9]+)*"),
        ({"slug": "a" * 5000}, "slug: must have at most 4096 characters"),
        ({"price": -0.1}, "price: must be at least 0"),
        ({"price": 11}, "price: must be at most 10.5"),
        ({"stock": -4}, "stock: must be at least -3"),
        ({"stock": 2**63}, "stock: expected an int of 64 bits"),
        ({"stock": "4"}, "stock: expected int, got string"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_field_and_rule(values: dict[str, Any], rule: str) -> None:
    for refuse in (lambda: TYPES.convert_insert({"name": "ok", **values}), lambda: TYPES.convert_patch(values)):
        with pytest.raises(PylonError) as refused:
            refuse()
        assert (refused.value.code, refused.value.message) == ("INVALID_DATA", f"Product.{rule}")


def test_values_within_bounds_and_null_are_taken() -> None:
    assert TYPES.convert_insert({"name": "é" * 5, "slug": "a-b-1", "price": 10.5, "stock": -3}).stock == -3
    assert TYPES.convert_patch({"slug": None, "stock": None}) == {"slug": None, "stock": None}


def test_a_row_that_was_written_before_its_bounds_is_still_read() -> None:
    before = b'{"id":"' + b"a" * 40 + b'","name":"a","price":99.0,"slug":"A","stock":null}'
    assert TYPES.parse(before).name == "a"


def test_bounds_are_the_same_in_a_manifest() -> None:
    app = App("shop", entities=[Product]).spec()
    manifest = to_manifest(app)
    assert manifest["entities"][0]["fields"][1]["pattern"] == "[a-z0-9]+(-[a-z0-9]+)*"
    again = from_manifest(msgspec.json.encode(manifest))
    assert [f.bounds for f in again.entities[0].fields] == [f.bounds for f in app.entities[0].fields]
    assert not check(again)


@pytest.mark.parametrize(
    ("hint", "options", "why"),
    [
        (int, {"min_length": 1}, "lengths and patterns are of a string"),
        (str, {"min": 1}, "min and max bound an int or a float"),
        (int, {"min": 1.5}, "whole numbers"),
        (int, {"min": 3, "max": 2}, "no value keeps to both"),
        (str, {"pattern": "("}, "can't be used"),
        (str, {"max_length": 2, "default": "abc"}, "length <= 2"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_at_once(hint: type, options: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        type(Entity)("Odd", (Entity,), {"__annotations__": {"x": hint}, "x": field(**options), "__module__": __name__})
