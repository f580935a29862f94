"""What a key does in `pylon top`, without a terminal (`cli/top/state.py`, `keys.py`, `figures.py`)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.cli.top.figures import BARS, PLAIN_BARS, clean, count, duration, milliseconds, size, sparkline
from pylon.cli.top.keys import keys_of
from pylon.cli.top.state import Act, Action, State, Table, Target


def document(**top: list[list[Any]]) -> dict[str, Any]:
    return {
        "top": {"users": [], "addresses": [], "entities": [], "functions": []} | top,
        "slow_queries": [],
        "readers": [],
    }


@pytest.fixture
def state() -> State:
    return State(
        document=document(
            users=[["alice", 9.0], ["bob", 5.0], ["carol", 1.0]],
            addresses=[["10.0.0.1", 3.0]],
            entities=[["Todo", 2.0]],
        )
    )


def press(state: State, *pressed: str) -> list[Action]:
    return [action for key in pressed if (action := state.press(key)) is not None]


def test_nothing_destructive_happens_without_a_yes(state: State) -> None:
    for key in ("t", "b", "k"):
        for answer in ("n", "q", "escape", "down", " ", key):
            assert press(state, key, answer) == []
            assert state.asking is None
    assert not state.is_over


def test_yes_does_it_to_whom_the_question_named(state: State) -> None:
    assert press(state, "down", "t") == []
    assert state.asking is not None
    assert "writes of user bob for 10 minutes" in state.asking.question()
    state.show(document(users=[["mallory", 99.0], ["alice", 9.0], ["bob", 5.0]]))
    assert press(state, "y") == [Action(Act.THROTTLE, Target("user", "bob"))]


def test_the_selection_stays_on_whom_it_is_on_when_they_change_places(state: State) -> None:
    press(state, "down")
    state.show(document(users=[["mallory", 99.0], ["alice", 9.0], ["bob", 5.0]]))
    assert state.target() == Target("user", "bob")
    state.show(document(users=[["mallory", 99.0]]))
    assert state.target() == Target("user", "mallory")


def test_the_ends_of_a_table_hold(state: State) -> None:
    press(state, *["down"] * 9)
    assert state.target() == Target("user", "carol")
    press(state, *["up"] * 9)
    assert state.target() == Target("user", "alice")


def test_tab_goes_round_all_tables(state: State) -> None:
    seen = []
    for _ in Table:
        seen.append(state.target())
        press(state, "tab")
    assert seen == [Target("user", "alice"), Target("ip", "10.0.0.1"), Target("entity", "Todo"), None, None, None]
    assert state.focus is Table.USERS
    press(state, "back-tab")
    assert state.focus is Table.READERS


def test_an_empty_table_has_nobody_to_block(state: State) -> None:
    state.focus = Table.FUNCTIONS
    assert press(state, "b") == []
    assert state.asking is None
    assert "is selected" in state.message


def test_only_users_and_addresses_can_be_kicked(state: State) -> None:
    state.focus = Table.ENTITIES
    assert press(state, "k") == []
    assert state.asking is None
    assert "sockets" in state.message


def test_a_read_stands_for_its_user_and_pylons_own_for_nobody(state: State) -> None:
    reads = [{"what": "pull", "user": user, "request_id": "r", "seconds": 1.0} for user in ("dave", None, "system")]
    state.document["readers"] = reads
    state.focus = Table.READERS
    assert state.target() == Target("user", "dave")
    press(state, "down")
    assert state.target() is None
    press(state, "down")
    assert state.target() is None


def test_everybody_without_a_session_is_a_scope_of_its_own() -> None:
    state = State(document=document(users=[["anonymous", 9.0], ["__admin__", 1.0]]))
    assert state.target() == Target("anonymous", "")
    press(state, "down")
    assert state.target() is None


def test_undo_takes_back_the_last_one_first_and_a_kick_not_at_all(state: State) -> None:
    alice, bob = Target("user", "alice"), Target("user", "bob")
    state.done(Action(Act.THROTTLE, alice), "sw_1")
    state.done(Action(Act.BLOCK, bob), "sw_2")
    state.done(Action(Act.KICK, bob), "")
    assert press(state, "u", "u", "u") == [Action(Act.UNDO, bob, "sw_2"), Action(Act.UNDO, alice, "sw_1")]
    assert state.message == "nothing to undo"


def test_an_undo_that_failed_can_be_tried_again(state: State) -> None:
    state.done(Action(Act.BLOCK, Target("user", "bob")), "sw_2")
    [undo] = press(state, "u")
    state.failed(undo, "no server answers")
    assert press(state, "u") == [undo]


def test_paused_figures_do_not_change_until_it_goes_on(state: State) -> None:
    before = state.document
    press(state, "p")
    state.show(document(users=[["mallory", 99.0]]))
    assert state.document is before
    press(state, "p")
    state.show(document(users=[["mallory", 99.0]]))
    assert state.target() == Target("user", "mallory")


def test_keys_are_decoded_and_unknown_sequences_are_no_keys() -> None:
    assert keys_of(b"\x1b[A\x1bOBj\t\x1b[Z") == ["up", "down", "j", "tab", "back-tab"]
    assert keys_of(b"\x1b") == ["escape"]
    assert keys_of(b"\x1b[15~b") == ["b"]
    assert keys_of(b"\x1b[1;5Cq") == ["q"]
    assert keys_of(b"\x00\x01\x7f") == []


@given(st.binary(max_size=64))
def test_no_bytes_break_the_keys(data: bytes) -> None:
    keys_of(data)


@given(st.lists(st.floats(0, 1e9), max_size=300), st.integers(0, 60))
def test_a_sparkline_fits_and_shows_its_highest_value(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) <= width
    if values and width:
        assert (BARS[-1] in line) == (max(values) > 0)


def test_figures_are_short() -> None:
    assert [size(n) for n in (0, 1023, 2048, 5 * 2**20, 3 * 2**40)] == ["0 B", "1023 B", "2.0 KB", "5.0 MB", "3.0 TB"]
    assert [count(n) for n in (0, 0.25, 12.53, 1250, 1.25e6)] == ["0", "0.25", "12.5", "1,250", "1.2M"]
    assert [milliseconds(n) for n in (0.71, 24.4, 1500)] == ["0.7 ms", "24 ms", "1.5 s"]
    assert [duration(n) for n in (12, 310, 11_040, 176_400)] == ["12s", "5m 10s", "3h 4m", "2d 1h"]
    assert sparkline([0, 1, 2, 4], 4) == "▁▃▅█"
    assert sparkline([0, 4], 4, PLAIN_BARS) == "_#"


def test_text_of_others_is_one_printable_line() -> None:
    assert clean("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    assert clean("x" * 50, 10) == "xxxxxxxxx…"
    assert clean("héllo") == "héllo"
