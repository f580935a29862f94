"""Whom an operator's switches are told to: everybody whom they concern, when it happens and on connecting, and nobody
who could not use what they name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pylon import App, Context, Entity, Id, field
from pylon.client import AsyncClient, Replica, Switch
from pylon.testing.app import open_app
from pylon.testing.process import ADMIN_TOKEN
from pylon.testing.waiting import comes_true as until
from tests.client.conftest import QUICK

app = App("told")


class Note(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


class Own(Entity, crdt=False):
    title: str
    author: Id[User] = field(owner=True)  # noqa: F821 - as an app writes it

    class Policy:
        allow = "auth.userId == data.author"


class Staff(Entity, crdt=False):
    title: str

    class Policy:
        allow = "auth.isAdmin"


class Ledger(Entity, crdt=False):
    title: str


@app.mutation(auth="public")
def say(ctx: Context, title: str) -> Note:
    return ctx.db.insert(Note, title=title)


@app.query(auth="user")
def mine(ctx: Context) -> list[Own]:
    return ctx.db.query(Own)


@app.mutation(auth="admin")
def purge(ctx: Context) -> None:
    return None


@app.mutation(internal=True)
def sweep(ctx: Context) -> None:
    return None


@pytest.fixture
async def served() -> AsyncIterator[Any]:
    async with open_app(app) as served:
        yield served


@asynccontextmanager
async def replica_of(served: Any, user: str | None = None) -> AsyncIterator[Replica]:
    async with AsyncClient("http://test", app=served, backoff=QUICK) as client:
        if user is not None:
            await client.act_as(user)
        async with client.replica() as replica:
            await replica.ready()
            yield replica


@asynccontextmanager
async def operator(served: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("http://test", ADMIN_TOKEN, app=served, backoff=QUICK) as client:
        yield client


async def on(root: AsyncClient, scope: str, target: str = "", **more: Any) -> str:
    body = {"scope": scope, **({"target": target} if target else {}), **more}
    return str((await root.request("POST", "/api/admin/switches", body))["id"])


async def off(root: AsyncClient, switch: str) -> None:
    await root.request("DELETE", f"/api/admin/switches/{switch}")


def names(replica: Replica) -> set[tuple[str, str]]:
    return {(switch.scope, switch.target) for switch in replica.switches}


async def test_a_function_that_is_off_is_told_with_its_reason_and_again_when_it_works(served: Any) -> None:
    async with replica_of(served) as here, operator(served) as root:
        heard: list[tuple[Switch, ...]] = []
        here.on_switch = heard.append
        before = datetime.now(UTC)
        one = await on(root, "function", "say", reason="too loud", expires_in=600)
        await until(lambda: bool(here.switches))
        [switch] = here.switches
        assert (switch.scope, switch.target, switch.blocks, switch.reason) == ("function", "say", "all", "too loud")
        assert switch.until is not None
        assert timedelta(seconds=590) < switch.until - before < timedelta(seconds=610)
        async with replica_of(served) as late:
            assert late.switches == (switch,)
        await off(root, one)
        await until(lambda: here.switches == ())
        assert heard == [(switch,), ()]


async def test_what_somebody_could_never_use_is_not_named_to_him(served: Any) -> None:
    async with replica_of(served) as nobody, replica_of(served, "ann") as ann, operator(served) as root:
        for entity in ("Note", "Own", "Staff", "Ledger"):
            await on(root, "entity", entity, blocks="writes")
        for function in ("say", "mine", "purge", "sweep"):
            await on(root, "function", function)
        await on(root, "auth", "password")
        await on(root, "uploads")
        public = {("entity", "Note"), ("function", "say"), ("auth", "password"), ("uploads", "")}
        await until(lambda: names(nobody) == public)
        await until(lambda: names(ann) == public | {("entity", "Own"), ("function", "mine")})
        async with replica_of(served) as late, operator(served) as admin, admin.replica() as all_seeing:
            await all_seeing.ready()
            assert names(late) == public
            assert all_seeing.switches == ()


async def test_only_he_whose_writes_are_suspended_is_told_so_and_no_network_is_named(served: Any) -> None:
    async with replica_of(served, "ann") as ann, replica_of(served, "bob") as bob, operator(served) as root:
        await on(root, "user", "ann", blocks="writes", reason="a loop")
        await until(lambda: names(ann) == {("user", "ann")})
        assert ann.switches[0].reason == "a loop"
        await on(root, "anonymous", blocks="writes")
        one = await on(root, "ip", "127.0.0.0/8", blocks="writes")
        await until(lambda: names(ann) == {("user", "ann"), ("ip", "")} and names(bob) == {("ip", "")})
        await off(root, one)
        await until(lambda: names(bob) == set())
        async with replica_of(served) as nobody:
            assert names(nobody) == {("anonymous", "")}


async def test_who_becomes_somebody_else_on_an_open_socket_is_told_what_concerns_that_one(served: Any) -> None:
    async with operator(served) as root, AsyncClient("http://test", app=served, backoff=QUICK) as client:
        await client.guest()
        async with client.replica() as replica:
            await replica.ready()
            await on(root, "function", "mine")
            await on(root, "function", "say")
            await until(lambda: names(replica) == {("function", "say")})
            await client.request("POST", "/api/auth/upgrade", {"user_id": "ann"})
            await until(lambda: names(replica) == {("function", "say"), ("function", "mine")})
            assert replica.status.reconnects == 0


async def test_a_switch_ends_at_its_time_also_for_who_is_not_connected_then(served: Any) -> None:
    async with operator(served) as root, replica_of(served) as replica:
        await on(root, "function", "say", expires_in=1)
        await until(lambda: names(replica) == {("function", "say")})
        replica._link.begin_anew()  # type: ignore[union-attr]
        replica._tasks[0].cancel()
        await until(lambda: replica.switches == ())


async def test_an_entity_that_takes_writes_again_gets_what_waited_at_once(served: Any) -> None:
    async with operator(served) as root, replica_of(served) as replica:
        one = await on(root, "entity", "Note", blocks="writes", retry_after=600)
        note = replica.insert("Note", title="waits")
        await until(lambda: names(replica) == {("entity", "Note")})
        await asyncio.sleep(0.05)
        assert replica.waiting
        await off(root, one)
        await asyncio.wait_for(replica.quiet(), 5)
        assert (await root.get("Note", note) or {})["title"] == "waits"


async def test_a_server_that_is_off_is_shown_as_such_until_it_is_back(served: Any) -> None:
    async with operator(served) as root, replica_of(served) as replica:
        one = await on(root, "server", reason="moving disks", retry_after=1)
        await until(lambda: names(replica) == {("server", "")})
        await until(lambda: replica.status.state == "offline")
        async with AsyncClient("http://test", app=served, backoff=QUICK) as client, client.replica() as late:
            await until(lambda: names(late) == {("server", "")})
            assert "moving disks" in late.switches[0].reason
            await off(root, one)
            await until(lambda: late.switches == () and replica.switches == ())
