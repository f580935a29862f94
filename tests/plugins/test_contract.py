"""What a plugin may do: its hooks fire on every door, and one that fails or doesn't fit says so."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Context, DeclarationError, Entity, PylonError, RichText, hookimpl
from pylon.discovery import with_discovered
from pylon.engine.plan import Plans
from pylon.loading import find_entry, load
from pylon.model.change import Change
from pylon.model.schema import AppSpec
from pylon.plugins import Plugin, PluginRequest, Response, Route, Timestamps, Write
from pylon.plugins.commits import Commits
from pylon.testing.app import open_server
from pylon.testing.engine import open_engine
from tests.conftest import ALICE
from tests.documents.peer import joined
from tests.plugins.conftest import Doors, opened


class Note(Entity, crdt=False):
    title: str
    stamp: str | None = None

    class Policy:
        allow = "data.title != 'secret'"


class Text(Entity):
    body: RichText = ""
    stamp: str | None = None

    class Policy:
        allow = "true"


ENTITIES = [Note, Text]


class Witness(Plugin):
    """Stamps every row and remembers which hooks it was asked for."""

    name = "witness"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.committed_changes: list[tuple[str, str]] = []

    def _saw(self, hook: str, write: Write) -> None:
        self.seen.append((hook, write.entity, write.caller.door))

    def before_insert(self, write: Write) -> None:
        self._saw("before_insert", write)
        write["stamp"] = "inserted"

    def before_update(self, write: Write) -> None:
        self._saw("before_update", write)
        write["stamp"] = f"was {write.old.stamp}"

    def before_delete(self, write: Write) -> None:
        self._saw("before_delete", write)

    def after_insert(self, write: Write) -> None:
        self._saw("after_insert", write)

    def after_update(self, write: Write) -> None:
        self._saw("after_update", write)

    def after_delete(self, write: Write) -> None:
        self._saw("after_delete", write)

    def committed(self, changes: list[Change]) -> None:
        self.committed_changes += [(change.entity, change.kind) for change in changes]

    def hooks(self) -> list[str]:
        seen, self.seen = [hook for hook, _, _ in self.seen], []
        return seen


def an_app(*plugins: Any) -> App:
    app = App("contract", entities=ENTITIES, plugins=plugins)

    @app.mutation(auth="public")
    def add(ctx: Context, title: str) -> str:
        return ctx.db.insert(Note, title=title).id

    return app


async def _rest(doors: Doors) -> None:
    await doors.add("ann", "Note", title="rest")


async def _put(doors: Doors) -> None:
    assert (await doors.send("ann", "PUT", f"/api/entities/Note/{'a' * 40}", {"title": "put"})).status_code == 201


async def _batch(doors: Doors) -> None:
    operation = {"op": "insert", "entity": "Note", "data": {"title": "batch"}}
    await doors.json("admin", "POST", "/api/batch", {"operations": [operation]})


async def _transact(doors: Doors) -> None:
    await doors.json("admin", "POST", "/api/transact", [{"op": "insert", "entity": "Note", "data": {"title": "t"}}])


async def _push(doors: Doors) -> None:
    await doors.push("ann", "insert", "Note", "_pending_1", {"title": "push"})


async def _function(doors: Doors) -> None:
    await doors.json("ann", "POST", "/api/fn/add", {"title": "function"})


async def _import(doors: Doors) -> None:
    answer = await doors.send(
        "admin",
        "POST",
        "/api/import/Note",
        headers={"Content-Type": "application/x-ndjson"},
        content=b'{"title":"i"}\n',
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("door", [_rest, _put, _batch, _transact, _push, _function, _import])
async def test_hooks_fire_on_every_door(door: Callable[[Doors], Any]) -> None:
    witness = Witness()
    async with opened(an_app(witness)) as doors:
        await door(doors)
        assert witness.hooks() == ["before_insert", "after_insert"]
        rows = await doors.rows("admin", "Note")
        assert [row["stamp"] for row in rows] == ["inserted"]


async def test_updates_and_deletes_have_their_hooks_and_the_row_before() -> None:
    witness = Witness()
    async with opened(an_app(witness)) as doors:
        row_id = await doors.add("ann", "Note", title="a")
        witness.hooks()
        await doors.send("ann", "PATCH", f"/api/entities/Note/{row_id}", {"title": "b"})
        assert (await doors.row("ann", "Note", row_id))["stamp"] == "was inserted"
        assert (await doors.push("ann", "update", "Note", row_id, {"title": "c"}))["applied"] == 1
        assert witness.hooks() == ["before_update", "after_update"] * 2
        await doors.send("ann", "DELETE", f"/api/entities/Note/{row_id}")
        assert witness.hooks() == ["before_delete", "after_delete"]


async def test_edits_of_documents_pass_the_hooks_of_updates() -> None:
    witness = Witness()
    async with opened(an_app(witness)) as doors:
        row_id = await doors.add("ann", "Text", body="hello")
        peer = await joined(doors.server.engine, ALICE, "Text", row_id, 7)
        witness.hooks()
        peer.field("body").insert(5, " you")
        answer = await doors.send("ann", "POST", f"/api/crdt/Text/{row_id}", {"update": peer.taken().hex()})
        assert answer.status_code == 200, answer.text
        assert witness.hooks() == ["before_update", "after_update"]
        row = await doors.row("ann", "Text", row_id)
        assert (row["body"], row["stamp"]) == ("hello you", "was inserted")


async def test_the_policy_judges_what_hooks_made_of_it() -> None:
    class Naming(Plugin):
        name = "naming"
        entities = ("Note",)

        def before_insert(self, write: Write) -> None:
            write["title"] = "secret"

    async with opened(an_app(Naming())) as doors:
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "open"}) == "POLICY_DENIED"


async def test_what_a_hook_raises_undoes_the_write() -> None:
    class Strict(Plugin):
        name = "strict"

        def after_insert(self, write: Write) -> None:
            if write["title"] == "bad":
                raise write.error("NOT_TODAY", "no")
            if write["title"] == "bug":
                raise KeyError("oops")

    witness = Witness()
    async with opened(App("strict", entities=[Note], plugins=[Strict(), witness])) as doors:
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "bad"}) == "NOT_TODAY"
        answer = await doors.json("ann", "POST", "/api/entities/Note", {"title": "bug"})
        assert answer["error"]["code"] == "HOOK_FAILED"
        assert "oops" not in json.dumps(answer)
        await doors.add("ann", "Note", title="good")
        rows = await doors.rows("ann", "Note")
        assert [row["title"] for row in rows] == ["good"]


async def test_plugins_run_in_the_order_of_the_app_and_the_first_refusal_ends_it() -> None:
    order: list[str] = []

    def plugin(called: str, refuses: bool = False) -> Plugin:
        class Ordered(Plugin):
            name = called

            def before_insert(self, write: Write) -> None:
                order.append(called)
                if refuses:
                    raise write.error("STOP", "stop")

        return Ordered()

    async with opened(App("order", entities=[Note], plugins=[plugin("a"), plugin("b", True), plugin("c")])) as doors:
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "x"}) == "STOP"
    assert order == ["a", "b"]


async def test_what_a_hook_sets_is_checked_like_what_a_client_sends() -> None:
    class Wrong(Plugin):
        name = "wrong"

        def before_insert(self, write: Write) -> None:
            write["title"] = 5

    async with opened(App("wrong", entities=[Note], plugins=[Wrong()])) as doors:
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "x"}) == "INVALID_DATA"


async def test_hooks_write_other_rows_in_the_same_transaction() -> None:
    class Copying(Plugin):
        name = "copying"
        entities = ("Note",)

        def after_insert(self, write: Write) -> None:
            write.db.insert(Text, body=write["title"])
            if write["title"] == "undone":
                raise write.error("UNDONE", "undone")

    async with opened(an_app(Copying())) as doors:
        await doors.add("ann", "Note", title="kept")
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "undone"}) == "UNDONE"
        assert [row["body"] for row in await doors.rows("ann", "Text")] == ["kept"]


async def test_hooks_that_write_in_a_circle_are_stopped() -> None:
    class Endless(Plugin):
        name = "endless"
        entities = ("Note",)

        def after_insert(self, write: Write) -> None:
            write.db.insert(Note, title="again")

    async with opened(an_app(Endless())) as doors:
        assert await doors.code("ann", "POST", "/api/entities/Note", {"title": "x"}) == "HOOK_FAILED"
        assert await doors.rows("ann", "Note") == []


async def test_commits_are_told_off_the_write_path_and_a_failure_fails_nothing() -> None:
    class Failing(Plugin):
        name = "failing"

        async def committed(self, changes: list[Change]) -> None:
            raise RuntimeError("later")

    witness = Witness()
    async with opened(an_app(Failing(), witness)) as doors:
        await doors.add("ann", "Note", title="x")
    assert witness.committed_changes == [("Note", "insert")]


async def test_commits_that_nobody_takes_up_are_dropped_and_counted(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        change = await engine.insert(ALICE, "Note", b'{"title":"x"}')
    commits = Commits([])
    commits.queue([change] * 9_999)
    commits.queue([change] * 3)
    assert commits.statistics() == {"queued": 10_000, "told": 0, "dropped": 2}


async def test_requests_pass_their_hooks_and_may_be_refused() -> None:
    class Guard(Plugin):
        name = "guard"

        def __init__(self) -> None:
            self.answered: list[tuple[str, str, int]] = []

        async def on_request(self, request: PluginRequest) -> None:
            if request.headers.get("x-evil"):
                raise PylonError("TEAPOT", f"not for {request.identity.user_id}", status=418)

        def on_response(self, request: PluginRequest, status: int) -> None:
            self.answered.append((request.method, request.path, status))
            raise RuntimeError("the answer stands")

    guard = Guard()
    async with opened(an_app(guard)) as doors:
        answer = await doors.send("ann", "GET", "/api/entities/Note", headers={"X-Evil": "1"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (418, "not for ann")
        assert (await doors.send("ann", "GET", "/api/entities/Note")).status_code == 200
    assert guard.answered == [("GET", "/api/entities/Note", 418), ("GET", "/api/entities/Note", 200)]


class Routing(Plugin):
    name = "routing"

    def __init__(self, *routes: Route) -> None:
        self._routes = routes

    def routes(self) -> Any:
        return self._routes


async def _hello(request: PluginRequest) -> Any:
    return {"params": dict(request.params), "query": dict(request.query), "body": await request.json()}


async def _made(request: PluginRequest) -> Any:
    request.require_user()
    return Response(b"plain", 201, {"Content-Type": "text/plain"})


async def test_plugins_add_routes_of_their_own_and_below_rows() -> None:
    plugin = Routing(
        Route("GET", "/api/hello/{name}", _hello),
        Route("POST", "/api/hello/{name}", _made),
        Route("POST", "/api/entities/{entity}/{row_id}/approve", _hello),
    )
    async with opened(an_app(plugin)) as doors:
        answer = await doors.json("ann", "GET", "/api/hello/you?x=1")
        assert answer == {"params": {"name": "you"}, "query": {"x": "1"}, "body": {}}
        made = await doors.send("ann", "POST", "/api/hello/you")
        assert (made.status_code, made.text, made.headers["content-type"]) == (201, "plain", "text/plain")
        assert await doors.code(None, "POST", "/api/hello/you") == "AUTH_REQUIRED"
        row_id = await doors.add("ann", "Note", title="x")
        path = f"/api/entities/Note/{row_id}"
        answer = await doors.json("ann", "POST", f"{path}/approve", {"why": "good"})
        assert answer["params"] == {"entity": "Note", "row_id": row_id}
        assert (await doors.send("ann", "POST", path)).status_code == 405
        assert (await doors.send("ann", "POST", f"{path}/other")).status_code == 405
        assert (await doors.json("ann", "GET", path))["title"] == "x"


@pytest.mark.parametrize(
    ("path", "shadowed"),
    [
        ("/api/entities/Note", "/api/entities/{entity}"),
        ("/api/entities/{any}", "/api/entities/{entity}"),
        ("/api/fn/add", "/api/fn/{name}"),
        ("/health", "/health"),
        ("/api/lookup/Note/title/x/y", "/api/lookup/{entity}/{field}/{value:path}"),
    ],
)
async def test_a_route_that_shadows_one_of_pylons_refuses_to_start(path: str, shadowed: str) -> None:
    with pytest.raises(PylonError, match="would shadow") as refusal:
        async with open_server(an_app(Routing(Route("GET", path, _hello)))):
            pass
    assert refusal.value.code == "PLUGIN_ROUTE_TAKEN"
    assert shadowed in refusal.value.message
    assert "routing" in refusal.value.message


async def test_two_plugins_with_one_route_refuse_to_start() -> None:
    class Other(Routing):
        name = "other"

    with pytest.raises(PylonError, match="routing"):
        async with open_server(
            an_app(Routing(Route("GET", "/api/x/{a}", _hello)), Other(Route("GET", "/api/x/{b}", _hello)))
        ):
            pass


def _misspelt() -> Any:
    class Misspelt(Plugin):
        name = "misspelt"

        def before_isnert(self, write: Write) -> None: ...

    return Misspelt()


def _marked() -> Any:
    class Marked(Plugin):
        name = "marked"

        @hookimpl
        def finally_insert(self, write: Write) -> None: ...

    return Marked()


def _waiting() -> Any:
    class Waiting(Plugin):
        name = "waiting"

        async def before_insert(self, write: Write) -> None: ...

    return Waiting()


def _stranger() -> Any:
    class Stranger(Plugin):
        name = "stranger"
        entities = ("Nothing",)

        def before_insert(self, write: Write) -> None: ...

    return Stranger()


def _asking() -> Any:
    class Asking(Plugin):
        name = "asking"

        def before_insert(self, write: Write, more: int) -> None: ...

    return Asking()


@pytest.mark.parametrize("make", [_misspelt, _marked, _waiting, _stranger, _asking])
async def test_a_plugin_that_does_not_fit_refuses_to_start_and_is_named(make: Callable[[], Any]) -> None:
    plugin = make()
    with pytest.raises(PylonError, match=plugin.name) as refusal:
        async with open_server(an_app(plugin)):
            pass
    assert refusal.value.code == "PLUGIN_INVALID"


async def test_two_plugins_of_one_name_refuse_to_start() -> None:
    with pytest.raises(PylonError, match="witness"):
        async with open_server(an_app(Witness(), Witness())):
            pass


async def test_start_and_stop_may_be_async_and_a_task_that_fails_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylon.plugins.server.RESTART_SECONDS", 0.0)
    runs: list[str] = []
    again = asyncio.Event()

    class Living(Plugin):
        name = "living"

        async def start(self, server: Any) -> None:
            runs.append("start")
            server.spawn("work", self.work)

        async def work(self) -> None:
            runs.append("work")
            if runs.count("work") == 2:
                again.set()
                await asyncio.Event().wait()
            raise RuntimeError("once")

        async def stop(self) -> None:
            runs.append("stop")

    async with opened(an_app(Living())):
        await asyncio.wait_for(again.wait(), 5)
    assert runs == ["start", "work", "work", "stop"]


async def test_without_plugins_writes_have_no_stage_and_requests_no_hook() -> None:
    async with open_server(an_app()) as server:
        assert server.engine.plans["Note"].stages == []
        assert not server.plugins.on_request
    async with open_server(an_app(Timestamps())) as server:  # neither entity has its fields
        assert server.engine.plans["Note"].stages == []


def manifest(folder: Path, *plugins: Any) -> Path:
    field = {"name": "title", "type": "string", "optional": False, "unique": False}
    entity = {"name": "Note", "fields": [field], "indexes": []}
    tree = {"manifest_version": 1, "name": "m", "version": "1", "entities": [entity], "routes": []}
    path = folder / "pylon.manifest.json"
    path.write_text(json.dumps({**tree, "plugins": list(plugins)}))
    return path


def test_a_manifest_names_its_plugins(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"name": "timestamps", "config": {"entities": ["Note"]}})
    spec = load(find_entry(str(path), tmp_path))
    assert [field.name for field in spec.entities[0].fields] == ["title", "createdAt", "updatedAt"]
    assert [plugin.name for plugin in spec.plugins] == ["timestamps"]
    Plans(spec)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"name": "timestams"}, "timestamps"),
        ({"name": "timestamps", "config": {"entites": []}}, "entites"),
        ({"name": "soft-delete", "config": {"entities": ["Nope"]}}, "Nope"),
        ({"nam": "x"}, "nam"),
    ],
)
def test_a_manifest_with_a_plugin_that_is_not_there_refuses_to_load(tmp_path: Path, entry: Any, problem: str) -> None:
    from pylon.loading import LoadError

    with pytest.raises(LoadError) as refusal:
        load(find_entry(str(manifest(tmp_path, entry)), tmp_path))
    assert refusal.value.diagnostics[0].code == "PLUGIN_INVALID"
    assert problem in f"{refusal.value.diagnostics[0]} {refusal.value.diagnostics[0].hint}"


def test_installed_packages_offer_plugins_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("witness", "tests.plugins.test_contract:Witness", "pylon.plugins")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: importlib.metadata.EntryPoints([point]))
    assert [plugin.name for plugin in with_discovered(an_app().spec()).plugins] == ["witness"]
    again = with_discovered(an_app(Witness()).spec())  # the app has it already, as it wants it
    assert [plugin.name for plugin in again.plugins] == ["witness"]


def test_a_declaration_that_is_none_is_refused() -> None:
    class Lazy(Plugin):
        name = "lazy"

        def declare(self, app: AppSpec) -> Any:
            return None

    with pytest.raises(DeclarationError, match="lazy"):
        an_app(Lazy()).spec()
