"""Stages take part in every write of their entity, and what they raise leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.engine.plan import EntityPlan
from pylon.engine.stages import Stage
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.sync.push import Push
from pylon.testing.engine import open_engine
from tests.conftest import ALICE, BOB


class Shouting(Stage):
    """Upper-case titles."""

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        row.title = row.title.upper()

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        patch["title"] = patch.get("title", old.title).upper()


class Refusing(Stage):
    """Finds out late that it wants none of it."""

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        if change.row.title.startswith("bad"):
            raise PylonError("INVALID_DATA", "no")


async def test_a_stage_shapes_what_is_written(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        engine.plans["Note"].stages.append(Shouting())
        change = await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert change.row.title == "X"
        updated = await engine.update(ALICE, "Note", change.row_id, b'{"title":"y"}')
        assert updated is not None
        assert updated.row.title == "Y"


async def test_a_row_that_a_stage_refuses_is_not_written(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        engine.plans["Note"].stages.append(Refusing())
        with pytest.raises(PylonError, match="no"):
            await engine.insert(ALICE, "Note", b'{"title":"bad"}')
        body = (
            b'{"changes":[{"entity":"Note","row_id":"_pending_1","kind":"insert","data":{"title":"bad"},"op_id":"1"},'
            b'{"entity":"Note","row_id":"_pending_2","kind":"insert","data":{"title":"good"},"op_id":"2"}]}'
        )
        answer = await Push(engine).push(ALICE, body)
        assert b'"status":"error"' in answer
        rows, count = await engine.reads.rows(ALICE, "Note", engine.reads.filter(ALICE, "Note", {}))
        assert count == 1, rows
        assert engine.reads.log_head() == 1


async def test_the_policy_judges_what_a_stage_made_of_it(notes: AppSpec, tmp_path: Path) -> None:
    class Giving(Stage):
        def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
            row.author = "bob"

    async with open_engine(notes, tmp_path) as engine:
        engine.plans["Note"].stages.append(Giving())
        with pytest.raises(PylonError, match="policy"):
            await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert (await engine.insert(BOB, "Note", b'{"title":"x"}')).row.author == "bob"
