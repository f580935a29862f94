"""The offline queue's door: every change by itself, each once, under the pusher's own rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.sync.push import Push
from pylon.testing.engine import open_engine
from tests.conftest import ALICE, BOB, NOBODY


def change(kind: str, row_id: str = "_pending_1", data: Any = None, op_id: str | None = None) -> dict[str, Any]:
    entry = {"entity": "Note", "row_id": row_id, "kind": kind, "op_id": op_id, "data": data}
    return {key: value for key, value in entry.items() if value is not None}


async def push(door: Push, caller: Caller, *changes: dict[str, Any], client: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"changes": list(changes)}
    if client:
        body["client_id"] = client
    answer: dict[str, Any] = json.loads(await door.push(caller, json.dumps(body).encode()))
    return answer


async def test_each_change_has_its_result_and_a_failure_stops_nobody(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        answer = await push(
            Push(engine),
            ALICE,
            change("insert", data={"title": "a"}, op_id="op2"),
            change("update", "nosuch", {"title": "b"}, op_id="op3"),
            change("insert", data={"title": "c"}),
        )
        assert (answer["applied"], answer["deduped"], answer["cursor"]) == (2, 0, {"last_seq": 2})
        assert answer["errors"] == ["update Note/nosuch: Access denied by policy"]
        first, second, third = answer["results"]
        assert (first["status"], first["seq"], first["op_id"]) == ("applied", 1, "op2")
        assert len(first["row_id"]) == 40
        assert (second["status"], second["error"]["code"]) == ("error", "POLICY_DENIED")
        assert (third["status"], third["op_id"]) == ("applied", None)


async def test_a_replay_answers_with_the_row_of_the_first_time_also_after_a_restart(
    notes: AppSpec, tmp_path: Path
) -> None:
    async with open_engine(notes, tmp_path) as engine:
        first = await push(Push(engine), ALICE, change("insert", data={"title": "a"}, op_id="op1"))
    async with open_engine(notes, tmp_path) as engine:
        again = await push(Push(engine), ALICE, change("insert", data={"title": "a"}, op_id="op1"))
        assert (again["applied"], again["deduped"], again["errors"]) == (1, 1, [])
        assert again["results"][0]["status"] == "replayed"
        assert again["results"][0]["row_id"] == first["results"][0]["row_id"]
        assert again["results"][0]["seq"] == first["results"][0]["seq"]
        assert engine.reads.log_head() == 1


async def test_op_ids_are_nobody_elses(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        door = Push(engine)
        await push(door, ALICE, change("insert", data={"title": "a"}, op_id="op1"))
        bobs = await push(door, BOB, change("insert", data={"title": "b"}, op_id="op1"))
        assert bobs["results"][0]["status"] == "applied"


async def test_the_same_op_twice_in_one_batch_is_one_write(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        twice = change("insert", data={"title": "a"}, op_id="op1")
        answer = await push(Push(engine), ALICE, twice, twice)
        assert [result["status"] for result in answer["results"]] == ["applied", "replayed"]
        assert answer["results"][0]["row_id"] == answer["results"][1]["row_id"]


async def test_a_failed_op_is_tried_again(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        door = Push(engine)
        failed = await push(door, ALICE, change("insert", data={"n": 1}, op_id="op1"))
        assert failed["results"][0]["error"]["code"] == "INSERT_FAILED"
        mended = await push(door, ALICE, change("insert", data={"n": 1, "title": "x"}, op_id="op1"))
        assert mended["results"][0]["status"] == "applied"


async def test_a_client_made_id_lets_later_changes_refer_to_the_row(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        row_id = "ab" * 20
        answer = await push(
            Push(engine),
            ALICE,
            change("insert", data={"id": row_id, "title": "a"}),
            change("update", row_id, {"title": "b"}),
            change("delete", row_id),
        )
        assert [result["status"] for result in answer["results"]] == ["applied"] * 3
        assert [result["seq"] for result in answer["results"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (change("insert"), "INVALID_DATA"),
        (change("update", "ab" * 20), "INVALID_DATA"),
        (change("insert", data={"title": 5}), "INVALID_DATA"),
        (change("insert", data={"title": "x", "nope": 1}), "INVALID_COLUMN"),
        (change("insert", data={"title": "x", "id": "short"}), "INVALID_ID"),
        (change("insert", data={"title": "x"}, op_id="o" * 2000), "INVALID_DATA"),
        ({**change("insert", data={}), "entity": "Nope"}, "POLICY_DENIED"),
    ],
)
async def test_a_bad_change_is_its_own_error(notes: AppSpec, tmp_path: Path, sent: dict[str, Any], code: str) -> None:
    async with open_engine(notes, tmp_path) as engine:
        answer = await push(Push(engine), ALICE, sent)
        assert answer["results"][0]["error"]["code"] == code
        assert engine.reads.log_head() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"changes":5}',
        b'{"changes":[{"entity":"Note"}]}',
        b'{"changes":[{"entity":"Note","row_id":"x","kind":"upsert"}]}',
        b"\xff",
        b'{"changes":[' + b"[" * 500 + b"]" * 500 + b"]}",
    ],
)
async def test_a_body_that_is_no_push_is_invalid_json(notes: AppSpec, tmp_path: Path, body: bytes) -> None:
    async with open_engine(notes, tmp_path) as engine:
        with pytest.raises(PylonError) as refused:
            await Push(engine).push(ALICE, body)
        assert refused.value.code == "INVALID_JSON"


async def test_an_anonymous_pusher_is_kept_apart_by_its_client_id(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        answer = await push(Push(engine), NOBODY, change("insert", data={"title": "x"}), client="c1")
        assert answer["results"][0]["error"]["code"] == "OWNER_REQUIRED"


async def test_a_long_push_is_applied_in_order(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        answer = await push(Push(engine), ALICE, *[change("insert", data={"title": str(i)}) for i in range(1200)])
        assert answer["applied"] == 1200
        assert [result["seq"] for result in answer["results"]] == list(range(1, 1201))


# -- clients of the 0.3.x generation -----------------------------------------------------------------------------


async def test_their_batches_are_answered_as_a_prefix_and_what_stays_pending_comes_again(
    notes: AppSpec, tmp_path: Path
) -> None:
    async with open_engine(notes, tmp_path) as engine:
        door = Push(engine)
        queue = [
            change("insert", "_pending_1_a", {"title": "a"}, op_id="m1"),
            change("insert", "_pending_2_b", {"n": 1}, op_id="m2"),
            change("insert", "_pending_3_c", {"title": "c"}, op_id="m3"),
        ]
        answer = await push(door, ALICE, *queue)
        assert (answer["applied"], len(answer["errors"])) == (1, 1)
        assert [result["status"] for result in answer["results"]] == ["applied", "error", "applied"]
        again = await push(door, ALICE, queue[2])
        assert (again["applied"], again["deduped"], again["errors"]) == (1, 1, [])
        assert engine.reads.log_head() == 2


async def test_a_temporary_id_names_the_row_that_it_became_also_after_a_restart(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        answer = await push(
            Push(engine),
            ALICE,
            change("insert", "_pending_1_a", {"title": "a"}, op_id="m1"),
            change("update", "_pending_1_a", {"title": "b"}, op_id="m2"),
        )
        made, changed = answer["results"]
        assert changed["row_id"] == made["row_id"]
    async with open_engine(notes, tmp_path) as engine:
        gone = await push(Push(engine), ALICE, change("delete", "_pending_1_a", op_id="m3"))
        assert gone["results"][0]["row_id"] == made["row_id"]


async def test_a_temporary_id_is_its_makers_alone(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        door = Push(engine)
        await push(door, ALICE, change("insert", "_pending_1_a", {"title": "a"}, op_id="m1"))
        for caller in (BOB, NOBODY):
            stolen = await push(door, caller, change("delete", "_pending_1_a", op_id="m2"))
            assert stolen["results"][0]["error"]["code"] == "POLICY_DENIED"
        forged = await push(door, ALICE, change("delete", "x", op_id="\0Note/_pending_1_a"))
        assert forged["results"][0]["error"]["code"] == "INVALID_DATA"
