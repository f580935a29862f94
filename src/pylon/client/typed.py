"""What a file written by `pylon codegen client --language python` stands on: the same calls as the client's, with the
types of one app filled in by subclasses. Nothing here is for writing by hand.

    AsyncEntityRows, EntityRows     rows of an entity on the server
    AsyncLiveRows, LiveRows         rows of an entity in a replica
    AsyncCalls, Calls               functions
    AsyncLiveCalls, LiveCalls       query functions, followed
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec import field as named

from pylon.client.blocking import BlockingReplica, BlockingStream, Client
from pylon.client.client import AsyncClient
from pylon.client.replica.calls import LiveCall
from pylon.client.replica.live import LiveQuery
from pylon.client.replica.replica import Replica
from pylon.client.streams import ActionStream

__all__ = [
    "UNSET",
    "ActionStream",
    "AsyncCalls",
    "AsyncClient",
    "AsyncEntityRows",
    "AsyncLiveCalls",
    "AsyncLiveRows",
    "BlockingReplica",
    "BlockingStream",
    "BoolIs",
    "Calls",
    "Client",
    "EntityRows",
    "IntIs",
    "LiveCall",
    "LiveCalls",
    "LiveRows",
    "NumberIs",
    "Replica",
    "Struct",
    "TextIs",
    "TimeIs",
    "UnsetType",
    "Writes",
    "named",
]

T = TypeVar("T")
F = TypeVar("F", bound=Mapping[str, object])
O = TypeVar("O", bound=str)  # noqa: E741 - the order

TextIs = TypedDict(
    "TextIs",
    {
        "$eq": str | None,
        "$not": str | None,
        "$in": Sequence[str],
        "$nin": Sequence[str],
        "$gt": str,
        "$gte": str,
        "$lt": str,
        "$lte": str,
        "$like": str,
        "$startsWith": str,
        "$exists": bool,
    },
    total=False,
)
"""Comparisons of text, all of which must hold; so with the others."""
IntIs = TypedDict(
    "IntIs",
    {
        "$eq": int | None,
        "$not": int | None,
        "$in": Sequence[int],
        "$nin": Sequence[int],
        "$gt": int,
        "$gte": int,
        "$lt": int,
        "$lte": int,
        "$exists": bool,
    },
    total=False,
)
NumberIs = TypedDict(
    "NumberIs",
    {
        "$eq": float | None,
        "$not": float | None,
        "$in": Sequence[float],
        "$nin": Sequence[float],
        "$gt": float,
        "$gte": float,
        "$lt": float,
        "$lte": float,
        "$exists": bool,
    },
    total=False,
)
BoolIs = TypedDict(
    "BoolIs",
    {
        "$eq": bool | None,
        "$not": bool | None,
        "$in": Sequence[bool],
        "$nin": Sequence[bool],
        "$exists": bool,
    },
    total=False,
)
TimeIs = TypedDict(
    "TimeIs",
    {
        "$eq": datetime | str | None,
        "$not": datetime | str | None,
        "$in": Sequence[datetime | str],
        "$nin": Sequence[datetime | str],
        "$gt": datetime | str,
        "$gte": datetime | str,
        "$lt": datetime | str,
        "$lte": datetime | str,
        "$exists": bool,
    },
    total=False,
)


# -- rows on the server ------------------------------------------------------------------------------------------------


class Writes:
    """Where rows are written, without waiting."""

    def _insert(self, values: Mapping[str, object]) -> str:
        raise NotImplementedError

    def _update(self, row_id: str, changes: Mapping[str, object]) -> None:
        raise NotImplementedError


class AsyncEntityRows(Generic[T, F, O]):
    """Rows of an entity on the server, for asyncio."""

    def __init__(self, client: AsyncClient, row: type[T]) -> None:
        self._client = client
        self._row = row

    async def get(self, row_id: str, /) -> T | None:
        """The row, or None."""
        return await self._client.get(self._row, row_id)

    async def query(
        self, where: F | None = None, /, *, order: O | Sequence[O] = (), limit: int | None = None, offset: int = 0
    ) -> list[T]:
        """Rows that match: `{"tag": "x", "n": {"$gt": 3}}`."""
        return await self._client.query(self._row, where, order=order, limit=limit, offset=offset)

    async def one(self, where: F | None = None, /, *, order: O | Sequence[O] = ()) -> T | None:
        """The first row that matches, or None."""
        return await self._client.one(self._row, where, order=order)

    def all(self, *, page: int = 100) -> AsyncIterator[T]:
        """Every readable row, in the order of ids, fetched in pages."""
        return self._client.rows(self._row, page=page)

    async def delete(self, row_id: str, /) -> bool:
        """Delete a row; whether there was one."""
        return await self._client.delete(self._row, row_id)

    async def _insert(self, values: Mapping[str, object]) -> str:
        return await self._client.insert(self._row, **values)

    async def _update(self, row_id: str, changes: Mapping[str, object]) -> None:
        await self._client.update(self._row, row_id, **changes)


class EntityRows(Writes, Generic[T, F, O]):
    """Rows of an entity on the server."""

    def __init__(self, client: Client, row: type[T]) -> None:
        self._client = client
        self._row = row

    def get(self, row_id: str, /) -> T | None:
        """The row, or None."""
        return self._client.get(self._row, row_id)

    def query(
        self, where: F | None = None, /, *, order: O | Sequence[O] = (), limit: int | None = None, offset: int = 0
    ) -> list[T]:
        """Rows that match: `{"tag": "x", "n": {"$gt": 3}}`."""
        return self._client.query(self._row, where, order=order, limit=limit, offset=offset)

    def one(self, where: F | None = None, /, *, order: O | Sequence[O] = ()) -> T | None:
        """The first row that matches, or None."""
        return self._client.one(self._row, where, order=order)

    def all(self, *, page: int = 100) -> Iterator[T]:
        """Every readable row, in the order of ids, fetched in pages."""
        return self._client.rows(self._row, page=page)

    def delete(self, row_id: str, /) -> bool:
        """Delete a row; whether there was one."""
        return self._client.delete(self._row, row_id)

    def _insert(self, values: Mapping[str, object]) -> str:
        return self._client.insert(self._row, **values)

    def _update(self, row_id: str, changes: Mapping[str, object]) -> None:
        self._client.update(self._row, row_id, **changes)


# -- rows in a replica -------------------------------------------------------------------------------------------------


class _ReplicaRows(Writes, Generic[T, F, O]):
    def __init__(self, replica: Replica | BlockingReplica, row: type[T]) -> None:
        self._replica = replica
        self._row = row

    def get(self, row_id: str, /) -> T | None:
        """The row, or None."""
        return self._replica.get(self._row, row_id)

    def rows(self, where: F | None = None, /, *, order: O | Sequence[O] = (), limit: int | None = None) -> list[T]:
        """Rows that match."""
        return self._replica.rows(self._row, where, order=order, limit=limit)

    def delete(self, row_id: str, /) -> None:
        """Delete a row. Raises ClientError as `update`."""
        self._replica.delete(self._row, row_id)

    def _insert(self, values: Mapping[str, object]) -> str:
        return self._replica.insert(self._row, **values)

    def _update(self, row_id: str, changes: Mapping[str, object]) -> None:
        self._replica.update(self._row, row_id, **changes)


class AsyncLiveRows(_ReplicaRows[T, F, O]):
    """Rows of an entity in a replica, for asyncio."""

    def __init__(self, replica: Replica, row: type[T]) -> None:
        super().__init__(replica, row)
        self._followed = replica

    def live(self, where: F | None = None, /, *, order: O | Sequence[O] = (), limit: int | None = None) -> LiveQuery[T]:
        """The same, followed: iterate over it with `async for`, or set its `on_change`."""
        return self._followed.live(self._row, where, order=order, limit=limit)


class LiveRows(_ReplicaRows[T, F, O]):
    """Rows of an entity in a replica."""

    def __init__(self, replica: BlockingReplica, row: type[T]) -> None:
        super().__init__(replica, row)
        self._followed = replica

    def live(
        self, where: F | None = None, /, *, order: O | Sequence[O] = (), limit: int | None = None
    ) -> Iterator[list[T]]:
        """The same, again after each change."""
        return self._followed.live(self._row, where, order=order, limit=limit)


# -- functions ---------------------------------------------------------------------------------------------------------


class AsyncCalls:
    """Functions, for asyncio."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def _call(self, name: str, into: Any, arguments: Mapping[str, object]) -> Any:
        return await self._client.call(name, into, **_given(arguments))

    def _stream(self, name: str, arguments: Mapping[str, object]) -> ActionStream:
        return self._client.stream(name, None, **_given(arguments))


class Calls:
    """Functions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, name: str, into: Any, arguments: Mapping[str, object]) -> Any:
        return self._client.call(name, into, **_given(arguments))

    def _stream(self, name: str, arguments: Mapping[str, object]) -> BlockingStream:
        return self._client.stream(name, None, **_given(arguments))


class AsyncLiveCalls:
    """Query functions, followed, for asyncio."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def _follow(self, name: str, into: Any, arguments: Mapping[str, object]) -> LiveCall[Any]:
        return self._replica.live_call(name, into, **_given(arguments))


class LiveCalls:
    """Query functions, followed."""

    def __init__(self, replica: BlockingReplica) -> None:
        self._replica = replica

    def _follow(self, name: str, into: Any, arguments: Mapping[str, object]) -> Iterator[Any]:
        found: Iterator[Any] = self._replica.live_call(name, into, **_given(arguments))
        return found


def _given(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Without those that the caller left out, for which the server has defaults."""
    return {name: value for name, value in arguments.items() if value is not UNSET}
