"""Textual annotations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, get_args

from pylon.model.annotations import Id, IdOf, Json, RichText, describe, evaluate, forward_names, split_optional

SCOPE: dict[str, Any] = {"Id": Id, "datetime": datetime}


def test_text_is_evaluated_in_the_scopes_in_order() -> None:
    assert evaluate("datetime", {"datetime": int}, SCOPE) is int


def test_builtins_are_known_last() -> None:
    assert evaluate("str | None", SCOPE) == str | None


def test_an_unknown_name_is_kept_to_be_reported() -> None:
    assert forward_names(evaluate("Nope | None", SCOPE)) == ["Nope"]
    assert forward_names(evaluate("list[Nope]", SCOPE)) == ["Nope"]


def test_id_takes_a_name_that_is_not_defined_yet() -> None:
    assert evaluate("Id[User]", SCOPE) == Annotated[str, IdOf("User")]
    assert evaluate('Id["User"]', SCOPE) == Annotated[str, IdOf("User")]


def test_id_of_something_may_be_optional() -> None:
    inner, optional = split_optional(evaluate("Id[User] | None", SCOPE))
    assert optional
    assert get_args(inner)[1] == IdOf("User")


def test_our_own_types_are_described_by_their_names() -> None:
    assert [describe(hint) for hint in (Json, RichText, Id["User"], int)] == ["Json", "RichText", "Id[User]", "int"]
