"""`Client`: what `AsyncClient` does, for programs without an event loop. It runs one in a thread of its own, so a
replica keeps up while the program computes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from pylon.client.client import AsyncClient
from pylon.client.errors import ClientError
from pylon.client.replica.calls import LiveCall
from pylon.client.replica.changes import Change, Row
from pylon.client.replica.live import LiveQuery
from pylon.client.replica.push import OnConflict
from pylon.client.replica.replica import Replica, Status
from pylon.client.replica.rooms import Room, RoomEvent
from pylon.client.replica.switched import Switches
from pylon.client.shapes import EntityName, Order
from pylon.client.streams import StreamEvent

T = TypeVar("T")


class _Loop:
    """A thread with an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pylon-client", daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """The result of something asynchronous. Raises TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def do(self, work: Callable[[], T]) -> T:
        """The result of something that must happen on the loop."""

        async def run() -> T:
            return work()

        return self.wait(run())

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """An asynchronous iterator, item by item. Who stops early ends what is behind it: a request, a subscription."""

        async def following() -> T:
            return await anext(items)

        try:
            while True:
                try:
                    item = self.wait(following())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if isinstance(items, AsyncGenerator) and not self._loop.is_closed():
                self.wait(items.aclose())

    def stop(self) -> None:
        """End the thread, and what was left half-read."""
        self.wait(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    """A client of the server at `url`, as whoever `token` is; options are those of `AsyncClient`, but for an `app`,
    which lives on the event loop of the test that serves it. Close it, or use it as a context manager."""

    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:
        self._loop = _Loop()
        self._client = self._loop.do(lambda: AsyncClient(url, token, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the replicas and close the connections."""
        self._loop.wait(self._client.close())
        self._loop.stop()

    @property
    def token(self) -> str | None:
        """Who calls; may be set."""
        return self._client.token

    @token.setter
    def token(self, token: str | None) -> None:
        self._loop.do(lambda: setattr(self._client, "token", token))

    def guest(self) -> str:
        """Become a new guest; its user id."""
        return self._loop.wait(self._client.guest())

    def act_as(self, user_id: str) -> str:
        """Become any user: in dev mode, or as an admin; the token."""
        return self._loop.wait(self._client.act_as(user_id))

    def me(self) -> dict[str, Any]:
        """The caller as the server sees it."""
        return self._loop.wait(self._client.me())

    def sign_out(self) -> None:
        """End the session."""
        self._loop.wait(self._client.sign_out())

    def insert(self, entity: EntityName, /, **values: Any) -> str:
        """Insert a row; its id."""
        return self._loop.wait(self._client.insert(entity, **values))

    @overload
    def get(self, entity: type[T], row_id: str, /) -> T | None: ...
    @overload
    def get(self, entity: str, row_id: str, /) -> Row | None: ...
    def get(self, entity: Any, row_id: str, /) -> Any:
        """The row, or None."""
        return self._loop.wait(self._client.get(entity, row_id))

    def update(self, entity: EntityName, row_id: str, /, **changes: Any) -> None:
        """Change fields of a row."""
        self._loop.wait(self._client.update(entity, row_id, **changes))

    def delete(self, entity: EntityName, row_id: str, /) -> bool:
        """Delete a row; whether there was one."""
        return self._loop.wait(self._client.delete(entity, row_id))

    @overload
    def query(
        self,
        entity: type[T],
        where: Mapping[str, Any] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        offset: int = 0,
        **equals: Any,
    ) -> list[T]: ...
    @overload
    def query(
        self,
        entity: str,
        where: Mapping[str, Any] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        offset: int = 0,
        **equals: Any,
    ) -> list[Row]: ...
    def query(self, entity: Any, where: Mapping[str, Any] | None = None, /, **options: Any) -> list[Any]:
        """Rows that match: keyword arguments for equality, `where` for operators."""
        return self._loop.wait(self._client.query(entity, where, **options))

    @overload
    def one(
        self, entity: type[T], where: Mapping[str, Any] | None = None, /, *, order: Order = (), **equals: Any
    ) -> T | None: ...
    @overload
    def one(
        self, entity: str, where: Mapping[str, Any] | None = None, /, *, order: Order = (), **equals: Any
    ) -> Row | None: ...
    def one(self, entity: Any, where: Mapping[str, Any] | None = None, /, **options: Any) -> Any:
        """The first row that matches, or None."""
        return self._loop.wait(self._client.one(entity, where, **options))

    @overload
    def rows(self, entity: type[T], *, page: int = 100) -> Iterator[T]: ...
    @overload
    def rows(self, entity: str, *, page: int = 100) -> Iterator[Row]: ...
    def rows(self, entity: Any, *, page: int = 100) -> Iterator[Any]:
        """Every readable row, in the order of ids, fetched in pages."""
        return self._loop.iterate(self._client.rows(entity, page=page))

    def transact(self, operations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """All operations or none, for admins."""
        return self._loop.wait(self._client.transact(operations))

    @overload
    def call(self, name: str, into: type[T], /, **arguments: Any) -> T: ...
    @overload
    def call(self, name: str, into: None = None, /, **arguments: Any) -> Any: ...
    def call(self, name: str, into: Any = None, /, **arguments: Any) -> Any:
        """A function's result, as an instance of `into` if it is given."""
        return self._loop.wait(self._client.call(name, into, **arguments))

    def stream(self, name: str, into: Any = None, /, **arguments: Any) -> BlockingStream:
        """What an action yields, while it does."""
        return BlockingStream(self._loop, self._client, name, into, arguments)

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Any other route: the decoded answer."""
        return self._loop.wait(self._client.request(method, path, body, **params))

    @contextlib.contextmanager
    def replica(
        self,
        path: str | Path | None = None,
        *,
        scope: Mapping[EntityName, Mapping[str, Any]] | None = None,
        on_conflict: OnConflict | None = None,
    ) -> Iterator[BlockingReplica]:
        """The readable rows here, kept current: `with client.replica("notes.db") as replica`. `on_conflict` is called
        on the client's thread."""
        replica = self._client.replica(path, scope=scope, on_conflict=on_conflict)
        self._loop.do(replica.start)
        try:
            yield BlockingReplica(self._loop, replica)
        finally:
            self._loop.wait(replica.close())


class BlockingStream:
    """A call that streams: `for event in client.stream("summarise", note=id)`; `result` is there after the end."""

    def __init__(self, loop: _Loop, client: AsyncClient, name: str, into: Any, arguments: dict[str, Any]) -> None:
        self._loop = loop
        self._stream = client.stream(name, into, **arguments)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self._loop.iterate(aiter(self._stream))

    @property
    def result(self) -> Any:
        """What the action returned."""
        return self._stream.result

    def text(self) -> str:
        """All chunks together."""
        return self._loop.wait(self._stream.text())


class BlockingReplica:
    """A `Replica` from any thread. Every call shows one moment of it."""

    def __init__(self, loop: _Loop, replica: Replica) -> None:
        self._loop = loop
        self._replica = replica

    @property
    def status(self) -> Status:
        """How it is now."""
        return self._loop.do(lambda: self._replica.status)

    @property
    def switches(self) -> Switches:
        """What the operator has switched off, as far as it concerns the caller."""
        return self._loop.do(lambda: self._replica.switches)

    @property
    def waiting(self) -> list[Change]:
        """Our changes that the server does not hold yet."""
        return self._loop.do(lambda: self._replica.waiting)

    def ready(self, timeout: float | None = None) -> None:
        """Wait until the rows are current. Raises TimeoutError."""
        self._loop.wait(self._replica.ready(), timeout)

    def quiet(self, timeout: float | None = None) -> None:
        """Wait until nothing of ours waits any more. Raises TimeoutError."""
        self._loop.wait(self._replica.quiet(), timeout)

    @overload
    def get(self, entity: type[T], row_id: str, /) -> T | None: ...
    @overload
    def get(self, entity: str, row_id: str, /) -> Row | None: ...
    def get(self, entity: Any, row_id: str, /) -> Any:
        """The row, or None."""
        return self._loop.do(lambda: self._replica.get(entity, row_id))

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
    def rows(self, entity: Any, where: Any = None, /, **options: Any) -> list[Any]:
        """Rows that match."""
        return self._loop.do(lambda: self._replica.rows(entity, where, **options))

    def insert(self, entity: EntityName, /, **values: Any) -> str:
        """Insert a row; its id."""
        return self._loop.do(lambda: self._replica.insert(entity, **values))

    def update(self, entity: EntityName, row_id: str, /, **changes: Any) -> None:
        """Change fields of a row."""
        self._loop.do(lambda: self._replica.update(entity, row_id, **changes))

    def delete(self, entity: EntityName, row_id: str, /) -> None:
        """Delete a row."""
        self._loop.do(lambda: self._replica.delete(entity, row_id))

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
    ) -> Iterator[list[T]]: ...
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
    ) -> Iterator[list[Row]]: ...
    def live(self, entity: Any, where: Any = None, /, **options: Any) -> Iterator[list[Any]]:
        """The same, again after each change: `for rows in replica.live(Note)`. What changes meanwhile comes as one."""
        query: LiveQuery[Any] = self._loop.do(lambda: self._replica.live(entity, where, **options))
        try:
            yield from self._loop.iterate(aiter(query))
        finally:
            self._loop.do(query.close)

    @overload
    def live_call(self, name: str, into: type[T], /, **arguments: Any) -> Iterator[T]: ...
    @overload
    def live_call(self, name: str, into: None = None, /, **arguments: Any) -> Iterator[Any]: ...
    def live_call(self, name: str, into: Any = None, /, **arguments: Any) -> Iterator[Any]:
        """A query function's result, again whenever what it read has changed."""
        call: LiveCall[Any] = self._loop.do(lambda: self._replica.live_call(name, into, **arguments))
        try:
            yield from self._loop.iterate(aiter(call))
        finally:
            self._loop.do(call.close)

    @contextlib.contextmanager
    def room(self, name: str, data: Any = None, *, timeout: float | None = None) -> Iterator[BlockingRoom]:
        """A room, entered: `with replica.room("doc:42", {"color": "red"}) as room`; `data` is what the others see of
        us. Raises ApiError when we may not, TimeoutError while there is no connection for so many seconds."""
        room: Room = self._loop.do(lambda: self._replica.room(name, data))
        try:
            self._loop.wait(room.__aenter__(), timeout)
            yield BlockingRoom(self._loop, room)
        finally:
            self._loop.wait(room.leave())


class BlockingRoom:
    """A `Room` from any thread. It is joined again after each reconnect."""

    def __init__(self, loop: _Loop, room: Room) -> None:
        self._loop = loop
        self._room = room
        self.name = room.name

    @property
    def members(self) -> dict[str, Any]:
        """Who is here now, each with what he shows."""
        return self._loop.do(lambda: dict(self._room.members))

    @property
    def error(self) -> ClientError | None:
        """Why we are not in, None when we are or try."""
        return self._loop.do(lambda: self._room.error)

    @property
    def dropped(self) -> int:
        """Events that nobody took in time."""
        return self._loop.do(lambda: self._room.dropped)

    def presence(self, data: Any) -> None:
        """Set what the others see of us. Raises ClientError while there is no connection."""
        self._loop.wait(self._room.presence(data))

    def send(self, topic: str, data: Any = None) -> None:
        """Tell all who are here, ourselves too. Raises as `presence`."""
        self._loop.wait(self._room.send(topic, data))

    def leave(self) -> None:
        """Go, and end the iteration of events, on whichever thread that is."""
        self._loop.wait(self._room.leave())

    def next(self, timeout: float | None = None) -> RoomEvent | None:
        """The next event, waiting for it; None once we have left. Raises TimeoutError after so many seconds."""

        async def heard() -> RoomEvent | None:
            async with asyncio.timeout(timeout):  # on the loop, where no event is taken and then given up
                return await anext(aiter(self._room), None)

        return self._loop.wait(heard())

    def __iter__(self) -> Iterator[RoomEvent]:
        """What happens, until we leave: `for event in room`."""
        while (event := self.next()) is not None:
            yield event
