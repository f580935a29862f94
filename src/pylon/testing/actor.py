"""Somebody at the doors of a test app: every call goes through the HTTP door, as a client's would."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.testing.asgi import Exchanged

if TYPE_CHECKING:
    from pylon.testing.kit import TestApp
    from pylon.testing.live import Live

Row = dict[str, Any]
Rows = list[Row]
Entity = str | type
Exchange = Callable[..., Awaitable[Exchanged]]


class Answer(NamedTuple):
    """One answer of the server; `json` is the decoded body, None where it is no JSON."""

    status: int
    headers: dict[str, str]
    json: Any
    body: bytes


class Actor:
    """What one identity may do. A refusal raises PylonError with the code that a client would see."""

    def __init__(self, app: TestApp, identity: Identity, token: str | None) -> None:
        self.identity = identity
        self._app = app
        self._token = token

    # -- rows ----------------------------------------------------------------------------------------------------

    def insert(self, entity: Entity, /, **values: Any) -> str:
        """Insert a row; its id."""
        row_id: str = self._ask("POST", f"/api/entities/{_name(entity)}", values)["id"]
        return row_id

    def get(self, entity: Entity, row_id: str, /) -> Row:
        """One row. Raises NOT_FOUND, POLICY_DENIED."""
        row: Row = self._ask("GET", f"/api/entities/{_name(entity)}/{quote(row_id, safe='')}")
        return row

    def can_read(self, entity: Entity, row_id: str, /) -> bool:
        """Whether the row shows, asked of each door that could show it; they must agree."""
        shown = {
            "get": self._shows(entity, row_id),
            "list": row_id in {row["id"] for row in self.list(entity, id=row_id)},
            "query": bool(self.query(entity, {"id": row_id})),
            "count": bool(self.count(entity, {"id": row_id})),
        }
        if len(set(shown.values())) > 1:
            raise AssertionError(f"the doors disagree about {_name(entity)}/{row_id}: {shown}")
        return shown["get"]

    def _shows(self, entity: Entity, row_id: str) -> bool:
        try:
            self.get(entity, row_id)
        except PylonError as error:
            if error.code in ("NOT_FOUND", "POLICY_DENIED"):
                return False
            raise
        return True

    def list(self, entity: Entity, /, **equals: Any) -> Rows:
        """The readable rows with these values."""
        query = urlencode({f"filter[{name}]": _text(value) for name, value in equals.items()})
        rows: Rows = self._ask("GET", f"/api/entities/{_name(entity)}?{query}")["data"]
        return rows

    def query(self, entity: Entity, where: Mapping[str, Any] | None = None, /) -> Rows:
        """The readable rows that match a filter object (`$order`, `$limit` and the rest included)."""
        rows: Rows = self._ask("POST", f"/api/query/{_name(entity)}", dict(where or {}))
        return rows

    def count(self, entity: Entity, where: Mapping[str, Any] | None = None, /) -> int:
        """How many readable rows match."""
        found = self._ask("POST", f"/api/aggregate/{_name(entity)}", {"count": "*", "where": dict(where or {})})
        return int(found["rows"][0]["count"])

    def update(self, entity: Entity, row_id: str, /, **changes: Any) -> None:
        """Change fields of a row."""
        self._ask("PATCH", f"/api/entities/{_name(entity)}/{quote(row_id, safe='')}", changes)

    def delete(self, entity: Entity, row_id: str, /) -> None:
        """Delete a row."""
        self._ask("DELETE", f"/api/entities/{_name(entity)}/{quote(row_id, safe='')}")

    # -- functions and sync --------------------------------------------------------------------------------------

    def call(self, function: str | Callable[..., Any], /, **arguments: Any) -> Any:
        """Call a function, by name or by itself; its result as JSON."""
        name = function if isinstance(function, str) else function.__name__
        return self._ask("POST", f"/api/fn/{quote(name, safe='')}", arguments)

    def pull(self, since: int = 0) -> Rows:
        """The change events after a cursor, all of what is readable at 0."""
        changes: Rows = self._ask("GET", f"/api/sync/pull?since={since}")["changes"]
        return changes

    def push(self, changes: Sequence[Mapping[str, Any]], client_id: str = "test") -> Rows:
        """Push changes as an offline client does; a result for each."""
        body = {"changes": [dict(change) for change in changes], "client_id": client_id}
        results: Rows = self._ask("POST", "/api/sync/push", body)["results"]
        return results

    def live(self) -> Live:
        """Follow what is pushed to this identity: `with actor.live() as seen: …; seen.events`."""
        return self._app.follow(self.identity)

    # -- anything ------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; refusals are answers like any other."""
        content = body if body is not None else b"" if json is None else msgspec.json.encode(json)
        sent = dict(headers or {})
        if self._token is not None:
            sent.setdefault("authorization", f"Bearer {self._token}")
        got = self._app.exchange(method, path, content, sent)
        try:
            decoded = msgspec.json.decode(got.body) if got.body else None
        except msgspec.MsgspecError:
            decoded = None
        return Answer(got.status, got.headers, decoded, got.body)

    def _ask(self, method: str, path: str, json: Any = None) -> Any:
        answer = self.request(method, path, json)
        if answer.status >= 400:
            told = answer.json["error"]
            extra = {name: value for name, value in told.items() if name not in ("code", "message", "hint")}
            raise PylonError(
                told["code"], told["message"], hint=told.get("hint"), status=answer.status, extra=extra or None
            )
        return answer.json


def _name(entity: Entity) -> str:
    if inspect.isclass(entity):
        return entity.__name__
    return quote(str(entity), safe="")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
