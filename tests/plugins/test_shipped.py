"""The plugins that come with Pylon, each through the doors that its rows are written by."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from pylon import App, Context, DeclarationError, Entity, Id, Json, RichText, field
from pylon.client import AsyncClient
from pylon.engine.caller import SYSTEM
from pylon.model.timestamps import iso_millis
from pylon.plugins import (
    Cascade,
    Computed,
    FeatureFlags,
    Slugify,
    SoftDelete,
    Timestamps,
    Validation,
    Versioning,
)
from pylon.plugins.slugify import slug_of
from pylon.plugins.validation import Rule
from pylon.testing.waiting import comes_true as until
from tests.client.conftest import QUICK
from tests.plugins.conftest import Doors, opened


class Team(Entity, crdt=False):
    name: str
    slug: str | None = field(unique=True)

    class Policy:
        allow = "true"


class Member(Entity, crdt=False):
    team: Id[Team]
    user: str
    above: str | None = None

    class Policy:
        allow = "true"


class Page(Entity, crdt=False):
    title: str
    body: str = ""
    words: int | None = None
    owner: Id[User] = field(owner=True)  # noqa: F821 - users are declared nowhere in this app
    public: bool = False
    secret: str | None = field(server_only=True)

    class Policy:
        read = "data.public || auth.userId == data.owner"
        insert = "true"
        update = delete = "auth.userId == data.owner"


class Closed(Entity, crdt=False):
    title: str


class Draft(Entity):
    body: RichText = ""
    tags: Json | None = None

    class Policy:
        allow = "true"


ENTITIES = [Team, Member, Page, Closed, Draft]


def an_app(*plugins: Any) -> App:
    app = App("shipped", entities=ENTITIES, plugins=plugins)

    @app.mutation(auth="public")
    def remove(ctx: Context, entity: str, row: str) -> bool:
        return ctx.db.delete(entity, row)

    @app.mutation(auth="public")
    def add_page(ctx: Context, title: str, body: str = "") -> Page:
        return ctx.db.insert(Page, title=title, body=body)

    @app.mutation(auth="public")
    def retitle(ctx: Context, page: Id[Page], title: str) -> Page:
        return ctx.db.update(Page, page, title=title)

    return app


async def ids(doors: Doors, who: str, entity: str) -> list[str]:
    return [row["id"] for row in await doors.rows(who, entity)]


# -- timestamps --------------------------------------------------------------------------------------------------


async def test_timestamps_are_the_servers_at_every_door() -> None:
    async with opened(an_app(Timestamps("Page"))) as doors:
        by_rest = await doors.add("ann", "Page", title="a", createdAt="2001-01-01T00:00:00Z")
        pushed = await doors.push("ann", "insert", "Page", "_pending_1", {"title": "b"})
        await doors.json("ann", "POST", "/api/fn/add_page", {"title": "c"})
        rows = {row["id"]: row for row in await doors.rows("ann", "Page")}
        assert len(rows) == 3, pushed
        assert all(row["createdAt"] == row["updatedAt"] > "2026" for row in rows.values())
        assert (
            await doors.code("ann", "PATCH", f"/api/entities/Page/{by_rest}", {"createdAt": None}) == "READONLY_FIELD"
        )
        await asyncio.sleep(0.002)  # the clock of rows has milliseconds
        await doors.json("ann", "POST", "/api/fn/retitle", {"page": by_rest, "title": "z"})
        row = await doors.row("ann", "Page", by_rest)
        assert row["createdAt"] == rows[by_rest]["createdAt"] < row["updatedAt"]


async def test_an_import_keeps_its_times_of_creation() -> None:
    async with opened(an_app(Timestamps("Page"))) as doors:
        line = b'{"title":"old","owner":"ann","createdAt":"2001-01-01T00:00:00Z"}\n'
        kind = {"Content-Type": "application/x-ndjson"}
        assert (await doors.send("admin", "POST", "/api/import/Page", headers=kind, content=line)).status_code == 200
        assert [row["createdAt"] for row in await doors.rows("admin", "Page")] == ["2001-01-01T00:00:00Z"]


# -- soft delete -------------------------------------------------------------------------------------------------


async def _by_rest(doors: Doors, row_id: str) -> None:
    assert (await doors.json("ann", "DELETE", f"/api/entities/Page/{row_id}")) == {"deleted": True}


async def _by_push(doors: Doors, row_id: str) -> None:
    assert (await doors.push("ann", "delete", "Page", row_id))["applied"] == 1


async def _by_function(doors: Doors, row_id: str) -> None:
    assert await doors.json("ann", "POST", "/api/fn/remove", {"entity": "Page", "row": row_id})


async def _by_batch(doors: Doors, row_id: str) -> None:
    body = {"operations": [{"op": "delete", "entity": "Page", "id": row_id}]}
    assert (await doors.json("admin", "POST", "/api/batch", body))["succeeded"] == 1


@pytest.mark.parametrize("door", [_by_rest, _by_push, _by_function, _by_batch])
async def test_a_deleted_row_is_gone_for_its_readers_and_comes_back(door: Any) -> None:
    async with opened(an_app(SoftDelete("Page"))) as doors:
        row_id = await doors.add("ann", "Page", title="a")
        await door(doors, row_id)
        assert await ids(doors, "ann", "Page") == []
        assert "error" in await doors.row("ann", "Page", row_id)
        assert (await doors.json("ann", "GET", "/api/entities/Page/count"))["count"] == 0
        assert await doors.code("ann", "PATCH", f"/api/entities/Page/{row_id}", {"title": "b"}) == "POLICY_DENIED"
        assert (await doors.row("admin", "Page", row_id))["deletedAt"] > "2026"  # the bin
        pulled = await doors.json("ann", "GET", "/api/sync/pull?since=1")
        assert [change["kind"] for change in pulled["changes"]] == ["delete"]
        restore = f"/api/entities/Page/{row_id}/restore"
        assert await doors.code("bob", "POST", restore) == "POLICY_DENIED"
        assert await doors.json("ann", "POST", restore) == {"restored": True}
        assert await doors.json("ann", "POST", restore) == {"restored": True}
        assert (await doors.row("ann", "Page", row_id))["title"] == "a"


async def test_a_live_replica_sees_the_delete_and_the_return() -> None:
    async with opened(an_app(SoftDelete(Page))) as doors:
        row_id = await doors.add("ann", "Page", title="a")
        options = {"app": doors.server.app, "token": doors.tokens["ann"], "backoff": QUICK}
        async with AsyncClient("http://test", **options) as client, client.replica() as replica:
            await until(lambda: [row.id for row in replica.rows(Page)] == [row_id])
            await _by_rest(doors, row_id)
            await until(lambda: replica.rows(Page) == [])
            await doors.json("ann", "POST", f"/api/entities/Page/{row_id}/restore")
            await until(lambda: [row.id for row in replica.rows(Page)] == [row_id])


async def test_the_delete_policy_still_decides_and_who_may_not_delete_learns_nothing() -> None:
    async with opened(an_app(SoftDelete("Page"))) as doors:
        row_id = await doors.add("ann", "Page", title="a", public=True)
        path = f"/api/entities/Page/{row_id}"
        assert await doors.code("bob", "DELETE", path) == "POLICY_DENIED"
        await _by_rest(doors, row_id)
        for method in ("DELETE", "PATCH", "GET"):
            gone = await doors.json("ann", method, path, {"title": "x"} if method == "PATCH" else None)
            missing = await doors.json(
                "ann", method, f"/api/entities/Page/{'0' * 40}", {} if method == "PATCH" else None
            )
            assert gone["error"]["code"] == missing["error"]["code"], method


async def test_soft_delete_opens_nothing_that_was_closed() -> None:
    async with opened(an_app(SoftDelete("Closed", "Page"))) as doors:
        assert await doors.code("ann", "GET", "/api/entities/Closed") == "POLICY_DENIED"
        assert await doors.code("ann", "POST", "/api/entities/Closed", {"title": "x"}) == "POLICY_DENIED"
        assert await doors.code("ann", "POST", f"/api/entities/Closed/{'0' * 40}/restore") == "POLICY_DENIED"
        row = {"title": "x", "deletedAt": "2001-01-01T00:00:00Z"}
        assert await doors.code("ann", "POST", "/api/entities/Page", row) == "POLICY_DENIED"


async def test_deleting_from_the_bin_is_for_good() -> None:
    async with opened(an_app(SoftDelete("Page"))) as doors:
        row_id = await doors.add("ann", "Page", title="a")
        for _ in range(2):
            await doors.json("admin", "DELETE", f"/api/entities/Page/{row_id}")
        assert await ids(doors, "admin", "Page") == []


async def test_the_bin_is_emptied_by_time() -> None:
    plugin = SoftDelete("Page", purge_days=30)
    async with opened(an_app(plugin)) as doors:
        old, new = [await doors.add("ann", "Page", title=title) for title in ("old", "new")]
        for row_id in (old, new):
            await _by_rest(doors, row_id)
        long_ago = iso_millis(doors.server.engine.now() - timedelta(days=31))
        await doors.json("admin", "PATCH", f"/api/entities/Page/{old}", {"deletedAt": long_ago})
        server = plugin._server
        assert server is not None
        assert await server.write(plugin._purge_some) == 1
        assert await ids(doors, "admin", "Page") == [new]


# -- slugify -----------------------------------------------------------------------------------------------------


async def test_slugs_are_unique_whoever_makes_them() -> None:
    async with opened(an_app(Slugify("Team", "name"))) as doors:
        await doors.add("ann", "Team", name="Café Résumé")
        await doors.push("ann", "insert", "Team", "_pending_1", {"name": "Café  résumé!"})
        inserts = [{"op": "insert", "entity": "Team", "data": {"name": "cafe-resume"}}] * 2
        await doors.json("admin", "POST", "/api/transact", inserts)
        await doors.add("ann", "Team", name="x", slug="own")
        await doors.add("ann", "Team", name="???")
        slugs = [row["slug"] for row in await doors.rows("ann", "Team")]
        assert slugs == ["cafe-resume", "cafe-resume-2", "cafe-resume-3", "cafe-resume-4", "own", "row"]


async def test_after_many_of_a_name_a_random_suffix_is_taken() -> None:
    async with opened(an_app(Slugify("Team", "name"))) as doors:
        inserts = [{"op": "insert", "entity": "Team", "data": {"name": "Same"}}] * 55
        answer = await doors.json("admin", "POST", "/api/transact", inserts)
        assert answer["committed"]
        assert len({row["slug"] for row in await doors.rows("ann", "Team")}) == 55


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Hello, World", "hello-world"),
        ("  a__b--c ", "a-b-c"),
        ("Größe ẞ", "große-ß"),
        ("日本 語", "日本-語"),
        ("!", ""),
    ],
)
def test_a_slug_is_readable(text: str, slug: str) -> None:
    assert slug_of(text) == slug


# -- validation --------------------------------------------------------------------------------------------------

RULES = {
    "title": Rule(min_length=3, max_length=20, not_empty=True),
    "body": Rule(pattern=r"[a-z ]*"),
    "words": Rule(min=1, max=10),
    "secret": Rule(email=True, check=lambda value: "must not be spam" if value == "spam@x.org" else None),
}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"title": "ab"}, "Page.title: must be at least 3 characters"),
        ({"title": "a" * 21}, "Page.title: must be at most 20 characters"),
        ({"title": "   "}, "Page.title: must not be empty"),
        ({"title": "good", "body": "No"}, "Page.body: must match pattern: [a-z ]*"),
        ({"title": "good", "words": 0}, "Page.words: must be at least 1"),
        ({"title": "good", "words": 11}, "Page.words: must be at most 10"),
        ({"title": "good", "secret": "me@localhost"}, "Page.secret: must be a valid email address"),
        ({"title": "good", "secret": "spam@x.org"}, "Page.secret: must not be spam"),
    ],
)
async def test_what_breaks_a_rule_is_refused_and_named(row: dict[str, Any], message: str) -> None:
    async with opened(an_app(Validation({Page: RULES}))) as doors:
        answer = await doors.send("admin", "POST", "/api/entities/Page", row | {"owner": "ann"})
        assert answer.status_code == 400
        problem = answer.json()["error"]
        assert (problem["code"], problem["message"]) == ("VALIDATION_FAILED", message)
        assert f"Page.{problem['field']}: " in message


async def test_rules_hold_at_every_door_and_for_patches() -> None:
    async with opened(an_app(Validation({"Page": {"title": {"min_length": 3}}}))) as doors:
        row_id = await doors.add("ann", "Page", title="good")
        assert await doors.code("ann", "PATCH", f"/api/entities/Page/{row_id}", {"title": "x"}) == "VALIDATION_FAILED"
        assert await doors.code("ann", "POST", "/api/fn/add_page", {"title": "x"}) == "VALIDATION_FAILED"
        assert "must be at least 3" in str(await doors.push("ann", "update", "Page", row_id, {"title": "x"}))
        assert await doors.code("ann", "PATCH", f"/api/entities/Page/{row_id}", {"body": "x"}) is None


def test_a_rule_for_what_is_not_there_refuses_to_start() -> None:
    with pytest.raises(DeclarationError, match="titel"):
        an_app(Validation({"Page": {"titel": Rule()}})).spec()
    with pytest.raises(DeclarationError, match="pattern"):
        an_app(Validation({"Page": {"title": Rule(pattern="(")}})).spec()


# -- computed ----------------------------------------------------------------------------------------------------


async def test_computed_fields_follow_the_row_at_every_door() -> None:
    plugin = Computed(Page, words=lambda row: len(row.body.split()))
    async with opened(an_app(plugin)) as doors:
        row_id = await doors.add("ann", "Page", title="a", body="one two", words=99)
        assert (await doors.row("ann", "Page", row_id))["words"] == 2
        await doors.push("ann", "update", "Page", row_id, {"body": "one"})
        assert (await doors.row("ann", "Page", row_id))["words"] == 1
        await doors.send("ann", "PATCH", f"/api/entities/Page/{row_id}", {"words": 7})
        assert (await doors.row("ann", "Page", row_id))["words"] == 1
        await doors.json("ann", "POST", "/api/fn/add_page", {"title": "b", "body": "x y z"})
        found = await doors.json("ann", "POST", "/api/query/Page", {"words": {"$gt": 2}})
        assert [row["title"] for row in found] == ["b"]


# -- cascade -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["rest", "push", "function"])
async def test_what_is_below_a_row_goes_with_it(door: str) -> None:
    async with opened(an_app(Cascade((Team, Member, "team"), ("Member", "Member", "above")))) as doors:
        team, other = [await doors.add("ann", "Team", name=name) for name in "ab"]
        boss = await doors.add("ann", "Member", team=team, user="boss")
        await doors.add("ann", "Member", team=other, user="below", above=boss)
        kept = await doors.add("ann", "Member", team=other, user="kept")
        if door == "rest":
            await doors.json("ann", "DELETE", f"/api/entities/Team/{team}")
        elif door == "push":
            await doors.push("ann", "delete", "Team", team)
        else:
            await doors.json("ann", "POST", "/api/fn/remove", {"entity": "Team", "row": team})
        assert await ids(doors, "ann", "Team") == [other]
        assert await ids(doors, "ann", "Member") == [kept]


async def test_a_circle_and_a_long_chain_are_no_trouble_and_too_many_are_refused() -> None:
    async with opened(an_app(Cascade((Member, Member, "above"), limit=100))) as doors:
        team = await doors.add("ann", "Team", name="a")
        chain = [await doors.add("ann", "Member", team=team, user="0")]
        for number in range(1, 70):
            chain.append(await doors.add("ann", "Member", team=team, user=str(number), above=chain[-1]))
        await doors.send("ann", "PATCH", f"/api/entities/Member/{chain[0]}", {"above": chain[-1]})
        await doors.json("ann", "DELETE", f"/api/entities/Member/{chain[30]}")
        assert await ids(doors, "ann", "Member") == []
        root = await doors.add("ann", "Member", team=team, user="root")
        below = [{"op": "insert", "entity": "Member", "data": {"team": team, "user": "x", "above": root}}] * 101
        await doors.json("admin", "POST", "/api/transact", below)
        assert await doors.code("ann", "DELETE", f"/api/entities/Member/{root}") == "DELETE_FAILED"
        assert len(await ids(doors, "ann", "Member")) == 102


async def test_a_parent_that_may_not_be_deleted_keeps_its_children() -> None:
    async with opened(an_app(Cascade((Page, Member, "user")))) as doors:
        page = await doors.add("ann", "Page", title="a", public=True)
        team = await doors.add("ann", "Team", name="a")
        member = await doors.add("ann", "Member", team=team, user=page)
        assert await doors.code("bob", "DELETE", f"/api/entities/Page/{page}") == "POLICY_DENIED"
        assert await ids(doors, "ann", "Member") == [member]


async def test_rows_that_soft_delete_keeps_are_kept_in_a_cascade() -> None:
    async with opened(an_app(SoftDelete("Team", "Member"), Cascade((Team, Member, "team")))) as doors:
        team = await doors.add("ann", "Team", name="a")
        member = await doors.add("ann", "Member", team=team, user="x")
        await doors.json("ann", "DELETE", f"/api/entities/Member/{member}")
        first = (await doors.row("admin", "Member", member))["deletedAt"]
        await doors.json("ann", "DELETE", f"/api/entities/Team/{team}")
        assert (await doors.row("admin", "Member", member))["deletedAt"] == first
        assert (await doors.row("admin", "Team", team))["deletedAt"]


# -- versioning --------------------------------------------------------------------------------------------------


async def versions(doors: Doors, who: str | None, row_id: str) -> Any:
    return (await doors.json(who, "GET", f"/api/entities/Page/{row_id}/versions")).get("versions")


async def test_each_state_of_a_row_is_kept_and_comes_back() -> None:
    async with opened(an_app(Versioning("Page"))) as doors:
        row_id = await doors.add("ann", "Page", title="one", body="text")
        await doors.send("ann", "PATCH", f"/api/entities/Page/{row_id}", {"title": "two"})
        await doors.push("ann", "update", "Page", row_id, {"title": "three"})
        await doors.json("bob", "POST", "/api/fn/retitle", {"page": row_id, "title": "four"})
        found = await versions(doors, "ann", row_id)
        told = [(v["version"], v["data"]["title"], v["changedBy"]) for v in found]
        assert told == [(4, "four", "bob"), (3, "three", "ann"), (2, "two", "ann"), (1, "one", "ann")]
        assert "secret" not in found[0]["data"]
        one = f"/api/entities/Page/{row_id}/versions/1"
        assert (await doors.json("ann", "GET", one))["data"]["title"] == "one"
        assert await doors.code("bob", "POST", f"{one}/restore") in ("POLICY_DENIED", "NOT_FOUND")
        assert await doors.json("ann", "POST", f"{one}/restore") == {"restored": True, "version": 1}
        assert (await doors.row("ann", "Page", row_id))["title"] == "one"
        assert [v["version"] for v in await versions(doors, "ann", row_id)] == [5, 4, 3, 2, 1]
        for wrong in ("99", "x", "-1"):
            assert await doors.code("ann", "GET", f"/api/entities/Page/{row_id}/versions/{wrong}") == "NOT_FOUND"


async def test_history_shows_only_states_that_the_reader_may_read() -> None:
    async with opened(an_app(Versioning("Page"))) as doors:
        row_id = await doors.add("ann", "Page", title="private draft")
        assert await versions(doors, "bob", row_id) is None
        await doors.send("ann", "PATCH", f"/api/entities/Page/{row_id}", {"title": "published", "public": True})
        assert [v["data"]["title"] for v in await versions(doors, "bob", row_id)] == ["published"]
        assert await doors.code("bob", "GET", f"/api/entities/Page/{row_id}/versions/1") == "NOT_FOUND"
        assert await doors.code("bob", "POST", f"/api/entities/Page/{row_id}/versions/1/restore") == "NOT_FOUND"
        assert await doors.code("bob", "GET", "/api/entities/RowVersion") == "POLICY_DENIED"
        assert "data" not in (await doors.rows("admin", "RowVersion"))[0]


async def test_only_so_many_versions_are_kept_and_none_of_a_row_that_is_gone() -> None:
    async with opened(an_app(Versioning("Page", keep=3))) as doors:
        row_id = await doors.add("ann", "Page", title="0")
        for number in range(1, 6):
            await doors.send("ann", "PATCH", f"/api/entities/Page/{row_id}", {"title": str(number)})
        assert [v["version"] for v in await versions(doors, "ann", row_id)] == [6, 5, 4]
        await doors.json("ann", "DELETE", f"/api/entities/Page/{row_id}")
        assert await doors.rows("admin", "RowVersion") == []


async def test_a_version_is_undone_with_its_write() -> None:
    async with opened(an_app(Versioning("Page"))) as doors:
        operations = [
            {"op": "insert", "entity": "Page", "data": {"title": "x", "owner": "ann"}},
            {"op": "insert", "entity": "Page", "data": {"nope": 1}},
        ]
        assert not (await doors.json("admin", "POST", "/api/transact", operations))["committed"]
        assert await doors.rows("admin", "RowVersion") == []


# -- feature flags -----------------------------------------------------------------------------------------------


async def test_flags_are_told_as_they_stand_for_the_caller() -> None:
    async with opened(an_app(FeatureFlags(prefix="ui."))) as doors:
        for name, flag in {"ui.new": {"users": ["ann"]}, "ui.all": {"on": True}, "ops.x": {"on": True}}.items():
            await doors.json("admin", "PUT", f"/api/admin/flags/{name}", flag)
        assert await doors.json("ann", "GET", "/api/flags") == {"flags": {"ui.all": True, "ui.new": True}}
        assert await doors.json(None, "GET", "/api/flags") == {"flags": {"ui.all": True, "ui.new": False}}


async def test_all_of_them_together() -> None:
    plugins = [
        Timestamps("Page", "Team"),
        SoftDelete("Page", "Team"),
        Slugify("Team", "name"),
        Versioning("Page"),
        Validation({"Page": {"title": Rule(not_empty=True)}}),
        Computed("Page", words=lambda row: len(row.body.split())),
        Cascade((Team, Member, "team")),
        FeatureFlags(),
    ]
    async with opened(an_app(*plugins)) as doors:
        row_id = await doors.add("ann", "Page", title="a", body="b c")
        await doors.json("ann", "DELETE", f"/api/entities/Page/{row_id}")
        await doors.json("ann", "POST", f"/api/entities/Page/{row_id}/restore")
        row = await doors.row("ann", "Page", row_id)
        assert (row["words"], row["deletedAt"]) == (2, None)
        assert datetime.fromisoformat(row["updatedAt"]) <= doors.server.engine.now()
        assert [v["version"] for v in await versions(doors, "ann", row_id)] == [3, 1]
        draft = await doors.add("ann", "Draft", body="untouched")
        assert (await doors.row("ann", "Draft", draft))["body"] == "untouched"
        assert await doors.json("ann", "POST", "/api/fn/add_page", {"title": "t"})
        await doors.server.engine.run(SYSTEM, lambda tx: None)
