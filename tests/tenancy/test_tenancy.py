"""The tenant of a row is the caller's, and no door shows or changes a row of another tenant."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon import App, DeclarationError, Entity, Id, RichText, field, index, relation
from pylon.client import AsyncClient
from pylon.engine.caller import Caller
from pylon.engine.plan import Plans
from pylon.model.diagnostics import check
from pylon.model.identity import ADMIN, Identity
from pylon.model.manifest import from_manifest, to_manifest
from pylon.policy.audience import ByKey, Everyone, Key
from pylon.testing.app import open_server, sign_in
from pylon.testing.process import ADMIN_TOKEN
from tests.documents.peer import joined, show

app = App("tenants")


class Project(Entity, crdt=False):
    tenantId: str  # noqa: N815 - the name on the wire
    title: str
    relations = [relation("tasks", "Task", field="project", many=True)]

    class Policy:
        allow = "true"


class Task(Entity, crdt=False):
    project: Id[Project]
    title: str
    org: str | None = field(tenant=True)
    relations = [relation("of", "Project", field="project")]

    class Policy:
        read = insert = update = "auth.userId != null"
        delete = "data.title != 'kept'"


class Note(Entity, crdt=False, tenant=False):
    tenantId: str | None = None  # noqa: N815
    title: str

    class Policy:
        allow = "true"


class Sheet(Entity):
    tenantId: str  # noqa: N815
    title: str
    body: RichText = ""

    class Policy:
        allow = "true"


class Silent(Entity, crdt=False):
    tenantId: str | None = None  # noqa: N815
    title: str


class World:
    """One server with rows of the tenants `red` and `blue`, and of none; all titles begin with the tenant's name."""

    def __init__(self, server: Any, http: httpx.AsyncClient, tokens: dict[str, str | None]) -> None:
        self.server = server
        self.http = http
        self.tokens = tokens
        self.ids: dict[str, str] = {}

    async def send(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        token = self.tokens[who]
        return await self.http.request(
            method, path, json=body, headers={} if token is None else {"Authorization": f"Bearer {token}"}
        )

    async def code(self, who: str, method: str, path: str, body: Any = None) -> Any:
        answer = (await self.send(who, method, path, body)).json()
        return answer["error"]["code"] if "error" in answer else answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_server(app) as server:
        tokens: dict[str, str | None] = {"admin": ADMIN_TOKEN, "nobody": None}
        tokens |= {name: await sign_in(server, f"u-{name}", tenant_id=name) for name in ("red", "blue")}
        tokens["stray"] = await sign_in(server, "u-stray")
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            world = World(server, http, tokens)
            for tenant in ("red", "blue"):
                answer = await world.send(tenant, "POST", "/api/entities/Project", {"title": f"{tenant} project"})
                assert answer.status_code == 201, answer.text
                world.ids[tenant] = project = answer.json()["id"]
                body = {"title": f"{tenant} task", "project": project}
                answer = await world.send(tenant, "POST", "/api/entities/Task", body)
                world.ids[f"{tenant} task"] = answer.json()["id"]
            # A row that an admin gave no tenant, below a project of the reds.
            body = {"title": "none task", "project": world.ids["red"]}
            assert (await world.send("admin", "POST", "/api/entities/Task", body)).status_code == 201
            yield world


def titles(value: Any) -> set[str]:
    """Every title anywhere in an answer."""
    if isinstance(value, dict):
        own = {value["title"]} if isinstance(value.get("title"), str) else set()
        return own.union(*map(titles, value.values()))
    return set().union(*map(titles, value)) if isinstance(value, list) else set()


async def _get(world: World, who: str, path: str) -> set[str]:
    return titles((await world.send(who, "GET", path)).json())


async def _rows_by_id(world: World, who: str) -> set[str]:
    paths = [f"/api/entities/{'Task' if 'task' in name else 'Project'}/{i}" for name, i in world.ids.items()]
    return set().union(*[await _get(world, who, path) for path in paths])


async def _lists(world: World, who: str) -> set[str]:
    return set().union(*[await _get(world, who, f"/api/entities/{e}") for e in ("Project", "Task")])


async def _cursor(world: World, who: str) -> set[str]:
    return set().union(*[await _get(world, who, f"/api/entities/{e}/cursor?limit=10") for e in ("Project", "Task")])


async def _lookup(world: World, who: str) -> set[str]:
    wanted = ["red project", "blue project"]
    return set().union(*[await _get(world, who, f"/api/lookup/Project/title/{title}") for title in wanted])


async def _filtered(world: World, who: str) -> set[str]:
    answers = [await world.send(who, "POST", f"/api/query/{e}", {"$not": {"title": ""}}) for e in ("Project", "Task")]
    return titles([answer.json() for answer in answers])


async def _graph(world: World, who: str) -> set[str]:
    body = {"Project": {"include": {"tasks": {}}}, "Task": {"include": {"of": {}}}}
    return titles((await world.send(who, "POST", "/api/query", body)).json())


async def _aggregate(world: World, who: str) -> set[str]:
    body = {"count": "*", "groupBy": ["title"]}
    return titles([(await world.send(who, "POST", f"/api/aggregate/{e}", body)).json() for e in ("Project", "Task")])


async def _snapshot(world: World, who: str) -> set[str]:
    return await _get(world, who, "/api/sync/pull?since=0")


async def _paged_snapshot(world: World, who: str) -> set[str]:
    return await _get(world, who, "/api/sync/pull?since=0&page_size=100")


async def _log(world: World, who: str) -> set[str]:
    return await _get(world, who, "/api/sync/pull?since=1") | await _get(world, who, "/api/sync/pull?since=2")


async def _export(world: World, who: str) -> set[str]:
    found: set[str] = set()
    for entity in ("Project", "Task"):
        answer = await world.send(who, "GET", f"/api/export/{entity}")
        if answer.status_code == 200:
            found |= titles([json.loads(line) for line in answer.text.splitlines() if line])
    return found


async def _replica(world: World, who: str) -> set[str]:
    """A live replica: what it holds after it started, and after every row changed under it."""
    async with (
        AsyncClient("http://test", app=world.server.app, token=world.tokens[who]) as client,
        client.replica() as replica,
    ):
        await replica.ready()
        for name, row_id in world.ids.items():
            entity = "Task" if "task" in name else "Project"
            await world.send("admin", "PATCH", f"/api/entities/{entity}/{row_id}", {"title": f"{name} again"})
        await replica.quiet()
        return {row.title for entity in (Project, Task) for row in replica.rows(entity)}


DOORS: list[Callable[[World, str], Awaitable[set[str]]]] = [
    _rows_by_id,
    _lists,
    _cursor,
    _lookup,
    _filtered,
    _graph,
    _aggregate,
    _snapshot,
    _paged_snapshot,
    _log,
    _export,
    _replica,
]


async def test_no_door_shows_a_row_of_another_tenant_or_of_none(world: World) -> None:
    for door in DOORS:
        for who in ("red", "blue"):
            shown = await door(world, who)
            assert all(title.startswith(who) for title in shown), (door.__name__, who, shown)
            assert shown or door is _export, (door.__name__, who)  # the door was open at all
        for who in ("nobody", "stray"):
            assert await door(world, who) == set(), (door.__name__, who)


async def test_counts_are_of_the_callers_tenant(world: World) -> None:
    for who, count in (("red", 1), ("blue", 1), ("stray", 0), ("admin", 3)):
        assert (await world.send(who, "GET", "/api/entities/Task/count")).json()["count"] == count


async def test_an_insert_is_stamped_and_a_forged_tenant_is_refused(world: World) -> None:
    answer = await world.send("red", "POST", "/api/entities/Project", {"title": "red two", "tenantId": "red"})
    assert answer.status_code == 201
    forged = {"title": "x", "tenantId": "blue"}
    assert await world.code("red", "POST", "/api/entities/Project", forged) == "TENANT_MISMATCH"
    pushed = {"changes": [{"entity": "Project", "row_id": "_pending_1", "kind": "insert", "data": forged}]}
    result = (await world.send("red", "POST", "/api/sync/push", pushed)).json()
    assert "TENANT_MISMATCH" in json.dumps(result)
    for who in ("stray", "nobody"):
        assert await world.code(who, "POST", "/api/entities/Project", {"title": "x"}) == "TENANT_REQUIRED"


@pytest.mark.parametrize("given", [{}, {"tenantId": None}, {"tenantId": ""}], ids=["left out", "null", "empty"])
async def test_a_row_that_names_no_tenant_gets_the_callers(world: World, given: dict[str, Any]) -> None:
    answer = await world.send("red", "POST", "/api/entities/Project", {"title": "red three", **given})
    assert answer.status_code == 201, answer.text
    row = (await world.send("red", "GET", f"/api/entities/Project/{answer.json()['id']}")).json()
    assert row["tenantId"] == "red"


async def test_an_admin_names_the_tenant(world: World) -> None:
    answer = await world.send("admin", "POST", "/api/entities/Project", {"title": "blue new", "tenantId": "blue"})
    assert answer.status_code == 201
    row_id = answer.json()["id"]
    assert (await world.send("blue", "GET", f"/api/entities/Project/{row_id}")).json()["tenantId"] == "blue"
    await world.send("admin", "PATCH", f"/api/entities/Project/{row_id}", {"tenantId": "red"})
    assert (await world.send("red", "GET", f"/api/entities/Project/{row_id}")).status_code == 200
    assert (await world.send("blue", "GET", f"/api/entities/Project/{row_id}")).status_code != 200


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
async def test_a_row_of_another_tenant_is_as_good_as_missing_for_writes(world: World, method: str) -> None:
    body = None if method == "DELETE" else {"title": "mine now"}
    theirs = await world.code("red", method, f"/api/entities/Project/{world.ids['blue']}", body)
    missing = await world.code("red", method, f"/api/entities/Project/{'0' * 40}", body)
    if method != "PUT":  # a PUT of what isn't there makes it
        assert theirs == missing
    assert theirs == "POLICY_DENIED"
    row = (await world.send("blue", "GET", f"/api/entities/Project/{world.ids['blue']}")).json()
    assert row["title"] == "blue project"


async def test_a_row_stays_in_its_tenant(world: World) -> None:
    path = f"/api/entities/Project/{world.ids['red']}"
    assert await world.code("red", "PATCH", path, {"tenantId": "blue"}) == "POLICY_DENIED"
    assert await world.code("red", "PATCH", path, {"tenantId": None}) == "POLICY_DENIED"
    assert (await world.send("red", "PATCH", path, {"tenantId": "red", "title": "red renamed"})).status_code == 200
    assert (await world.send("red", "PUT", path, {"title": "red put"})).status_code == 200
    assert (await world.send("red", "GET", path)).json()["tenantId"] == "red"


async def test_edits_of_documents_stay_within_the_tenant(world: World) -> None:
    engine = world.server.engine
    row_id = (await world.send("blue", "POST", "/api/entities/Sheet", {"title": "blue", "body": "x"})).json()["id"]
    blue, red = (Caller(identity=Identity(user_id=f"u-{t}", tenant_id=t), door="test") for t in ("blue", "red"))
    peer = await joined(engine, blue, "Sheet", row_id, 7)
    assert await show(engine, red, "Sheet", row_id) is None
    peer.field("body").insert(0, "y")
    edit = {"update": peer.taken().hex()}
    assert await world.code("red", "POST", f"/api/crdt/Sheet/{row_id}", edit) == "POLICY_DENIED"
    assert await world.code("blue", "POST", f"/api/crdt/Sheet/{row_id}", edit) == {"ok": True}


async def test_the_apps_own_policies_still_hold(world: World) -> None:
    body = {"title": "kept", "project": world.ids["red"]}
    row_id = (await world.send("red", "POST", "/api/entities/Task", body)).json()["id"]
    assert await world.code("red", "DELETE", f"/api/entities/Task/{row_id}") == "POLICY_DENIED"
    assert await world.code("red", "POST", "/api/entities/Silent", {"title": "x"}) == "POLICY_DENIED"


async def test_an_entity_may_opt_out(world: World) -> None:
    answer = await world.send("nobody", "POST", "/api/entities/Note", {"title": "x", "tenantId": "anything"})
    assert answer.status_code == 201
    assert "x" in await _get(world, "red", "/api/entities/Note")


def test_fan_out_looks_the_readers_of_a_tenant_up_in_an_index() -> None:
    plans = Plans(app.spec())
    assert plans["Project"].policy.read.audience == ByKey((Key("tenant_id", "tenantId"),))
    assert plans["Task"].policy.read.audience == ByKey((Key("tenant_id", "org"),))
    assert plans["Note"].policy.read.audience == Everyone()


tenants = st.sampled_from([None, "", "a", "b"])


@settings(max_examples=60, deadline=None)
@given(caller=tenants, row=tenants, after=tenants, admin=st.booleans())
def test_only_equal_tenants_meet(caller: str | None, row: str | None, after: str | None, admin: bool) -> None:
    policy = Plans(app.spec())["Project"].policy
    plan = Plans(app.spec())["Project"]
    identity = ADMIN if admin else Identity(user_id="u", tenant_id=caller)
    before, new = plan.types.row(tenantId=row, title="x"), plan.types.row(tenantId=after, title="x")
    same = caller is not None and caller == row
    now = _now()
    assert policy.read.allows(identity, before, now=now) is (admin or same)
    assert policy.delete.allows(identity, before, now=now) is (admin or same)
    assert policy.update.allows(identity, before, new, now=now) is (admin or (same and after == row))


def test_manifests_carry_what_is_declared() -> None:
    spec = app.spec()
    again = from_manifest(json.dumps(to_manifest(spec)).encode())
    assert [entity.tenant_field for entity in again.entities] == [entity.tenant_field for entity in spec.entities]
    assert {e.name: e.tenant_field for e in spec.entities} == {
        "Project": "tenantId",
        "Task": "org",
        "Note": None,
        "Silent": "tenantId",
        "Sheet": "tenantId",
    }


def test_a_field_that_cant_hold_a_tenant_is_refused() -> None:
    with pytest.raises(DeclarationError, match="can't hold a tenant"):

        class Wrong(Entity):
            tenantId: int  # noqa: N815


def test_a_unique_field_that_tells_of_other_tenants_is_warned_of() -> None:
    inner = App("unique", entities=[])

    class Page(Entity, crdt=False):
        tenantId: str  # noqa: N815
        slug: str = field(unique=True)
        path: str
        indexes = [index("tenantId", "path", unique=True)]

    inner.include(Page)
    assert [(d.code, "slug" in d.message) for d in check(inner.spec()) if d.code == "TENANT_UNIQUE"] == [
        ("TENANT_UNIQUE", True)
    ]


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)
