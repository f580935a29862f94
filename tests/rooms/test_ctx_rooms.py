"""`ctx.rooms`: the app's own code sees who is in a room and acts there, a mutation once it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pylon import App, Context, Entity
from pylon.client import ApiError, AsyncClient
from pylon.client.replica.rooms import Room, RoomEvent
from pylon.server import Server
from pylon.testing.app import open_server
from pylon.testing.waiting import comes_true as until

app = App("rooms")


class Note(Entity, crdt=False):
    title: str

    class Policy:
        read = "true"


@app.mutation
def announce(ctx: Context, room: str, title: str, then: str = "") -> list[str]:
    note = ctx.db.insert(Note, title=title)
    there = [member.user_id for member in ctx.rooms.members(room)]
    ctx.rooms.broadcast(room, "note", note)
    ctx.rooms.presence(room, "alice", {"wrote": title})
    if then == "fail":
        raise ctx.error("NO", "no")
    if then == "too large":
        ctx.rooms.broadcast(room, "note", "x" * 20_000)
    if then == "too often":
        for _ in range(1000):
            ctx.rooms.broadcast(room, "note", 1)
    return there


@app.action(auth="public")
async def tell(ctx: Context, room: str, text: str) -> dict[str, Any]:
    await asyncio.to_thread(ctx.rooms.broadcast, room, "text", text)
    members = ctx.rooms.members(room)
    return {"members": [[m.user_id, m.data] for m in members], "of": ctx.rooms.of("alice")}


@app.action
async def kick(ctx: Context, room: str, user: str) -> None:
    ctx.rooms.kick(room, user)


@app.action
async def note_later(ctx: Context, room: str, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await ctx.run(announce, room=room, title="late")


@app.query
def look(ctx: Context, room: str) -> int:
    return len(ctx.rooms.members(room))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(app) as server:
        yield server


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("http://test", app=server.app) as client:
        await client.act_as("alice")
        yield client


def heard(room: Room) -> list[RoomEvent]:
    events = list(room._events)
    room._events.clear()
    return events


async def test_a_mutation_speaks_once_it_is_committed_and_not_when_it_is_undone(alice: AsyncClient) -> None:
    async with alice.replica() as replica, replica.room("doc", {"color": "red"}) as room:
        assert await alice.call("announce", room="doc", title="hello") == ["alice"]
        await until(lambda: len(room._events) == 3)
        first, said, shown = heard(room)
        assert first.kind == "snapshot"
        assert (said.kind, said.user, said.topic, said.data["title"]) == ("topic", None, "note", "hello")
        assert (shown.kind, shown.user, shown.data) == ("presence", "alice", {"wrote": "hello"})
        for then, code in (("fail", "NO"), ("too large", "PAYLOAD_TOO_LARGE"), ("too often", "ROOM_LIMIT_REACHED")):
            with pytest.raises(ApiError) as refused:
                await alice.call("announce", room="doc", title="undone", then=then)
            assert refused.value.code == code
        await alice.call("tell", room="doc", text="end")
        await until(lambda: bool(room._events))
        assert [event.data for event in heard(room)] == ["end"]
        assert [row["title"] for row in await alice.query("Note")] == ["hello"]


async def test_a_repeated_mutation_speaks_once(server: Server, alice: AsyncClient) -> None:
    async with alice.replica() as replica, replica.room("doc") as room:
        key = {"Idempotency-Key": "once", "Authorization": f"Bearer {alice.token}"}
        for _ in range(2):
            answer = await alice._http._client.post(
                "/api/fn/announce", json={"room": "doc", "title": "hello"}, headers=key
            )
            assert answer.status_code == 200
        await alice.call("tell", room="doc", text="end")
        await until(lambda: any(event.data == "end" for event in room._events))
        assert [event.topic for event in heard(room) if event.kind == "topic"] == ["note", "text"]


async def test_what_was_committed_is_told_though_its_caller_has_gone(server: Server, alice: AsyncClient) -> None:
    async with alice.replica() as replica, replica.room("doc") as room:
        release, gate = asyncio.Event(), server.functions._engine.committer
        delivered = gate._deliver

        def late(finished: Any, changes: Any) -> None:
            asyncio.get_running_loop().create_task(deliver_later(finished, changes))

        async def deliver_later(finished: Any, changes: Any) -> None:
            await release.wait()
            delivered(finished, changes)

        gate._deliver = late
        with pytest.raises(ApiError):
            await alice.call("note_later", room="doc", seconds=0.05)
        release.set()
        gate._deliver = delivered
        await until(lambda: any(event.topic == "note" for event in room._events))


async def test_an_action_sees_members_and_sends_one_out_for_good(server: Server, alice: AsyncClient) -> None:
    async with AsyncClient("http://test", app=server.app) as bob, AsyncClient("http://test", app=server.app) as cron:
        await bob.act_as("bob")
        async with (
            alice.replica() as one,
            one.room("doc", {"x": 1}) as hers,
            bob.replica() as two,
            two.room("doc") as his,
        ):
            seen = await cron.call("tell", room="doc", text="hi")  # whoever calls it: the code is trusted
            assert seen == {"members": [["alice", {"x": 1}], ["bob", None]], "of": ["doc"]}
            await alice.call("kick", room="doc", user="bob")
            await alice.call("kick", room="nowhere", user="bob")
            await until(lambda: heard(hers)[-1:] == [RoomEvent("leave", "bob")])
            await until(lambda: any(event.kind == "removed" for event in his._events))
            assert his.error is not None
            assert (his.error.code, his.members) == ("REMOVED_FROM_ROOM", {})
            his.enter()  # as a reconnect does
            await asyncio.sleep(0)
            assert [peer[0] for peer in server.rooms.look("doc")] == ["alice"]


async def test_a_query_has_no_rooms(alice: AsyncClient) -> None:
    with pytest.raises(ApiError, match=r"a query has no ctx\.rooms"):
        await alice.call("look", room="doc")


async def test_what_a_function_says_counts_for_its_caller() -> None:
    limits = {"PYLON_ROOM_PUBLISHES_PER_USER": "0.01", "PYLON_ROOM_PUBLISHES_PER_USER_BURST": "5"}
    async with open_server(app, env=limits) as server, AsyncClient("http://test", app=server.app) as client:
        await client.act_as("alice")
        for _ in range(6):  # never refused
            await client.call("tell", room="doc", text="x")
        headers = {"Authorization": f"Bearer {client.token}"}
        answer = await client._http._client.post("/api/rooms/join", json={"room": "doc"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
