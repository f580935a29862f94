"""Webhooks arrive at least once, in order and signed; what fails is tried again, and what fails for good is kept."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Entity, field
from pylon.cli import main
from pylon.plugins.webhooks import Endpoint, Webhooks, verify
from pylon.plugins.webhooks.delivery import Retrying
from pylon.plugins.webhooks.endpoints import CURSOR, ENDPOINT
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import comes_true, eventually
from tests.plugins.conftest import Doors, opened
from tests.plugins.receiver import Receiver, receiving

SECRET = "a-secret-of-sixteen-or-more"
ALLOWED = {"PYLON_OUTBOUND_ALLOW": "127.0.0.1"}
QUICK = Retrying(attempts=3, first=0.01, longest=0.02)


class Order(Entity, crdt=False):
    total: int
    secret: str | None = field(server_only=True)

    class Policy:
        allow = "true"


class Other(Entity, crdt=False):
    total: int

    class Policy:
        allow = "true"


def an_app(*endpoints: Endpoint, retrying: Retrying = QUICK) -> App:
    return App("hooked", entities=[Order, Other], plugins=[Webhooks(*endpoints, retrying=retrying)])


@asynccontextmanager
async def hooked(folder: Path, **options: Any) -> AsyncIterator[tuple[Doors, Receiver]]:
    """A server with an endpoint `crm` for orders, and the receiver that it leads to."""
    async with receiving() as receiver:
        endpoint = Endpoint("crm", receiver.url, secret=SECRET, entities=[Order])
        async with opened(an_app(endpoint, **options), folder=folder, env=ALLOWED) as doors:
            yield doors, receiver


async def test_changes_arrive_in_order_and_signed_and_nothing_else_does(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (doors, receiver):
        row_id = await doors.add("ann", "Order", total=1)
        await doors.add("ann", "Other", total=9)
        await doors.send("admin", "PATCH", f"/api/entities/Order/{row_id}", {"total": 2, "secret": "hidden"})
        await doors.push("ann", "delete", "Order", row_id)
        await comes_true(lambda: len(receiver.got) == 3)
        assert [(event["event"], event["entity"], event["row_id"]) for event in receiver.got] == [
            ("insert", "Order", row_id),
            ("update", "Order", row_id),
            ("delete", "Order", row_id),
        ]
        assert [event["data"] for event in receiver.got] == [
            {"id": row_id, "total": 1},
            {"id": row_id, "total": 2},
            None,
        ]
        assert receiver.seqs == sorted(receiver.seqs)
        headers, body = receiver.headers[0], receiver.bodies[0]
        assert headers["x-pylon-delivery"] == receiver.got[0]["id"] == f"crm:{receiver.seqs[0]}"
        assert verify(SECRET, headers, body, now=time.time())
        assert not verify(SECRET, headers, body + b" ", now=time.time())
        assert not verify("another-secret-0123456789", headers, body, now=time.time())
        assert not verify(SECRET, headers, body, now=time.time() + 400)
        assert not verify(SECRET, {**headers, "x-pylon-timestamp": "1"}, body, now=1)
        assert not verify(SECRET, {}, body, now=time.time())


async def test_what_fails_is_tried_again_and_what_is_behind_it_waits(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (doors, receiver):
        receiver.answers = [500, 0]  # an error, then nothing at all
        first = await doors.add("ann", "Order", total=1)
        second = await doors.add("ann", "Order", total=2)
        await comes_true(lambda: len(receiver.got) == 2)
        assert [event["row_id"] for event in receiver.got] == [first, second]
        assert (await doors.json("admin", "GET", "/api/admin/webhooks"))["webhooks"][0]["dead"] == 0


async def test_what_fails_for_good_is_kept_and_tried_again_by_hand(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (doors, receiver):
        receiver.always = 500
        lost = await doors.add("ann", "Order", total=1)

        async def shown() -> Any:
            return await doors.json("admin", "GET", "/api/admin/webhooks/crm")

        for _ in range(500):
            if letters := (await shown())["dead_letters"]:
                break
            await asyncio.sleep(0.01)
        assert [(x["row_id"], x["kind"], x["error"]) for x in letters] == [(lost, "insert", "answered 500")]
        assert len(receiver.bodies) == QUICK.attempts
        receiver.always = 200
        later = await doors.add("ann", "Order", total=2)
        await comes_true(lambda: [event["row_id"] for event in receiver.got] == [later])
        retry = "/api/admin/webhooks/crm/retry"
        assert await doors.code("admin", "POST", retry, {"seq": 99}) == "NOT_FOUND"
        assert await doors.json("admin", "POST", retry) == {"retrying": 1}
        await comes_true(lambda: [event["row_id"] for event in receiver.got] == [later, lost])
        for _ in range(500):
            if not (await shown())["dead_letters"]:
                break
            await asyncio.sleep(0.01)
        assert (await shown())["dead"] == 0


async def test_a_redirect_is_a_failure(tmp_path: Path) -> None:
    async with hooked(tmp_path, retrying=Retrying(attempts=1)) as (doors, receiver):
        receiver.answers = [307]
        receiver.extra = f"Location: http://127.0.0.1:{receiver.port}/elsewhere\r\n"
        await doors.add("ann", "Order", total=1)
        second = await doors.add("ann", "Order", total=2)
        await comes_true(lambda: [event["row_id"] for event in receiver.got] == [second])
        assert (await doors.json("admin", "GET", "/api/admin/webhooks/crm"))["dead_letters"][0][
            "error"
        ] == "answered 307"


async def test_a_restart_goes_on_where_it_stopped_and_a_failing_one_keeps_its_turn(tmp_path: Path) -> None:
    async with receiving() as receiver:
        app = an_app(Endpoint("crm", receiver.url, secret=SECRET, entities=["Order"]), retrying=Retrying(first=60.0))
        async with opened(app, folder=tmp_path, env=ALLOWED) as doors:
            await doors.add("ann", "Order", total=1)
            await comes_true(lambda: len(receiver.got) == 1)
            receiver.always = 503
            await doors.add("ann", "Order", total=2)
            await comes_true(lambda: len(receiver.bodies) == 2)
            await doors.add("ann", "Order", total=3)
        receiver.always = 200
        async with opened(app, folder=tmp_path, env=ALLOWED) as doors:
            await doors.add("ann", "Order", total=4)
            webhook = (await doors.json("admin", "GET", "/api/admin/webhooks"))["webhooks"][0]
            assert (webhook["attempts"], webhook["error"]) == (1, "answered 503")
            await doors.json("admin", "POST", "/api/admin/webhooks/crm/retry")  # not in a minute: now
            await comes_true(lambda: len(receiver.got) == 4)
            assert [event["data"]["total"] for event in receiver.got] == [1, 2, 3, 4]


async def test_the_secret_and_the_address_are_sealed_at_rest(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (doors, receiver):
        await doors.add("ann", "Order", total=1)
        await comes_true(lambda: len(receiver.got) == 1)
        listed = json.dumps(await doors.json("admin", "GET", "/api/admin/webhooks/crm"))
        assert SECRET not in listed
        assert "key=k" not in listed
        reads = doors.server.engine.reads
        assert reads.records(ENDPOINT)
        assert reads.records(CURSOR)
    database = sqlite3.connect(tmp_path / "pylon.db")
    dump = "\n".join(database.iterdump())
    database.close()
    assert SECRET not in dump
    assert "key=k" not in dump


async def test_an_address_inside_is_refused_when_it_is_added_and_when_it_is_called(tmp_path: Path) -> None:
    async with receiving() as receiver, opened(an_app(retrying=Retrying(attempts=1)), folder=tmp_path) as doors:
        wanted = {"url": receiver.url}
        assert await doors.code("admin", "PUT", "/api/admin/webhooks/x", wanted) == "INVALID_DATA"
        assert (
            await doors.code("admin", "PUT", "/api/admin/webhooks/x", {"url": "https://169.254.169.254/"})
            == "INVALID_DATA"
        )
    async with receiving() as receiver:
        app = an_app(Endpoint("crm", receiver.url, secret=SECRET), retrying=Retrying(attempts=1))
        async with opened(app, folder=tmp_path) as doors:  # the app declares it, and nothing allows it
            await doors.add("ann", "Order", total=1)
            shown: Any = {}
            for _ in range(500):
                shown = await doors.json("admin", "GET", "/api/admin/webhooks/crm")
                if shown["dead"]:
                    break
                await asyncio.sleep(0.01)
            assert "https://" in shown["dead_letters"][0]["error"]
        assert receiver.bodies == []


async def test_operators_add_change_and_delete_endpoints_and_nobody_else_does(tmp_path: Path) -> None:
    async with receiving() as receiver, opened(an_app(), folder=tmp_path, env=ALLOWED) as doors:
        path, wanted = "/api/admin/webhooks/ops", {"url": receiver.url, "entities": ["Other"], "kinds": ["insert"]}
        for who in (None, "ann"):
            for method, where in (("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/retry")):
                assert await doors.code(who, method, where, wanted if method == "PUT" else None) == "FORBIDDEN"
        await doors.add("ann", "Other", total=0)  # before there is anybody to tell
        made = await doors.json("admin", "PUT", path, wanted)
        assert len(made["secret"]) >= 32
        await doors.add("ann", "Order", total=1)
        row_id = await doors.add("ann", "Other", total=2)
        await doors.send("ann", "PATCH", f"/api/entities/Other/{row_id}", {"total": 3})
        await comes_true(lambda: len(receiver.got) == 1)
        assert verify(made["secret"], receiver.headers[0], receiver.bodies[0], now=time.time())
        assert "secret" not in await doors.json("admin", "PUT", path, {**wanted, "kinds": ["update"]})
        await doors.send("ann", "PATCH", f"/api/entities/Other/{row_id}", {"total": 4})
        await comes_true(lambda: len(receiver.got) >= 2)
        assert receiver.got[-1]["data"]["total"] == 4
        assert await doors.json("admin", "DELETE", path) == {"deleted": True}
        assert await doors.code("admin", "GET", path) == "NOT_FOUND"
        assert doors.server.engine.reads.records(CURSOR) == []
        for wrong in ({"url": "x"}, {"url": receiver.url, "entities": ["Nope"]}, {"url": receiver.url, "kinds": ["x"]}):
            assert await doors.code("admin", "PUT", path, wrong) == "INVALID_DATA"
        assert await doors.code("admin", "PUT", path, {"url": receiver.url, "secret": "short"}) == "INVALID_DATA"


async def test_an_endpoint_that_the_app_declares_no_more_is_forgotten(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (doors, _):
        assert await doors.code("admin", "DELETE", "/api/admin/webhooks/crm") == "CONFLICT"
    async with opened(an_app(), folder=tmp_path) as doors:
        assert await doors.json("admin", "GET", "/api/admin/webhooks") == {"webhooks": []}
        assert doors.server.engine.reads.records(CURSOR) == []


async def test_one_endpoint_that_is_down_holds_up_no_other(tmp_path: Path) -> None:
    async with receiving() as down, receiving() as well:
        down.always = 500
        endpoints = [Endpoint("down", down.url, secret=SECRET), Endpoint("well", well.url, secret=SECRET)]
        async with opened(an_app(*endpoints, retrying=Retrying(first=60.0)), folder=tmp_path, env=ALLOWED) as doors:
            for total in range(5):
                await doors.add("ann", "Order", total=total)
            await comes_true(lambda: len(well.got) == 5)
            assert down.got == []
            metrics = (await doors.send("admin", "GET", "/metrics", headers={"Accept": "text/plain"})).text
            assert 'pylon_webhook_deliveries_total{webhook="well",outcome="delivered"} 5' in metrics


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    retrying = Retrying(first=1, longest=60)
    assert [retrying.pause(failed, 1.0) for failed in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retrying.pause(3, 0.0) == 2


APP = """
from pylon import App, Entity
from pylon.plugins import Webhooks
from pylon.plugins.webhooks.delivery import Retrying

app = App("shop", plugins=[Webhooks(retrying=Retrying(first=0.05, longest=0.1))])


class Order(Entity, crdt=False):
    total: int

    class Policy:
        allow = "true"
"""


async def test_a_killed_server_loses_no_event_and_the_command_line_tends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYLON_ADMIN_TOKEN", ADMIN_TOKEN)

    def work(receiver: Receiver) -> None:
        with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=ALLOWED) as server:
            monkeypatch.setenv("PYLON_URL", server.url)
            assert main(["webhooks", "add", "crm", receiver.url, "--entity", "Order"]) == 0
            receiver.always = 500
            for total in range(3):
                assert server.request("POST", "/api/entities/Order", {"total": total})[0] == 201
            eventually(lambda: receiver.bodies)
            server.kill()
            receiver.always = 200
            server.start()
            eventually(lambda: len(receiver.got) >= 3)
            assert main(["webhooks", "list"]) == 0
            assert main(["webhooks", "show", "crm"]) == 0
            assert main(["webhooks", "retry", "crm"]) == 0
            assert main(["webhooks", "delete", "crm"]) == 0
            assert main(["webhooks", "delete", "crm"]) == 1

    async with receiving() as receiver:
        await asyncio.to_thread(work, receiver)
        assert [event["data"]["total"] for event in receiver.got][:3] == [0, 1, 2]
    shown = capsys.readouterr().out
    assert "secret, shown this once: " in shown
    assert "crm: 127.0.0.1" in shown
    assert "0 dead letters are tried again" in shown
