"""What a field says of itself holds at every door, in the same words: one table of values and one of options, over all
doors of a whole server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx
import pytest
import pytest_asyncio

from pylon import App, Context, Entity, Json, field
from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.server import Server
from pylon.testing.app import open_server, sign_in
from pylon.testing.process import ADMIN_TOKEN
from tests.documents.peer import joined

pytestmark = pytest.mark.asyncio(loop_scope="module")

app = App("doors")


class Thing(Entity):
    owner: str = field(owner=True)
    s: str | None = field(min_length=2, max_length=4, pattern="[a-z]+")
    n: int | None = field(min=0, max=9)
    f: float | None
    b: bool | None
    at: datetime | None
    j: Json | None
    state: Literal["draft", "live"] | None
    sealed: str | None = field(encrypted=True, max_length=4)
    fixed: str | None = field(readonly=True)
    secret: str | None = field(server_only=True)
    level: int = field(default=7, server_only=True)
    omitted: str | None = field(sync_omit=True)
    size: int = field(default=3)

    class Policy:
        allow = "auth.userId != null"


class Plain(Entity, crdt=False):
    owner: str = field(owner=True)
    s: str | None = field(min_length=2, max_length=4, pattern="[a-z]+")
    n: int | None = field(min=0, max=9)
    f: float | None
    b: bool | None
    at: datetime | None
    j: Json | None
    state: Literal["draft", "live"] | None
    sealed: str | None = field(encrypted=True, max_length=4)
    fixed: str | None = field(readonly=True)
    secret: str | None = field(server_only=True)
    level: int = field(default=7, server_only=True)
    omitted: str | None = field(sync_omit=True)
    size: int = field(default=3)

    class Policy:
        allow = "auth.userId != null"


@app.mutation
def make(ctx: Context, entity: str, values: Json) -> str:
    return str(ctx.db.insert(entity, **values).id)


@app.mutation
def change(ctx: Context, entity: str, row: str, values: Json) -> str:
    return str(ctx.db.update(entity, row, **values).id)


@dataclass
class House:
    """A server with the doors that lead into it. What a door answers is None when it took the values, else why not."""

    server: Server
    http: httpx.AsyncClient
    alice: dict[str, str]
    admin: dict[str, str]
    entity: str = "Thing"
    pushed: int = 0

    async def told(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.http.request(method, path, content=content, headers=headers)
        return answer.status_code, answer.json()

    async def row(self) -> str:
        status, made = await self.told("POST", f"/api/entities/{self.entity}", {}, self.alice)
        assert status == 201, made
        return str(made["id"])

    async def _rest(self, method: str, path: str, values: Any) -> str | None:
        status, told = await self.told(method, path, values, self.alice)
        return None if status < 300 else told["error"]["message"]

    async def post(self, values: Any) -> str | None:
        return await self._rest("POST", f"/api/entities/{self.entity}", values)

    async def patch(self, values: Any) -> str | None:
        return await self._rest("PATCH", f"/api/entities/{self.entity}/{await self.row()}", values)

    async def put(self, values: Any) -> str | None:
        return await self._rest("PUT", f"/api/entities/{self.entity}/{await self.row()}", values)

    async def put_new(self, values: Any) -> str | None:
        self.pushed += 1
        return await self._rest("PUT", f"/api/entities/{self.entity}/{self.pushed:040x}", values)

    async def _push(self, kind: str, row_id: str, values: Any) -> str | None:
        self.pushed += 1
        change_ = {"entity": self.entity, "row_id": row_id, "kind": kind, "data": values, "op_id": str(self.pushed)}
        _, told = await self.told("POST", "/api/sync/push", {"changes": [change_]}, self.alice)
        return None if told["applied"] else str(told["errors"][0]).partition(": ")[2]  # behind which change it was

    async def push_insert(self, values: Any) -> str | None:
        return await self._push("insert", f"_pending_{self.pushed}", values)

    async def push_update(self, values: Any) -> str | None:
        return await self._push("update", await self.row(), values)

    async def _operation(self, path: str, operation: dict[str, Any]) -> str | None:
        body = {"operations": [operation]} if path.endswith("batch") else [operation]
        _, told = await self.told("POST", path, body, self.admin)
        [result] = told["results"]
        error: str | None = result.get("error")
        return error

    async def batch_insert(self, values: Any) -> str | None:
        return await self._operation("/api/batch", {"op": "insert", "entity": self.entity, "data": values})

    async def transact_update(self, values: Any) -> str | None:
        operation = {"op": "update", "entity": self.entity, "id": await self.row(), "data": values}
        return await self._operation("/api/transact", operation)

    async def imported(self, values: Any) -> str | None:
        line = json.dumps({"owner": "alice", **values}).encode()
        _, told = await self.told("POST", f"/api/import/{self.entity}?on_error=skip", line, self.admin)
        return None if told["imported"] else str(told["failures"][0]["message"])

    async def _call(self, name: str, arguments: Any) -> str | None:
        status, told = await self.told("POST", f"/api/fn/{name}", arguments, self.alice)
        return None if status < 300 else str(told["error"]["message"])

    async def function_insert(self, values: Any) -> str | None:
        return await self._call("make", {"entity": self.entity, "values": values})

    async def function_update(self, values: Any) -> str | None:
        return await self._call("change", {"entity": self.entity, "row": await self.row(), "values": values})

    async def document(self, values: Any) -> str | None:
        row_id = await self.row()
        engine = self.server.engine
        caller = Caller(identity=Identity(user_id="alice"), door="test")
        peer = await joined(engine, caller, self.entity, row_id, 7)
        for name, value in values.items():
            peer.doc.get_map("row").insert(name, value)
        plan = engine.plans[self.entity]
        update = peer.taken()
        try:
            await engine.run(caller, lambda tx: engine.documents.push(tx, plan, row_id, update))
        except PylonError as error:
            return error.message
        return None


Door = Callable[[Any], Awaitable[str | None]]
CLIENT = ("post", "put_new", "push_insert", "patch", "put", "push_update")
TRUSTED = ("function_insert", "function_update", "batch_insert", "transact_update", "imported")
INSERTING = ("post", "put_new", "push_insert")
UPDATING = ("patch", "put", "push_update")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[House]:
    async with open_server(app) as server:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            token = await sign_in(server, "alice")
            bearer = {"Authorization": f"Bearer {token}"}
            yield House(server, client, bearer, {"Authorization": f"Bearer {ADMIN_TOKEN}"})


@pytest.fixture(params=["Thing", "Plain"])
def house(shared: House, request: pytest.FixtureRequest) -> House:
    shared.entity = request.param
    return shared


def doors(house: House, names: tuple[str, ...]) -> list[tuple[str, Door]]:
    return [(name, getattr(house, name)) for name in names]


@pytest.mark.parametrize(
    ("name", "good", "bad", "rule"),
    [
        ("s", "abc", "a", "must have at least 2 characters"),
        ("s", "abcd", "abcde", "must have at most 4 characters"),
        ("s", "ab", "a1", "must match [a-z]+"),
        ("s", None, 5, "expected string, got int"),
        ("n", 9, 10, "must be at most 9"),
        ("n", 0, -1, "must be at least 0"),
        ("n", None, "1", "expected int, got string"),
        ("n", 1, 1.5, "expected int, got float"),
        ("n", 1, True, "expected int, got bool"),
        ("f", 1, "1", "expected float, got string"),
        ("b", True, 1, "expected bool, got int"),
        ("at", "2024-02-03T04:05:06Z", "nope", "expected ISO 8601 datetime, got string"),
        ("j", {"a": [1]}, ..., ""),
        ("state", "live", "zzz", "expected one of 'draft', 'live'"),
        ("sealed", "abcd", "abcde", "must have at most 4 characters"),
    ],
)
async def test_each_door_takes_and_refuses_the_same_values(
    house: House, name: str, good: Any, bad: Any, rule: str
) -> None:
    for door_name, door in doors(house, CLIENT + TRUSTED):
        assert await door({name: good}) is None, door_name
        if bad is not ...:
            assert await door({name: bad}) == f"{house.entity}.{name}: {rule}", door_name


@pytest.mark.parametrize(
    ("name", "good", "bad"), [("s", "abc", "a1"), ("n", 9, 10), ("b", True, 1), ("state", "live", "zzz")]
)
async def test_an_edit_of_a_document_keeps_to_the_same(shared: House, name: str, good: Any, bad: Any) -> None:
    shared.entity = "Thing"
    assert await shared.document({name: good}) is None
    assert await shared.document({name: bad}) is not None


async def test_a_readonly_field_is_set_once_by_clients_and_at_will_by_the_app(house: House) -> None:
    for name, door in doors(house, INSERTING + TRUSTED):
        assert await door({"fixed": "x"}) is None, name
    for name, door in doors(house, UPDATING):
        assert await door({"fixed": "x"}) == f"{house.entity}.fixed is readonly", name
    if house.entity == "Thing":
        assert await house.document({"fixed": "x"}) is not None


async def test_an_owner_is_stamped_and_nobody_passes_for_another(house: House) -> None:
    for name, door in doors(house, INSERTING):
        assert await door({"owner": "mallory"}) == f"{house.entity}.owner must be the caller", name
        assert await door({"owner": "alice"}) is None, name
    for name, door in doors(house, UPDATING):
        assert await door({"owner": "mallory"}) == f"{house.entity}.owner is readonly", name
    for name, door in doors(house, TRUSTED):
        assert await door({"owner": "bob"}) is None, name


async def test_a_field_of_the_server_gets_its_default_and_no_client_may_set_it(house: House) -> None:
    for name, door in doors(house, INSERTING):
        assert await door({"s": "abc"}) is None, name
        refused = str(await door({"level": 7}))
        assert refused.startswith('Unknown column "level"'), name
        assert "level" not in refused.partition(" -- ")[2], name
    row_id = await house.row()
    engine = house.server.engine
    caller = Caller(identity=Identity(user_id="alice"), door="test")
    outcome = await engine.run(caller, lambda tx: tx.get(engine.plans[house.entity], row_id).level)
    assert outcome.value == 7


async def test_a_field_of_the_server_is_unknown_to_clients_and_shown_to_nobody(house: House) -> None:
    for name, door in doors(house, CLIENT):
        assert 'Unknown column "secret"' in str(await door({"secret": "hush"})), name
    if house.entity == "Thing":
        assert await house.document({"secret": "hush"}) is not None
    for name, door in doors(house, TRUSTED):
        assert await door({"secret": "hush"}) is None, name
    for path in (f"/api/entities/{house.entity}", "/api/sync/pull?since=0", f"/api/entities/{house.entity}/cursor"):
        for headers in (house.alice, house.admin):
            answer = await house.http.get(path, headers=headers)
            assert answer.status_code == 200
            assert "hush" not in answer.text


async def test_an_omitted_field_is_shown_and_not_replicated(house: House) -> None:
    for name, door in doors(house, CLIENT + TRUSTED):
        assert await door({"omitted": "kept-out"}) is None, name
    shown = await house.http.get(f"/api/entities/{house.entity}", headers=house.alice)
    assert "kept-out" in shown.text
    pulled = await house.http.get("/api/sync/pull?since=0", headers=house.alice)
    assert "kept-out" not in pulled.text


async def test_a_default_fills_what_is_absent_or_null(house: House) -> None:
    for name, door in doors(house, (*INSERTING, "function_insert", "batch_insert", "imported")):
        assert await door({}) is None, name
        assert await door({"size": None}) is None, name
    answer = await house.http.get(f"/api/entities/{house.entity}", headers=house.alice)
    assert {row["size"] for row in answer.json()["data"]} == {3}


async def test_an_export_holds_encrypted_fields_sealed_and_can_be_imported_again(house: House) -> None:
    assert await house.post({"sealed": "hush"}) is None
    exported = await house.http.get(f"/api/export/{house.entity}?format=ndjson", headers=house.admin)
    lines = [json.loads(line) for line in exported.text.splitlines()]
    [line] = [line for line in lines if line["sealed"] and line["omitted"] is None][-1:]
    assert line["sealed"].startswith("enc:v2:")
    row_id = line["id"]
    assert (await house.told("DELETE", f"/api/entities/{house.entity}/{row_id}", b"", house.alice))[0] == 200
    assert await house.imported(line) is None
    back = await house.http.get(f"/api/entities/{house.entity}/{row_id}", headers=house.alice)
    assert back.json()["sealed"] in ("hush", "abcd")
    assert "for another row" in str(await house.imported({**line, "id": "f" * 40}))


async def test_keys_are_changed_over_http(house: House) -> None:
    assert (await house.told("GET", "/api/admin/keys", b"", house.alice))[0] == 403
    _, made = await house.told("POST", "/api/admin/keys/rotate", {}, house.admin)
    assert await house.post({"sealed": "new"}) is None
    status, _ = await house.told("POST", "/api/admin/keys/reencrypt", {}, house.admin)
    assert status == 202
    for _ in range(2000):
        _, state = await house.told("GET", "/api/admin/keys", b"", house.admin)
        if not state["reencrypting"]["running"]:
            break
        await asyncio.sleep(0.01)
    assert state["keys"][0] == made["key"]
    assert [f["by_key"].get(made["key"], 0) > 0 for f in state["fields"] if f["entity"] == house.entity] == [True]
    assert all(count == 0 for f in state["fields"] for key, count in f["by_key"].items() if key != made["key"])
