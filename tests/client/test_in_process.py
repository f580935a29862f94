"""The client against a whole server in the same process, as users test their apps: no port, no child process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pylon import App, Context, Entity, Id, field
from pylon.client import ApiError, AsyncClient
from pylon.testing.app import open_app
from pylon.testing.waiting import comes_true as until
from tests.client.conftest import QUICK

app = App("inside")


class Note(Entity, crdt=False):
    title: str
    author: Id[User] = field(owner=True)  # noqa: F821 - as an app writes it

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.author"


@app.mutation
def shout(ctx: Context, note: Id[Note]) -> Note:
    row = ctx.db.get(Note, note)
    assert row is not None
    return ctx.db.update(Note, note, title=row.title.upper())


@app.action
async def count(ctx: Context, to: int):
    for n in range(to):
        yield str(n)
    ctx.result = to


@pytest.fixture
async def served() -> AsyncIterator[object]:
    async with open_app(app) as served:
        yield served


async def test_rows_functions_and_streams_need_no_port(served: object) -> None:
    async with AsyncClient("http://test", app=served) as client:
        await client.act_as("alice")
        note = await client.insert(Note, title="hello")
        assert (await client.call("shout", Note, note=note)).title == "HELLO"
        stream = client.stream("count", int, to=3)
        assert (await stream.text(), stream.result) == ("012", 3)
        with pytest.raises(ApiError, match="str"):
            await client.call("shout", note=7)


async def test_replicas_and_rooms_need_no_port_either(served: object) -> None:
    async with (
        AsyncClient("http://test", app=served, backoff=QUICK) as one,
        AsyncClient("http://test", app=served, backoff=QUICK) as two,
    ):
        await one.act_as("alice")
        await two.act_as("bob")
        async with one.replica() as here, two.replica() as there:
            await there.ready()
            note = here.insert(Note, title="from here")
            await here.quiet()
            await until(lambda: there.get(Note, note) is not None)
            assert there.get(Note, note) == here.get(Note, note)
            async with here.room("desk") as mine, there.room("desk", {"x": 1}):
                await until(lambda: mine.members == {"alice": None, "bob": {"x": 1}})


async def test_a_door_that_is_closed_says_why(served: object) -> None:
    async with AsyncClient("http://test", app=served, token="nobody's", backoff=QUICK) as client, client.replica() as r:
        await until(lambda: r.status.state == "signed-out")
        assert r.status.error is not None
        assert r.status.error.code == "SESSION_EXPIRED"
