"""What a type checker sees of the client: `make lint` reads this file; it runs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from pylon import Entity
from pylon.client import (
    ActionStream,
    AsyncClient,
    BlockingRoom,
    Client,
    LiveCall,
    LiveQuery,
    Replica,
    RoomEvent,
)


class Note(Entity):
    title: str


async def with_asyncio(client: AsyncClient, replica: Replica) -> None:
    assert_type(await client.get(Note, "id"), Note | None)
    assert_type(await client.get("Note", "id"), dict[str, Any] | None)
    assert_type(await client.query(Note, {"title": "x"}, order="-title"), list[Note])
    assert_type(await client.query("Note"), list[dict[str, Any]])
    assert_type(await client.one(Note, title="x"), Note | None)
    assert_type(client.rows(Note), AsyncIterator[Note])
    assert_type(await client.call("titled", list[Note], text="x"), list[Note])
    assert_type(await client.call("titled", text="x"), Any)
    assert_type(client.stream("words", text="x"), ActionStream)
    assert_type(replica.rows(Note), list[Note])
    assert_type(replica.get("Note", "id"), dict[str, Any] | None)
    assert_type(replica.live(Note, order=["title", "-id"]), LiveQuery[Note])
    assert_type(replica.live_call("titled", list[Note], text="x"), LiveCall[list[Note]])
    assert_type(replica.insert(Note, title="x"), str)
    async for notes in replica.live(Note):
        assert_type(notes, list[Note])
    async for row in client.rows("Note"):
        assert_type(row, dict[str, Any])


def without(client: Client) -> None:
    assert_type(client.get(Note, "id"), Note | None)
    assert_type(client.rows(Note), Iterator[Note])
    assert_type(client.call("titled", list[Note], text="x"), list[Note])
    with client.replica("notes.db", scope={Note: {"title": "x"}, "User": {}}) as replica:
        assert_type(replica.rows(Note, limit=3), list[Note])
        assert_type(replica.live("Note"), Iterator[list[dict[str, Any]]])
        with replica.room("doc", {"x": 1}) as room:
            assert_type(room, BlockingRoom)
            assert_type(room.members, dict[str, Any])
            assert_type(room.next(1.0), RoomEvent | None)
            for event in room:
                assert_type(event.user, str | None)
        replica.room(7)  # type: ignore[arg-type]
    client.insert(7, title="x")  # type: ignore[arg-type]
    client.query(Note, limit="3")  # type: ignore[call-overload]
