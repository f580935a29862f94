"""The offline queue's door (spec 02 §6): independent changes, each through the write path, each once.

An op-id is stored with the write it made, in the same commit, by principal: a replay answers with the row and seq of
the first time, also after a restart, and nobody can replay or probe another's.

Clients of the 0.3.x generation name rows that they inserted `_pending_…` until they reload, and later changes with it:
which row that became is stored like an op-id. They also take `applied` for a prefix of the batch (spec 02 §16.5); so a
batch of theirs is answered as far as that is true, and what they believe to be still pending comes again as a replay.
"""

from __future__ import annotations

import itertools
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

TEMPORARY = "_pending_"
"""How the row ids begin that older clients give to rows until the server has made the real ones."""


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
        if len(op_id) > MAX_OP_ID or "\0" in op_id:
            raise PylonError("INVALID_DATA", f"op_id has at most {MAX_OP_ID} characters, none of them NUL")
        if (earlier := transaction.replayed(principal, op_id)) is not None:
            return _Result(change, "replayed", earlier)
    plan = transaction.plans.for_write(change.entity, transaction.caller.identity)
    made: Change | OpRecord
    if change.kind == "insert":
        if change.data is None:
            raise PylonError("INVALID_DATA", "insert requires data")
        made = transaction.insert(plan, plan.types.convert_insert(change.data))
        _remember_row(transaction, principal, change, made)
    elif change.kind == "update":
        if change.data is None:
            raise PylonError("INVALID_DATA", "update requires data")
        patch = plan.types.convert_patch(change.data)
        row_id = _real_row(transaction, principal, change)
        made = transaction.update(plan, row_id, patch) or OpRecord(row_id, 0)
    else:
        made = transaction.delete(plan, _real_row(transaction, principal, change))
    if op_id is not None:
        transaction.remember(principal, op_id, made)
    return _Result(change, "applied", made)


def _row_key(change: PushedChange) -> str:
    """Where the row of a temporary id is remembered; no client's op-id begins like this."""
    return f"\0{change.entity}/{change.row_id}"


def _remember_row(transaction: Transaction, principal: str, change: PushedChange, made: Change) -> None:
    if change.row_id.startswith(TEMPORARY) and len(change.row_id) <= MAX_OP_ID:
        key = _row_key(change)
        if transaction.replayed(principal, key) is None:
            transaction.remember(principal, key, made)


def _real_row(transaction: Transaction, principal: str, change: PushedChange) -> str:
    """The row that a change is about: the one that this principal's temporary id became."""
    if change.row_id.startswith(TEMPORARY) and (made := transaction.replayed(principal, _row_key(change))) is not None:
        return made.row_id
    return change.row_id


def _answer(results: list[_Result], head: int) -> dict[str, Any]:
    """The answer of spec 02 §6. Replays count as applied, so that older clients clear them (§20.6)."""
    applied = sum(r.status != "error" for r in results)
    errors = [_sentence(r.change, r.error) for r in results if r.error]
    if errors and _counts_by_prefix(results):
        applied, errors = _prefix(results)
    return {
        "applied": applied,
        "cursor": {"last_seq": head},
        "deduped": sum(r.status == "replayed" for r in results),
        "errors": errors,
        "results": [_entry(r, head) for r in results],
    }


def _counts_by_prefix(results: list[_Result]) -> bool:
    """Whether an older client sent this that can send all of it again."""
    return any(r.change.row_id.startswith(TEMPORARY) for r in results) and all(r.change.op_id for r in results)


def _prefix(results: list[_Result]) -> tuple[int, list[str]]:
    """How many changes were applied before the first that failed, and the errors of those that failed in a row then."""
    applied = next(i for i, r in enumerate(results) if r.error)
    failed = itertools.takewhile(lambda r: r.error is not None, results[applied:])
    return applied, [_sentence(r.change, r.error) for r in failed if r.error]


def _sentence(change: PushedChange, error: PylonError) -> str:
    return f"{change.kind} {change.entity}/{change.row_id}: {error.message}"


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
