"""Names that developers choose."""

from __future__ import annotations

import pytest

from pylon.model.names import camel_case, name_problem, nearest


@pytest.mark.parametrize("name", ["Note", "_x", "a1", "by_tag"])
def test_ordinary_names_are_free(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "1a", "a-b", "ä", 'a"b', "a b", "_pylon_x", "_FTS_Note", "sqlite_master"])
def test_names_that_sql_or_the_system_needs_are_not(name: str) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize(("name", "alias"), [("by_tag", "byTag"), ("join", "join"), ("_a_b", "_aB"), ("x_2_y", "x2Y")])
def test_snake_case_becomes_camel_case(name: str, alias: str) -> None:
    assert camel_case(name) == alias


def test_the_nearest_name_is_found_without_regard_to_case() -> None:
    assert nearest("TITEL", ["title", "body"]) == "title"
    assert nearest("zzz", ["title", "body"]) is None
