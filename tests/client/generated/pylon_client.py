# Written by `pylon codegen client --language python`. Run it again after a change of the app; do not edit.
# ruff: noqa
# fmt: off
"""The API of shelf for Python: `AsyncApi` for asyncio, `Api` for everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, Unpack

from pylon.client.typed import (
    UNSET,
    ActionStream,
    AsyncCalls,
    AsyncClient,
    AsyncEntityRows,
    AsyncLiveCalls,
    AsyncLiveRows,
    BlockingReplica,
    BlockingStream,
    BoolIs,
    Calls,
    Client,
    EntityRows,
    IntIs,
    LiveCall,
    LiveCalls,
    LiveRows,
    NumberIs,
    Replica,
    Struct,
    TextIs,
    TimeIs,
    UnsetType,
    Writes,
    named,
)


class Where(Struct, kw_only=True):
    size: Literal["small", "large"]
    least: int | UnsetType = UNSET


class Report(Struct, kw_only=True):
    books: list[Book]
    by_size: dict[str, int]
    newest: datetime | None


class Line(Struct, kw_only=True):
    title: str
    count: int = 1
    marks: list[str] | UnsetType = UNSET


class Book(Struct, frozen=True, kw_only=True):
    """A row of Book."""

    id: str
    title: str
    size: Literal["small", "large"] = "small"
    stock: int = 0
    price: float | None = None
    isNew: bool = True
    from_: str | None = named(name="from", default=None)
    datetime_: datetime | None = named(name="datetime", default=None)
    tags: Any = None
    owner: str
    made: datetime
    notes: str | None = None
    code: str | None = None


class LocalBook(Struct, frozen=True, kw_only=True):
    """A row of Book in a replica; what the server stamps is None until it has."""

    __pylon_name__ = "Book"

    id: str
    title: str
    size: Literal["small", "large"] = "small"
    stock: int = 0
    price: float | None = None
    isNew: bool = True
    from_: str | None = named(name="from", default=None)
    datetime_: datetime | None = named(name="datetime", default=None)
    tags: Any = None
    owner: str | None = None
    made: datetime | None = None
    code: str | None = None


class BookInsert(TypedDict):
    """A new row of Book."""

    id: NotRequired[str]
    title: str
    size: NotRequired[Literal["small", "large"]]
    stock: NotRequired[int]
    price: NotRequired[float | None]
    isNew: NotRequired[bool]
    from_: NotRequired[str | None]
    datetime_: NotRequired[datetime | None]
    tags: NotRequired[Any]
    made: NotRequired[datetime]
    notes: NotRequired[str | None]
    code: NotRequired[str | None]


class BookUpdate(TypedDict):
    """The fields of a Book to change."""

    title: NotRequired[str]
    size: NotRequired[Literal["small", "large"]]
    stock: NotRequired[int]
    price: NotRequired[float | None]
    isNew: NotRequired[bool]
    from_: NotRequired[str | None]
    datetime_: NotRequired[datetime | None]
    tags: NotRequired[Any]
    notes: NotRequired[str | None]
    code: NotRequired[str | None]


BookFilter = TypedDict(
    "BookFilter",
    {
        "id": "str | TextIs",
        "title": "str | TextIs | None",
        "size": "Literal[\"small\", \"large\"] | TextIs | None",
        "stock": "int | IntIs | None",
        "price": "float | NumberIs | None",
        "isNew": "bool | BoolIs | None",
        "from_": "str | TextIs | None",
        "datetime_": "str | datetime | TimeIs | None",
        "tags": "Any",
        "owner": "str | TextIs | None",
        "made": "str | datetime | TimeIs | None",
        "notes": "str | TextIs | None",
        "code": "str | None",
        "$and": "list[BookFilter]",
        "$or": "list[BookFilter]",
        "$not": "BookFilter",
    },
    total=False,
)


BookOrder = Literal["id", "-id", "title", "-title", "size", "-size", "stock", "-stock", "price", "-price", "isNew", "-isNew", "from_", "-from_", "datetime_", "-datetime_", "owner", "-owner", "made", "-made", "notes", "-notes"]


class AsyncBookRows(AsyncEntityRows[Book, BookFilter, BookOrder]):
    """Rows of Book on the server, for asyncio."""

    async def insert(self, /, **values: Unpack[BookInsert]) -> str:
        """Insert a row; its id."""
        return await self._insert(values)

    async def update(self, row_id: str, /, **changes: Unpack[BookUpdate]) -> None:
        """Change fields of a row."""
        await self._update(row_id, changes)


class BookWrites(Writes):
    """Writing rows of Book."""

    def insert(self, /, **values: Unpack[BookInsert]) -> str:
        """Insert a row; its id."""
        return self._insert(values)

    def update(self, row_id: str, /, **changes: Unpack[BookUpdate]) -> None:
        """Change fields of a row."""
        self._update(row_id, changes)


class BookRows(BookWrites, EntityRows[Book, BookFilter, BookOrder]):
    """Rows of Book on the server."""


class AsyncBookLive(BookWrites, AsyncLiveRows[LocalBook, BookFilter, BookOrder]):
    """Rows of Book in a replica, for asyncio."""


class BookLive(BookWrites, LiveRows[LocalBook, BookFilter, BookOrder]):
    """Rows of Book in a replica."""


class User(Struct, frozen=True, kw_only=True):
    """A row of User."""

    id: str
    name: str
    bio: str = ""


class UserInsert(TypedDict):
    """A new row of User."""

    id: NotRequired[str]
    name: str
    bio: NotRequired[str]


class UserUpdate(TypedDict):
    """The fields of a User to change."""

    name: NotRequired[str]
    bio: NotRequired[str]


UserFilter = TypedDict(
    "UserFilter",
    {
        "id": "str | TextIs",
        "name": "str | TextIs | None",
        "bio": "str | TextIs | None",
        "$and": "list[UserFilter]",
        "$or": "list[UserFilter]",
        "$not": "UserFilter",
    },
    total=False,
)


UserOrder = Literal["id", "-id", "name", "-name", "bio", "-bio"]


class AsyncUserRows(AsyncEntityRows[User, UserFilter, UserOrder]):
    """Rows of User on the server, for asyncio."""

    async def insert(self, /, **values: Unpack[UserInsert]) -> str:
        """Insert a row; its id."""
        return await self._insert(values)

    async def update(self, row_id: str, /, **changes: Unpack[UserUpdate]) -> None:
        """Change fields of a row."""
        await self._update(row_id, changes)


class UserWrites(Writes):
    """Writing rows of User."""

    def insert(self, /, **values: Unpack[UserInsert]) -> str:
        """Insert a row; its id."""
        return self._insert(values)

    def update(self, row_id: str, /, **changes: Unpack[UserUpdate]) -> None:
        """Change fields of a row."""
        self._update(row_id, changes)


class UserRows(UserWrites, EntityRows[User, UserFilter, UserOrder]):
    """Rows of User on the server."""


class AsyncUserLive(UserWrites, AsyncLiveRows[User, UserFilter, UserOrder]):
    """Rows of User in a replica, for asyncio."""


class UserLive(UserWrites, LiveRows[User, UserFilter, UserOrder]):
    """Rows of User in a replica."""


class Client2(Struct, frozen=True, kw_only=True):
    """A row of Client."""

    __pylon_name__ = "Client"

    id: str
    name: str


class Client2Insert(TypedDict):
    """A new row of Client."""

    id: NotRequired[str]
    name: str


class Client2Update(TypedDict):
    """The fields of a Client to change."""

    name: NotRequired[str]


Client2Filter = TypedDict(
    "Client2Filter",
    {
        "id": "str | TextIs",
        "name": "str | TextIs | None",
        "$and": "list[Client2Filter]",
        "$or": "list[Client2Filter]",
        "$not": "Client2Filter",
    },
    total=False,
)


Client2Order = Literal["id", "-id", "name", "-name"]


class AsyncClient2Rows(AsyncEntityRows[Client2, Client2Filter, Client2Order]):
    """Rows of Client on the server, for asyncio."""

    async def insert(self, /, **values: Unpack[Client2Insert]) -> str:
        """Insert a row; its id."""
        return await self._insert(values)

    async def update(self, row_id: str, /, **changes: Unpack[Client2Update]) -> None:
        """Change fields of a row."""
        await self._update(row_id, changes)


class Client2Writes(Writes):
    """Writing rows of Client."""

    def insert(self, /, **values: Unpack[Client2Insert]) -> str:
        """Insert a row; its id."""
        return self._insert(values)

    def update(self, row_id: str, /, **changes: Unpack[Client2Update]) -> None:
        """Change fields of a row."""
        self._update(row_id, changes)


class Client2Rows(Client2Writes, EntityRows[Client2, Client2Filter, Client2Order]):
    """Rows of Client on the server."""


class AsyncClient2Live(Client2Writes, AsyncLiveRows[Client2, Client2Filter, Client2Order]):
    """Rows of Client in a replica, for asyncio."""


class Client2Live(Client2Writes, LiveRows[Client2, Client2Filter, Client2Order]):
    """Rows of Client in a replica."""


class query(Struct, frozen=True, kw_only=True):
    """A row of query."""

    id: str
    text: str


class queryInsert(TypedDict):
    """A new row of query."""

    id: NotRequired[str]
    text: str


class queryUpdate(TypedDict):
    """The fields of a query to change."""

    text: NotRequired[str]


queryFilter = TypedDict(
    "queryFilter",
    {
        "id": "str | TextIs",
        "text": "str | TextIs | None",
        "$and": "list[queryFilter]",
        "$or": "list[queryFilter]",
        "$not": "queryFilter",
    },
    total=False,
)


queryOrder = Literal["id", "-id", "text", "-text"]


class AsyncqueryRows(AsyncEntityRows[query, queryFilter, queryOrder]):
    """Rows of query on the server, for asyncio."""

    async def insert(self, /, **values: Unpack[queryInsert]) -> str:
        """Insert a row; its id."""
        return await self._insert(values)

    async def update(self, row_id: str, /, **changes: Unpack[queryUpdate]) -> None:
        """Change fields of a row."""
        await self._update(row_id, changes)


class queryWrites(Writes):
    """Writing rows of query."""

    def insert(self, /, **values: Unpack[queryInsert]) -> str:
        """Insert a row; its id."""
        return self._insert(values)

    def update(self, row_id: str, /, **changes: Unpack[queryUpdate]) -> None:
        """Change fields of a row."""
        self._update(row_id, changes)


class queryRows(queryWrites, EntityRows[query, queryFilter, queryOrder]):
    """Rows of query on the server."""


class AsyncqueryLive(queryWrites, AsyncLiveRows[query, queryFilter, queryOrder]):
    """Rows of query in a replica, for asyncio."""


class queryLive(queryWrites, LiveRows[query, queryFilter, queryOrder]):
    """Rows of query in a replica."""


class AsyncFunctions(AsyncCalls):
    """The functions, for asyncio."""

    async def find(self, /, *, where: Where, limit: int | UnsetType | None = UNSET) -> list[Book]:
        """Books of a size."""
        found: list[Book] = await self._call("find", list[Book], {"where": where, "limit": limit})
        return found

    async def report(self, /) -> Report:
        found: Report = await self._call("report", Report, {})
        return found

    async def order(self, /, *, lines: list[Line], self_: str | UnsetType | None = UNSET, note: str | UnsetType | None = UNSET) -> int:
        found: int = await self._call("order", int, {"lines": lines, "self": self_, "note": note})
        return found

    async def forget(self, /, *, name: Literal["a", "b"] | UnsetType | None = UNSET) -> None:
        await self._call("forget", None, {"name": name})

    def spell(self, /, *, word: str) -> ActionStream:
        """Letter by letter."""
        return self._stream("spell", {"word": word})

    async def anything(self, /, *, value: Any) -> Any:
        found: Any = await self._call("anything", None, {"value": value})
        return found


class Functions(Calls):
    """The functions."""

    def find(self, /, *, where: Where, limit: int | UnsetType | None = UNSET) -> list[Book]:
        """Books of a size."""
        found: list[Book] = self._call("find", list[Book], {"where": where, "limit": limit})
        return found

    def report(self, /) -> Report:
        found: Report = self._call("report", Report, {})
        return found

    def order(self, /, *, lines: list[Line], self_: str | UnsetType | None = UNSET, note: str | UnsetType | None = UNSET) -> int:
        found: int = self._call("order", int, {"lines": lines, "self": self_, "note": note})
        return found

    def forget(self, /, *, name: Literal["a", "b"] | UnsetType | None = UNSET) -> None:
        self._call("forget", None, {"name": name})

    def spell(self, /, *, word: str) -> BlockingStream:
        """Letter by letter."""
        return self._stream("spell", {"word": word})

    def anything(self, /, *, value: Any) -> Any:
        found: Any = self._call("anything", None, {"value": value})
        return found


class AsyncLiveFunctions(AsyncLiveCalls):
    """The query functions, followed: the result now, and again when what was read has changed, for asyncio."""

    def find(self, /, *, where: Where, limit: int | UnsetType | None = UNSET) -> LiveCall[list[Book]]:
        """Books of a size."""
        return self._follow("find", list[Book], {"where": where, "limit": limit})

    def report(self, /) -> LiveCall[Report]:
        return self._follow("report", Report, {})


class LiveFunctions(LiveCalls):
    """The query functions, followed: the result now, and again when what was read has changed."""

    def find(self, /, *, where: Where, limit: int | UnsetType | None = UNSET) -> Iterator[list[Book]]:
        """Books of a size."""
        return self._follow("find", list[Book], {"where": where, "limit": limit})

    def report(self, /) -> Iterator[Report]:
        return self._follow("report", Report, {})


class AsyncApi(AsyncClient):
    """A client of the server at `url`; options are `AsyncClient`'s."""

    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:
        super().__init__(url, token, **options)
        self.Book = AsyncBookRows(self, Book)
        self.User = AsyncUserRows(self, User)
        self.Client = AsyncClient2Rows(self, Client2)
        self.query_ = AsyncqueryRows(self, query)
        self.fn = AsyncFunctions(self)


class Api(Client):
    """A client of the server at `url`; options are `Client`'s."""

    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:
        super().__init__(url, token, **options)
        self.Book = BookRows(self, Book)
        self.User = UserRows(self, User)
        self.Client = Client2Rows(self, Client2)
        self.query_ = queryRows(self, query)
        self.fn = Functions(self)


class AsyncLive:
    """A replica with the types of this app: `AsyncLive(replica)`."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.Book = AsyncBookLive(replica, LocalBook)
        self.User = AsyncUserLive(replica, User)
        self.Client = AsyncClient2Live(replica, Client2)
        self.query_ = AsyncqueryLive(replica, query)
        self.fn = AsyncLiveFunctions(replica)


class Live:
    """A replica with the types of this app: `Live(replica)`."""

    def __init__(self, replica: BlockingReplica) -> None:
        self.replica = replica
        self.Book = BookLive(replica, LocalBook)
        self.User = UserLive(replica, User)
        self.Client = Client2Live(replica, Client2)
        self.query_ = queryLive(replica, query)
        self.fn = LiveFunctions(replica)
