"""`Replica`: what a caller sees of it all."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, overload

import msgspec

from pylon.client.errors import ClientError
from pylon.client.http import Http
from pylon.client.replica.calls import LiveCall
from pylon.client.replica.changes import Change, Key, Row, View
from pylon.client.replica.filters import Match, compile_where, in_order
from pylon.client.replica.inbox import Message
from pylon.client.replica.link import Link, State
from pylon.client.replica.live import LiveQuery
from pylon.client.replica.push import Conflict, OnConflict, Pusher, new_op_id
from pylon.client.replica.rooms import Room
from pylon.client.replica.storage import Storage
from pylon.client.replica.switched import SwitchBoard, Switches
from pylon.client.shapes import EntityName, Order, dump, dump_where, entity_name, load, new_id, order_fields
from pylon.client.sockets import Dial

T = TypeVar("T")

log = logging.getLogger("pylon.client")

QUEUE = 100_000
"""Changes that may wait."""


class Status(msgspec.Struct, frozen=True):
    """How a replica is: `state`, the cursor, how many changes wait, how many rows a snapshot has brought so far, how
    often it connected anew, how many changes the server refused, and what went wrong last."""

    state: State
    cursor: int
    waiting: int
    fetched: int
    reconnects: int
    refused: int
    error: ClientError | None


class Replica:
    """The rows that the caller may read, here and current. Changes show at once, wait in the queue while there is no
    connection, and reach the server exactly once. All of it happens on the event loop that started it."""

    def __init__(
        self,
        http: Http,
        dial: Dial,
        path: str | Path | None,
        scope: dict[str, Any] | None,
        on_conflict: OnConflict | None,
        forget: Callable[[Replica], None],
    ) -> None:
        self._forget = forget
        self._http = http
        self._dial = dial
        self._path = path
        self._scope = scope
        self._on_conflict = on_conflict
        self._view = View()
        self._storage: Storage | None = None
        self._link: Link | None = None
        self._pusher: Pusher | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._queries: list[LiveQuery[Any]] = []
        self._rooms: list[Room] = []
        self._calls: dict[str, LiveCall[Any]] = {}
        self._moved = asyncio.Event()
        self._board = SwitchBoard(self._switched)
        self.on_switch: Callable[[Switches], None] = lambda switches: None

    async def __aenter__(self) -> Replica:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Open the file and begin to keep up. What was here the last time can be read at once. Raises ClientError:
        REPLICA_LOCKED, REPLICA_UNREADABLE."""
        storage = Storage(self._path)
        self._prepare(storage)
        self._storage = storage
        self._view.become(self._who())
        storage.read(self._view)
        link = Link(self._http, self._dial, self._view, storage, self._scope, self._changed, self._board)
        link.on_message = self._heard
        link.on_socket = self._connected
        client_id = storage.meta("client_id") or f"py_{secrets.token_hex(16)}"
        storage.keep("client_id", client_id)
        pusher = Pusher(self._http, self._view, storage, link, client_id, self._on_conflict, self._changed)
        self._link, self._pusher = link, pusher
        self._tasks = [asyncio.create_task(link.run()), asyncio.create_task(pusher.run())]

    def _prepare(self, storage: Storage) -> None:
        """Rows of another server or scope are of no use; queued changes of another server are kept from this one."""
        source = msgspec.json.encode([self._http.url, self._scope]).decode()
        held = storage.meta("source")
        if held is not None and held != source:
            if msgspec.json.decode(held)[0] != self._http.url and storage.queued():
                was = msgspec.json.decode(held)[0]
                storage.close()
                raise ClientError(
                    "REPLICA_UNREADABLE",
                    f"{self._path} holds changes for {was}",
                    hint="Name another file for this one.",
                )
            storage.clear()
        storage.keep("source", source)

    async def close(self) -> None:
        """Stop, and close the file. What waits there is sent the next time."""
        if self._storage is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._board.close()
        for query in list(self._queries):
            query.close()
        for call in list(self._calls.values()):
            call.close()
        self._storage.close()
        self._storage = None
        self._forget(self)
        if self._link is not None:
            self._link.state = "closed"

    # -- looking -------------------------------------------------------------------------------------------------

    @overload
    def get(self, entity: type[T], row_id: str, /) -> T | None: ...
    @overload
    def get(self, entity: str, row_id: str, /) -> Row | None: ...
    def get(self, entity: Any, row_id: str, /) -> Any:
        """The row, or None."""
        row = self._view.get(entity_name(entity), row_id)
        return None if row is None else load(entity, row)

    @overload
    def rows(
        self,
        entity: type[T],
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> list[T]: ...
    @overload
    def rows(
        self,
        entity: str,
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> list[Row]: ...
    def rows(
        self,
        entity: Any,
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> list[Any]:
        """Rows that match, as in `client.query`; `where` may be a function of a row, too."""
        found = filter(_match(entity, where, equals), self._view.all(entity_name(entity)))
        return [load(entity, row) for row in in_order(found, order_fields(entity, order), limit)]

    @overload
    def live(
        self,
        entity: type[T],
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> LiveQuery[T]: ...
    @overload
    def live(
        self,
        entity: str,
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> LiveQuery[Row]: ...
    def live(
        self,
        entity: Any,
        where: Mapping[str, Any] | Callable[[Row], bool] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        **equals: Any,
    ) -> LiveQuery[Any]:
        """The same, followed: iterate over it with `async for`, or set its `on_change`."""
        query: LiveQuery[Any] = LiveQuery(
            self._view,
            entity_name(entity),
            entity,
            _match(entity, where, equals),
            order_fields(entity, order),
            limit,
            self._forget_query,
        )
        self._queries.append(query)
        return query

    @overload
    def live_call(self, name: str, into: type[T], /, **arguments: Any) -> LiveCall[T]: ...
    @overload
    def live_call(self, name: str, into: None = None, /, **arguments: Any) -> LiveCall[Any]: ...
    def live_call(self, name: str, into: Any = None, /, **arguments: Any) -> LiveCall[Any]:
        """A query function's result, followed: run by the server again when what it read has changed."""
        assert self._link is not None, "start the replica first"
        call: LiveCall[Any] = LiveCall(self._link, name, dump("", arguments), into, self._forget_call)
        self._calls[call.sub_id] = call
        return call

    @property
    def status(self) -> Status:
        """How it is now."""
        link, pusher = self._link, self._pusher
        if link is None or pusher is None:
            return Status("closed", 0, 0, 0, 0, 0, None)
        return Status(
            link.state,
            self._view.cursor,
            len(self._view.mine()),
            link.fetched,
            link.reconnects,
            pusher.refused,
            link.error,
        )

    @property
    def switches(self) -> Switches:
        """What the operator has switched off, as far as it concerns the caller; `on_switch` may be set to a function
        that is called with it whenever it changes."""
        return self._board.current

    @property
    def waiting(self) -> list[Change]:
        """Our changes that the rows of the server do not hold yet, the oldest first."""
        return self._view.mine()

    async def ready(self) -> None:
        """Wait until the rows are current."""
        await self._until(lambda: self.status.state == "live")

    async def quiet(self) -> None:
        """Wait until nothing of ours waits any more, and the rows are current. What other users left in the file
        doesn't count."""
        await self._until(lambda: self.status.state == "live" and not self._has_work())

    def _has_work(self) -> bool:
        return self._link is None or self._link.user is None or bool(self._view.mine())

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._storage is None:
                raise ClientError("REPLICA_STOPPED", "The replica is closed.", status=409)
            self._moved.clear()
            await self._moved.wait()

    # -- changing ------------------------------------------------------------------------------------------------

    def insert(self, entity: EntityName, /, **values: Any) -> str:
        """Insert a row; its id, under which later changes may refer to it at once. An `id` of 40 hex characters among
        the values is kept. Raises ClientError: QUEUE_FULL, REPLICA_UNWRITABLE."""
        data = dump(entity, values)
        is_own = "id" not in data
        row_id = new_id() if is_own else data.pop("id")
        self._enqueue(Change(new_op_id(), entity_name(entity), row_id, "insert", data, is_own_id=is_own))
        return row_id

    def update(self, entity: EntityName, row_id: str, /, **changes: Any) -> None:
        """Change fields of a row. Raises ClientError: NOT_FOUND, QUEUE_FULL, REPLICA_UNWRITABLE."""
        self._must_have(entity, row_id)
        self._enqueue(Change(new_op_id(), entity_name(entity), row_id, "update", dump(entity, changes)))

    def delete(self, entity: EntityName, row_id: str, /) -> None:
        """Delete a row. Raises as `update`."""
        self._must_have(entity, row_id)
        self._enqueue(Change(new_op_id(), entity_name(entity), row_id, "delete"))

    def _must_have(self, entity: EntityName, row_id: str) -> None:
        if self._view.get(entity_name(entity), row_id) is None:
            raise ClientError("NOT_FOUND", f"The replica has no {entity_name(entity)} {row_id}", status=404)

    def _enqueue(self, change: Change) -> None:
        if self._storage is None or self._pusher is None or self._link is None:
            raise ClientError("REPLICA_STOPPED", "The replica is closed.", status=409)
        if len(self._view.waiting) >= QUEUE:
            raise ClientError("QUEUE_FULL", f"{QUEUE} changes wait for the server already.", status=507)
        change.user = self._who()
        self._storage.enqueue(change)
        self._changed({self._view.add(change)})
        self._pusher.wake()

    def _who(self) -> str:
        """Whose changes these are: the user's, if it is known who that is, else those of the token."""
        assert self._storage is not None
        if self._link is not None and self._link.user is not None:
            return self._link.user
        fingerprint = self._http.fingerprint()
        known = self._storage.user()
        return known if known is not None and self._storage.meta("token") == fingerprint else fingerprint

    # -- together ------------------------------------------------------------------------------------------------

    def room(self, name: str, data: Any = None) -> Room:
        """A room to enter: `async with replica.room("doc:42") as room`; `data` is what the others see of us."""
        assert self._link is not None, "start the replica first"
        room = Room(self._http, self._link, name, data, self._forget_room)
        self._rooms.append(room)
        return room

    # -- what happens --------------------------------------------------------------------------------------------

    def identify(self) -> None:
        """The client has another token."""
        if self._link is not None:
            self._link.begin_anew()
            self._changed(self._view.become(self._who()))

    def _forget_call(self, call: LiveCall[Any]) -> None:
        self._calls.pop(call.sub_id, None)

    def _forget_query(self, query: LiveQuery[Any]) -> None:
        if query in self._queries:
            self._queries.remove(query)

    def _forget_room(self, room: Room) -> None:
        if room in self._rooms:
            self._rooms.remove(room)

    def _connected(self) -> None:
        for room in self._rooms:
            room.enter()
        for call in self._calls.values():
            call.ask()

    def _heard(self, message: Message) -> None:
        if message["type"] in ("reactive-result", "reactive-error"):
            if (call := self._calls.get(message["sub_id"])) is not None:
                call.heard(message)
            return
        for room in self._rooms:
            if message.get("room") == room.name:
                room.heard(message)

    def _switched(self, switches: Switches) -> None:
        if self._pusher is not None:
            self._pusher.retry()
        try:
            self.on_switch(switches)
        except Exception:  # the caller's code: the connection must go on
            log.exception("on_switch failed")

    def _changed(self, keys: set[Key] | None) -> None:
        """These rows may be different, None for any; or the state is."""
        self._moved.set()
        if self._pusher is not None:
            self._pusher.wake()
        for query in list(self._queries):
            try:
                if keys is None:
                    query.refill()
                elif keys:
                    query.touched(keys)
            except Exception:  # the caller's code, or a row that is not of the caller's shape: the others must go on
                log.exception("a live query of %s failed", query.entity)


def _match(entity: EntityName, where: Any, equals: dict[str, Any]) -> Match:
    if callable(where):
        tests: list[Match] = [where]
        if equals:
            tests.append(compile_where(dump_where(entity, equals)))
        return lambda row: all(test(row) for test in tests)
    return compile_where(dump_where(entity, {**(where or {}), **equals}))


__all__ = ["Conflict", "OnConflict", "Replica", "Status"]
