"""The offline queue's door (spec 02 §6): independent changes, each through the write path, each once.

An op-id is stored with the write it made, in the same commit, by principal: a replay answers with the row and seq of
the first time, also after a restart, and nobody can replay or probe another's.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.rows import check_nesting, invalid_json
from pylon.store.protocol import OpRecord

CHUNK = 200
"""Changes in one operation on the writer thread, so that a long push doesn't hold up everybody else."""

MAX_OP_ID = 1000


class PushedChange(msgspec.Struct):
    """One change as clients send it."""

    entity: str
    row_id: str
    kind: Literal["insert", "update", "delete"]
    data: dict[str, Any] | None = None
    op_id: str | None = None


class PushRequest(msgspec.Struct):
    """The body. `client_id` keys the op-ids of callers without a session."""

    changes: list[PushedChange]
    client_id: str | None = None


class _Result(msgspec.Struct):
    change: PushedChange
    status: Literal["applied", "replayed", "error"]
    made: Change | OpRecord | None = None
    error: PylonError | None = None


_decode = msgspec.json.Decoder(PushRequest).decode


class Push:
    """Answers `POST /api/sync/push`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def push(self, caller: Caller, body: bytes) -> bytes:
        """Apply the changes in order; one that fails doesn't stop the rest. Raises INVALID_JSON."""
        try:
            request = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise invalid_json() from None
        check_nesting(body)
        board = self._engine.switches.board
        if not board.is_quiet:
            board.check_sync(caller.identity)
        principal = caller.identity.user_id or f"client:{request.client_id or caller.ip}"
        results: list[_Result] = []
        last_seq = 0
        for start in range(0, len(request.changes), CHUNK):
            chunk = request.changes[start : start + CHUNK]
            outcome = await self._engine.run(caller, lambda tx, chunk=chunk: _apply(tx, principal, chunk))  # type: ignore[misc]
            results += outcome.value
            last_seq = max(last_seq, outcome.seq)
        head = last_seq or self._engine.reads.log_head()
        return msgspec.json.encode(_answer(results, head))


def _apply(transaction: Transaction, principal: str, changes: list[PushedChange]) -> list[_Result]:
    results = []
    for change in changes:
        try:
            results.append(_apply_one(transaction, principal, change))
        except PylonError as error:
            if error.status >= 500:
                raise
            results.append(_Result(change, "error", error=error))
    return results


def _apply_one(transaction: Transaction, principal: str, change: PushedChange) -> _Result:
    op_id = change.op_id
    if op_id is not None:
        if len(op_id) > MAX_OP_ID:
            raise PylonError("INVALID_DATA", f"op_id is longer than {MAX_OP_ID} characters")
        if (earlier := transaction.replayed(principal, op_id)) is not None:
            return _Result(change, "replayed", earlier)
    plan = transaction.plans.for_write(change.entity, transaction.caller.identity)
    made: Change | OpRecord
    if change.kind == "insert":
        if change.data is None:
            raise PylonError("INVALID_DATA", "insert requires data")
        made = transaction.insert(plan, plan.types.convert_insert(change.data))
    elif change.kind == "update":
        if change.data is None:
            raise PylonError("INVALID_DATA", "update requires data")
        patch = plan.types.convert_patch(change.data)
        made = transaction.update(plan, change.row_id, patch) or OpRecord(change.row_id, 0)
    else:
        made = transaction.delete(plan, change.row_id)
    if op_id is not None:
        transaction.remember(principal, op_id, made)
    return _Result(change, "applied", made)


def _answer(results: list[_Result], head: int) -> dict[str, Any]:
    """The answer of spec 02 §6. Replays count as applied, so that older clients clear them (§20.6)."""
    return {
        "applied": sum(r.status != "error" for r in results),
        "cursor": {"last_seq": head},
        "deduped": sum(r.status == "replayed" for r in results),
        "errors": [
            f"{r.change.kind} {r.change.entity}/{r.change.row_id}: {r.error.message}" for r in results if r.error
        ],
        "results": [_entry(r, head) for r in results],
    }


def _entry(result: _Result, head: int) -> dict[str, Any]:
    change = result.change
    entry: dict[str, Any] = {
        "entity": change.entity,
        "kind": change.kind,
        "op_id": change.op_id,
        "row_id": change.row_id if result.made is None else result.made.row_id,
        "status": result.status,
    }
    if result.made is not None:
        entry["seq"] = result.made.seq or head
    if result.error is not None:
        entry["error"] = {"code": result.error.code, "message": result.error.message}
    return entry
