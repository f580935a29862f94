"""`AsyncClient`: rows, functions, sessions and replicas of one Pylon server, for asyncio. `blocking` has the same for
everybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload
from urllib.parse import quote

import httpx

from pylon.client.errors import ApiError
from pylon.client.http import Backoff, Http
from pylon.client.replica.replica import OnConflict, Replica
from pylon.client.shapes import EntityName, Order, dump, dump_where, entity_name, load, order_fields
from pylon.client.sockets import Dial, asgi_dial, dial
from pylon.client.streams import ActionStream

T = TypeVar("T")

TIMEOUT = 30.0


class AsyncClient:
    """A client of the server at `url`, as whoever `token` is. `app` is an ASGI app of this process to talk to instead
    of the network; `transport` and `dial` replace how requests and sockets travel."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        app: Any = None,
        transport: httpx.AsyncBaseTransport | None = None,
        dial: Dial = dial,
        timeout: float = TIMEOUT,
        backoff: Backoff | None = None,
    ) -> None:
        if app is not None:
            transport, dial = httpx.ASGITransport(app), asgi_dial(app)
        self._http = Http(url, token, transport, timeout=timeout, backoff=backoff or Backoff())
        self._dial = dial
        self._replicas: list[Replica] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the replicas and close the connections. What is queued in a replica's file waits there."""
        for replica in list(self._replicas):
            await replica.close()
        await self._http.close()

    # -- who calls -----------------------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        """Who calls; may be set. A replica that stopped for its session's end goes on with the new one."""
        return self._http.token

    @token.setter
    def token(self, token: str | None) -> None:
        self._http.token = token
        for replica in self._replicas:
            replica.identify()

    async def guest(self) -> str:
        """Become a new guest; its user id."""
        answer = await self._http.call("POST", "/api/auth/guest")
        self.token = answer["token"]
        user: str = answer["user_id"]
        return user

    async def act_as(self, user_id: str) -> str:
        """Become any user, which a server in dev mode allows everybody, and others admins; the token."""
        answer = await self._http.call("POST", "/api/auth/session", {"user_id": user_id})
        token: str = answer["token"]
        self.token = token
        return token

    async def me(self) -> dict[str, Any]:
        """The caller as the server sees it: `user_id` (None for nobody), `is_admin`, `roles` …"""
        answer: dict[str, Any] = await self._http.call("GET", "/api/auth/me")
        return answer

    async def sign_out(self) -> None:
        """End the session."""
        await self._http.call("DELETE", "/api/auth/session", is_repeatable=True)
        self.token = None

    # -- rows ----------------------------------------------------------------------------------------------------

    async def insert(self, entity: EntityName, /, **values: Any) -> str:
        """Insert a row; its id. Raises ApiError: POLICY_DENIED, INVALID_DATA, INSERT_FAILED …"""
        answer = await self._http.call("POST", f"/api/entities/{_path(entity)}", dump(entity, values))
        row_id: str = answer["id"]
        return row_id

    @overload
    async def get(self, entity: type[T], row_id: str, /) -> T | None: ...
    @overload
    async def get(self, entity: str, row_id: str, /) -> dict[str, Any] | None: ...
    async def get(self, entity: Any, row_id: str, /) -> Any:
        """The row, or None. Raises ApiError POLICY_DENIED for one that may not be seen, and where the policy hides
        whether there is one."""
        try:
            row = await self._http.call("GET", f"/api/entities/{_path(entity)}/{quote(row_id, safe='')}")
        except ApiError as error:
            if error.code == "NOT_FOUND":
                return None
            raise
        return load(entity, row)

    async def update(self, entity: EntityName, row_id: str, /, **changes: Any) -> None:
        """Change fields of a row."""
        path = f"/api/entities/{_path(entity)}/{quote(row_id, safe='')}"
        await self._http.call("PATCH", path, dump(entity, changes))

    async def delete(self, entity: EntityName, row_id: str, /) -> bool:
        """Delete a row; whether there was one."""
        try:
            await self._http.call("DELETE", f"/api/entities/{_path(entity)}/{quote(row_id, safe='')}")
        except ApiError as error:
            if error.code == "NOT_FOUND":
                return False
            raise
        return True

    @overload
    async def query(
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
    async def query(
        self,
        entity: str,
        where: Mapping[str, Any] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        offset: int = 0,
        **equals: Any,
    ) -> list[dict[str, Any]]: ...
    async def query(
        self,
        entity: Any,
        where: Mapping[str, Any] | None = None,
        /,
        *,
        order: Order = (),
        limit: int | None = None,
        offset: int = 0,
        **equals: Any,
    ) -> list[Any]:
        """Rows that match: keyword arguments for equality, `where` for operators, as in `{"n": {"$gt": 3}}`."""
        body = dump_where(entity, {**(where or {}), **equals})
        if fields := order_fields(entity, order):
            body["$order"] = dict(fields)
        if limit is not None:
            body["$limit"] = limit
        if offset:
            body["$offset"] = offset
        rows = await self._http.call("POST", f"/api/query/{_path(entity)}", body, is_repeatable=True)
        return [load(entity, row) for row in rows]

    @overload
    async def one(
        self, entity: type[T], where: Mapping[str, Any] | None = None, /, *, order: Order = (), **equals: Any
    ) -> T | None: ...
    @overload
    async def one(
        self, entity: str, where: Mapping[str, Any] | None = None, /, *, order: Order = (), **equals: Any
    ) -> dict[str, Any] | None: ...
    async def one(
        self, entity: Any, where: Mapping[str, Any] | None = None, /, *, order: Order = (), **equals: Any
    ) -> Any:
        """The first row that matches, or None."""
        rows = await self.query(entity, where, order=order, limit=1, **equals)
        return rows[0] if rows else None

    @overload
    def rows(self, entity: type[T], *, page: int = 100) -> AsyncIterator[T]: ...
    @overload
    def rows(self, entity: str, *, page: int = 100) -> AsyncIterator[dict[str, Any]]: ...
    async def rows(self, entity: Any, *, page: int = 100) -> AsyncIterator[Any]:
        """Every row that the caller may read, in the order of ids, fetched in pages of up to 100."""
        path, after = f"/api/entities/{_path(entity)}/cursor", None
        while True:
            params = {"limit": page} | ({"after": after} if after else {})
            answer = await self._http.call("GET", path, params=params)
            for row in answer["data"]:
                yield load(entity, row)
            after = answer["next_cursor"]
            if not answer["has_more"]:
                return

    async def transact(self, operations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """All operations or none, for admins: `{"op": "insert" or "update" or "delete", "entity", "id"?, "data"?}`.
        Raises ApiError with the code CONFLICT, and in `extra["results"]` what led to it."""
        body = [_operation(operation) for operation in operations]
        answer = await self._http.call("POST", "/api/transact", body)
        results: list[dict[str, Any]] = answer["results"]
        return results

    # -- functions -----------------------------------------------------------------------------------------------

    @overload
    async def call(self, name: str, into: type[T], /, **arguments: Any) -> T: ...
    @overload
    async def call(self, name: str, into: None = None, /, **arguments: Any) -> Any: ...
    async def call(self, name: str, into: Any = None, /, **arguments: Any) -> Any:
        """A function's result, as an instance of `into` if it is given: an entity, a Struct, a dataclass,
        `list[Note]` …"""
        answer = await self._http.call("POST", f"/api/fn/{quote(name, safe='')}", dump("", arguments))
        return load(into, answer)

    def stream(self, name: str, into: Any = None, /, **arguments: Any) -> ActionStream:
        """What an action yields, while it does; `into` is for its `result`."""
        return ActionStream(self._http, quote(name, safe=""), dump("", arguments), into)

    async def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Any other route: the decoded answer."""
        return await self._http.call(method, path, body, params=params or None)

    # -- live ----------------------------------------------------------------------------------------------------

    def replica(
        self,
        path: str | Path | None = None,
        *,
        scope: Mapping[EntityName, Mapping[str, Any]] | None = None,
        on_conflict: OnConflict | None = None,
    ) -> Replica:
        """The readable rows here, kept current: `async with client.replica("notes.db") as replica`. With a path, rows
        and queued changes outlast the process; one process at a time may have it. `scope` names the entities to follow,
        each with a filter, `{}` for all of it; by default all of them. `on_conflict` is told of each change that the
        server refuses."""
        narrowed = None
        if scope is not None:
            narrowed = {entity_name(entity): dump_where(entity, filter) for entity, filter in scope.items()}
        replica = Replica(self._http, self._dial, path, narrowed, on_conflict, self._forget)
        self._replicas.append(replica)
        return replica

    def _forget(self, replica: Replica) -> None:
        if replica in self._replicas:
            self._replicas.remove(replica)


def _path(entity: EntityName) -> str:
    return quote(entity_name(entity), safe="")


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    entity = operation["entity"]
    told = {**operation, "entity": entity_name(entity)}
    if operation.get("data") is not None:
        told["data"] = dump(entity, operation["data"])
    return told
