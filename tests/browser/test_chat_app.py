"""examples/chat through its HTTP door: what the page relies on, without a page."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

CHAT = Path(__file__).parents[2] / "examples" / "chat"


class Chat:
    """The seeded chat as its people use it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._tokens: dict[str, str] = {}
        _, listed = server.request("GET", "/api/entities/Channel", token=ADMIN_TOKEN)
        self.channels = {row["name"]: row["id"] for row in listed["data"]}

    def call(self, person: str, function: str, **arguments: Any) -> tuple[int, Any]:
        return self.ask(person, "POST", f"/api/fn/{function}", arguments)

    def ask(self, person: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        if person not in self._tokens:
            self._tokens[person] = self.server.token_of(person)
        return self.server.request(method, path, body, token=self._tokens[person])


@pytest.fixture
def chat(start: Callable[[Path], ServerProcess]) -> Chat:
    server = start(CHAT / "app.py")
    assert runpy.run_path(str(CHAT / "seed.py"))["seed"](server.url, ADMIN_TOKEN)
    return Chat(server)


def test_unread_counts_what_others_wrote_since_the_marker(chat: Chat) -> None:
    general = chat.channels["general"]
    _, before = chat.call("ada", "unread")
    assert before[general] == 14
    _, rows = chat.ask(
        "ada", "POST", "/api/query/Message", {"channel": general, "$order": {"sent": "desc"}, "$limit": 1}
    )
    assert chat.call("ada", "mark_read", message=rows[0]["id"])[0] == 200
    chat.call("ben", "send", channel=general, body="one more")
    assert chat.call("ada", "unread")[1][general] == 1


def test_a_marker_never_moves_back(chat: Chat) -> None:
    general = chat.channels["general"]
    query = {"channel": general, "$order": {"sent": "asc"}}
    _, rows = chat.ask("ada", "POST", "/api/query/Message", query)
    chat.call("ada", "mark_read", message=rows[-1]["id"])
    _, marker = chat.call("ada", "mark_read", message=rows[0]["id"])
    assert marker["at"] == rows[-1]["sent"]


def test_sending_again_under_the_same_id_gives_the_same_message(chat: Chat) -> None:
    general, row_id = chat.channels["general"], "0" * 32 + "abcdef01"
    first = chat.call("ada", "send", channel=general, body="once", id=row_id)
    assert first[0] == 200
    assert chat.call("ada", "send", channel=general, body="once", id=row_id) == first
    status, answer = chat.call("ben", "send", channel=general, body="mine now", id=row_id)
    assert (status, answer["error"]["code"]) == (400, "OPTIMISTIC_ID_CONFLICT")


def test_sending_keeps_the_channels_summary(chat: Chat) -> None:
    general = chat.channels["general"]
    _, before = chat.ask("ada", "GET", f"/api/entities/Channel/{general}")
    _, sent = chat.call("ada", "send", channel=general, body="  summary  ")
    _, after = chat.ask("ada", "GET", f"/api/entities/Channel/{general}")
    assert after["messages"] == before["messages"] + 1
    assert (after["last_message"], after["last_author"], after["last_at"]) == ("summary", "ada", sent["sent"])


@pytest.mark.parametrize("body", ["", "   ", "x" * 4001])
def test_a_refused_message_leaves_no_trace(chat: Chat, body: str) -> None:
    general = chat.channels["general"]
    before = chat.ask("ada", "GET", f"/api/entities/Channel/{general}")
    assert chat.call("ada", "send", channel=general, body=body)[0] == 400
    assert chat.ask("ada", "GET", f"/api/entities/Channel/{general}") == before


def test_a_stranger_reads_public_channels_and_writes_in_none(chat: Chat) -> None:
    design = chat.channels["design"]
    _, rows = chat.ask("ben", "POST", "/api/query/Message", {"channel": design})
    assert len(rows) == 11
    status, answer = chat.call("ben", "send", channel=design, body="hi")
    assert (status, answer["error"]["code"]) == (400, "NOT_A_MEMBER")


@pytest.mark.parametrize("entity", ["Channel", "Membership", "Message", "Reaction", "ReadMarker", "Profile"])
def test_no_entity_is_written_but_by_functions(chat: Chat, entity: str) -> None:
    general = chat.channels["general"]
    body: dict[str, Any] = {
        "Channel": {"name": "mine"},
        "Membership": {"channel": general, "user": "mallory"},
        "Message": {"channel": general, "body": "x"},
        "Reaction": {"message": general, "channel": general, "emoji": "x"},
        "ReadMarker": {"channel": general, "at": "2026-01-01T00:00:00.000Z"},
        "Profile": {"name": "x"},
    }[entity]
    status, answer = chat.ask("mallory", "POST", f"/api/entities/{entity}", body)
    assert (status, answer["error"]["code"]) == (403, "POLICY_DENIED")


def test_a_private_channel_does_not_exist_for_others_until_they_are_invited(chat: Chat) -> None:
    _, secret = chat.call("ada", "create_channel", name="secret", private=True)
    chat.call("ada", "send", channel=secret["id"], body="psst")
    assert chat.ask("ben", "POST", "/api/query/Message", {"channel": secret["id"]})[1] == []
    for function, arguments in {"join": {}, "send": {"body": "x"}, "invite": {"user": "ben"}}.items():
        status, answer = chat.call("ben", function, channel=secret["id"], **arguments)
        assert (status, answer["error"]["code"]) == (400, "NOT_FOUND")
    assert chat.call("ada", "invite", channel=secret["id"], user="ben")[0] == 200
    _, rows = chat.ask("ben", "POST", "/api/query/Message", {"channel": secret["id"]})
    assert [row["body"] for row in rows] == ["psst"]
