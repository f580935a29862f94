"""Partial indexes by a filter: the rows that it matches, and no others, are kept unique."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pylon import App, Entity, index
from pylon.engine.plan import Plans
from pylon.model.diagnostics import DeclarationError
from pylon.model.errors import PylonError
from pylon.model.manifest import from_manifest, to_manifest
from pylon.store.sqlite.database import SqliteStore
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR


class Page(Entity):
    slug: str
    lang: str = "en"
    archived: bool = False
    state: str = "draft"

    indexes = [
        index("slug", "lang", unique=True, where={"archived": False, "state": {"$in": ["it's", "live"]}}),
    ]

    class Policy:
        read = "true"


async def test_only_rows_that_the_condition_matches_are_kept_unique(tmp_path: Path) -> None:
    async with open_engine(App("site", entities=[Page]).spec(), tmp_path) as engine:

        async def make(**values: Any) -> None:
            await engine.insert(ADMINISTRATOR, "Page", msgspec.json.encode({"slug": "a", **values}))

        await make()
        await make()
        await make(state="it's")
        await make(state="it's", archived=True)
        await make(state="live", lang="de")
        for state in ("it's", "live"):
            with pytest.raises(PylonError) as error:
                await make(state=state)
            assert error.value.message.endswith("UNIQUE constraint failed: Page.slug, Page.lang")


def test_a_second_start_finds_the_same_index(tmp_path: Path) -> None:
    spec = App("site", entities=[Page]).spec()
    store = SqliteStore(tmp_path / "pylon.db", {name: plan.types for name, plan in Plans(spec).items()})
    assert store.apply(spec.entities)
    assert store.apply(spec.entities) == []
    assert from_manifest(to_manifest(spec)).entities[0].indexes == spec.entities[0].indexes


@pytest.mark.parametrize("where", [{"nope": 1}, {"slug": {"$near": 1}}, {"archived": {"$like": "x"}}])
def test_a_condition_that_is_no_filter_of_the_entity_is_refused(where: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="index"):

        class Odd(Entity):
            slug: str
            archived: bool = False
            indexes = [index("slug", where=where)]


def test_sql_that_the_database_refuses_is_refused_with_the_index(tmp_path: Path) -> None:
    class Odd(Entity):
        slug: str
        indexes = [index("slug", where="no such thing")]

    spec = App("site", entities=[Odd]).spec()
    store = SqliteStore(tmp_path / "pylon.db", {name: plan.types for name, plan in Plans(spec).items()})
    with pytest.raises(PylonError) as error:
        store.apply(spec.entities)
    assert (error.value.code, "Odd_by_slug" in error.value.message) == ("SCHEMA_REFUSED", True)
