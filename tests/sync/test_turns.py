"""Whoever asks for much waits behind himself."""

from __future__ import annotations

from pylon.sync.turns import Turns


def taken(turns: Turns[str]) -> list[str]:
    found = []
    while not turns.is_idle:
        found.append(turns.take())
    return found


def test_owners_take_turns_each_in_their_own_order() -> None:
    turns: Turns[str] = Turns()
    for item in ("a1", "a2", "a3"):
        turns.put("a", item)
    turns.put("b", "b1")
    turns.put(None, "n1")
    assert len(turns) == 5
    assert taken(turns) == ["a1", "b1", "n1", "a2", "a3"]
    assert len(turns) == 0


def test_an_owner_that_is_held_is_passed_over_until_it_is_resumed() -> None:
    turns: Turns[str] = Turns()
    turns.put("a", "a1")
    assert turns.owner == "a"
    turns.hold()
    turns.put("a", "a2")
    turns.put("b", "b1")
    assert taken(turns) == ["b1"]
    turns.resume("a")
    assert taken(turns) == ["a1", "a2"]


def test_an_owner_that_is_held_and_has_nothing_left_is_forgotten() -> None:
    turns: Turns[str] = Turns()
    turns.put("a", "a1")
    turns.hold()
    turns.clear()
    turns.resume("a")
    assert turns.is_idle
    turns.put("a", "a2")
    assert taken(turns) == ["a2"]
