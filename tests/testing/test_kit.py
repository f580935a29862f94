"""The testing kit: an app in this process, anybody at its doors, a clock that obeys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pylon.model.errors import PylonError
from pylon.testing.kit import TestApp
from tests.testing.app import Fresh, Member, Note, Shared, app, refuse, rename


@pytest.fixture(scope="module")
def shared() -> Iterator[TestApp]:
    with app.test() as running:
        yield running


def code(error: pytest.ExceptionInfo[PylonError]) -> str:
    return error.value.code


def test_each_test_app_begins_empty_and_follows_the_policies() -> None:
    for _ in range(2):
        with app.test() as t:
            ada, ben = t.as_user("ada"), t.as_user("ben")
            assert ada.list(Note) == []
            note = ada.insert(Note, title="mine")
            assert ada.get(Note, note)["author"] == "ada"
            assert ada.can_read(Note, note)
            assert not ben.can_read(Note, note)


def test_anybody_can_be_somebody(shared: TestApp) -> None:
    note = shared.as_user("ada").insert(Note, title="x", team="red")
    assert shared.as_user("cyd", roles=["red"]).can_read(Note, note)
    assert not shared.as_user("cyd", roles=["blue"]).can_read(Note, note)
    assert shared.as_admin().can_read(Note, note)
    assert not shared.as_guest().can_read(Note, note)
    assert shared.anonymous().request("GET", "/api/auth/me").json["user_id"] is None
    me = shared.as_user("ada", tenant="t1", roles=["red"]).request("GET", "/api/auth/me").json
    assert (me["user_id"], me["tenant_id"], me["roles"]) == ("ada", "t1", ["red"])


def test_refusals_carry_the_code_that_a_client_would_see(shared: TestApp) -> None:
    ada, ben = shared.as_user("ada"), shared.as_user("ben")
    note = ada.insert(Note, title="x")
    with pytest.raises(PylonError) as denied:
        ben.update(Note, note, title="y")
    assert code(denied) == "POLICY_DENIED"
    with pytest.raises(PylonError) as refused:
        ada.call(refuse)
    assert (code(refused), refused.value.status, refused.value.hint) == ("TOO_LATE", 409, "Come tomorrow.")
    assert ben.request("PATCH", f"/api/entities/Note/{note}", {"title": "y"}).status == 403


def test_functions_rows_and_pushes_end_up_among_the_changes() -> None:
    with app.test() as t:
        ada = t.as_user("ada")
        note = ada.insert(Note, title="a")
        assert ada.call(rename, note=note, title="b") == "b"
        pushed = {"entity": "Note", "row_id": "_pending_1", "kind": "insert", "data": {"title": "c"}, "op_id": "1"}
        assert ada.push([pushed])[0]["status"] == "applied"
        ada.delete(Note, note)
        assert t.changes.lines == [
            "insert Note author='ada', title='a'",
            "update Note author='ada', title='b'",
            "insert Note author='ada', title='c'",
            "delete Note author='ada', title='b'",
        ]
        assert t.changes.of(Note)[0].row_id == note
        t.changes.clear()
        assert list(t.changes) == []


def test_a_live_connection_sees_what_its_identity_may_see(shared: TestApp) -> None:
    shared.as_admin().insert(Member, team="red", user="ben")
    with shared.as_user("ben").live() as ben, shared.as_user("eve").live() as eve:
        shared.as_user("ada").insert(Shared, title="red news", team="red")
        assert [event["data"]["title"] for event in ben.events if event["entity"] == "Shared"] == ["red news"]
        assert [event for event in eve.events if event["entity"] == "Shared"] == []


def test_time_stands_still_until_it_is_moved() -> None:
    with app.test(now=datetime(2030, 1, 1, tzinfo=UTC)) as t:
        ada = t.as_user("ada")
        fresh = ada.insert(Fresh, title="x")
        assert ada.get(Fresh, fresh)["made"] == "2030-01-01T00:00:00.000Z"
        t.clock.advance(minutes=59)
        assert ada.can_read(Fresh, fresh)
        t.clock.advance(minutes=2)
        assert not ada.can_read(Fresh, fresh)
        t.clock.set(datetime(2030, 1, 1, 0, 30, tzinfo=UTC))
        assert ada.can_read(Fresh, fresh)


def test_sessions_expire_by_that_clock() -> None:
    with app.test(env={"PYLON_SESSION_SECS": "3600"}) as t:
        made = t.as_admin().request("POST", "/api/auth/session", {"user_id": "ada"}).json["token"]
        bearer = {"authorization": f"Bearer {made}"}
        assert t.anonymous().request("GET", "/api/auth/me", headers=bearer).json["user_id"] == "ada"
        t.clock.advance(hours=2)
        assert t.anonymous().request("GET", "/api/auth/me", headers=bearer).json["user_id"] is None


def test_an_app_that_would_not_start_does_not_start_here_either() -> None:
    with pytest.raises(Exception, match="PYLON_PORT"), app.test(env={"PYLON_PORT": "nonsense"}):
        pass
