"""Subscribing to documents, line by line (spec 02 §10.4): who may gets the whole document, everybody else silence."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pylon import App, Context, Entity, Id, RichText, field
from pylon.client.sockets import Socket, asgi_dial
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority
from pylon.model.identity import Identity
from pylon.server import Server
from pylon.testing.app import open_server, sign_in
from tests.documents.live import frame_of

app = App("subscribing")


class Open(Entity):
    body: RichText = ""

    class Policy:
        allow = "true"


class Own(Entity):
    body: RichText = ""
    owner: Id[User] = field(owner=True)  # noqa: F821 - as an app writes it

    class Policy:
        allow = "auth.userId == data.owner"


class Plain(Entity, crdt=False):
    body: str = ""

    class Policy:
        allow = "true"


class Hidden(Entity, sync=False):
    body: RichText = ""

    class Policy:
        allow = "true"


@app.mutation
def rewrite(ctx: Context, row: Id[Open]) -> None:
    ctx.db.update(Open, row, body="by a function")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(app) as server:
        yield server


async def made(server: Server, entity: str, **values: Any) -> str:
    plan = server.engine.plans[entity]
    row = plan.types.convert_insert({"body": "x", **values})
    change = (await server.engine.run(SYSTEM, lambda tx: tx.insert(plan, row), authority=Authority.TRUSTED)).value
    return change.row_id


@contextlib.asynccontextmanager
async def connected(server: Server, user: str | None) -> AsyncIterator[Socket]:
    headers = {} if user is None else {"Authorization": f"Bearer {await sign_in(server, user)}"}
    async with asgi_dial(server.app)("ws://test/", headers) as socket:
        yield socket


async def say(socket: Socket, entity: str, row_id: str, *, key: str = "rowId", kind: str = "crdt-subscribe") -> None:
    await socket.send(json.dumps({"type": kind, "entity": entity, key: row_id}))


async def frames(socket: Socket, number: int) -> list[tuple[int, str, str]]:
    """(type, entity, row) of the next binary frames."""
    found: list[tuple[int, str, str]] = []
    async with asyncio.timeout(5):
        while len(found) < number:
            if isinstance(message := await socket.recv(), bytes):
                found.append(frame_of(message)[:3])
    return found


@pytest.mark.parametrize("user", [None, "bob"])
async def test_who_may_not_read_the_row_and_what_has_no_document_gets_silence(server: Server, user: str | None) -> None:
    own, plain, hidden = [await made(server, name) for name in ("Own", "Plain", "Hidden")]
    shown = await made(server, "Open")
    async with connected(server, user) as socket:
        for entity, row_id in (("Own", own), ("Plain", plain), ("Hidden", hidden), ("Open", "0" * 40), ("Nope", own)):
            await say(socket, entity, row_id)
        await say(socket, "Open", shown)  # the first that is answered
        assert await frames(socket, 1) == [(0x10, "Open", shown)]
    assert server.documents.watchers.number == 0


async def test_subscribing_again_sends_the_whole_document_again_and_old_spellings_work(server: Server) -> None:
    shown = await made(server, "Open")
    async with connected(server, "bob") as socket:
        for key in ("rowId", "row_id"):
            await say(socket, "Open", shown, key=key)
            assert await frames(socket, 1) == [(0x10, "Open", shown)]
        assert server.documents.watchers.number == 1


async def test_what_a_function_writes_reaches_the_document_and_a_delete_sends_no_frame(server: Server) -> None:
    shown, other = await made(server, "Open"), await made(server, "Open")
    async with connected(server, "bob") as socket:
        await say(socket, "Open", shown)
        await frames(socket, 1)
        caller = Caller(identity=Identity(user_id="bob"))
        await server.functions.call(caller, "rewrite", json.dumps({"row": shown}).encode())
        assert await frames(socket, 1) == [(0x11, "Open", shown)]
        plan = server.engine.plans["Open"]
        await server.engine.run(SYSTEM, lambda tx: tx.delete(plan, shown), authority=Authority.TRUSTED)
        await say(socket, "Open", other)
        assert await frames(socket, 1) == [(0x10, "Open", other)]
