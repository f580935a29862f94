"""Many writes in one request, for admins: all or nothing, or each by itself (spec 01 §6.1, §6.2)."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.rows import decode_json, invalid_json
from pylon.web.described import WRITES, describes
from pylon.web.request import Request, Resource, require_admin

MAX_OPERATIONS = 10_000


class Operation(msgspec.Struct):
    """One write as it is described; each is read by itself, so that one that is malformed fails alone."""

    op: Literal["insert", "update", "delete"]
    entity: str
    id: str | None = None
    data: dict[str, Any] | None = None


TRANSACTED = {"committed": bool, "results": list[dict[str, Any]]}


class _FailedOperation(PylonError):
    """Rolls a transact back; carries the results up to and including the failure."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        super().__init__("CONFLICT", "An operation failed; nothing was applied")
        self.results = results


class Transact(Resource):
    """`/api/transact`."""

    @describes(TRANSACTED, body=list[Operation], who="admin", errors=WRITES, refusals={400: TRANSACTED})
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All operations of the array, or none."""
        require_admin(req)
        operations = _operations(decode_json(await req.body()))

        def apply(transaction: Transaction) -> list[dict[str, Any]]:
            results: list[dict[str, Any]] = []
            for operation in operations:
                try:
                    results.append(_apply(transaction, operation))
                except PylonError as error:
                    if error.code == "NOT_FOUND":
                        results.append({"id": operation.get("id"), "op": operation.get("op")})
                        continue
                    if error.status >= 500:
                        raise
                    results.append({"error": error.message, "op": operation.get("op")})
                    raise _FailedOperation(results) from error
            return results

        try:
            outcome = await req.doors.engine.run(req.caller, apply)
            resp.data = msgspec.json.encode({"committed": True, "results": outcome.value})
        except _FailedOperation as failed:
            resp.status = 400
            resp.data = msgspec.json.encode({"committed": False, "results": failed.results})


class BatchWrites(Resource):
    """`/api/batch`."""

    @describes(
        {"failed": int, "succeeded": int, "results": list[dict[str, Any]]},
        body={"operations": list[Operation]},
        who="admin",
        errors=("MISSING_OPERATIONS", *WRITES),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Every operation by itself."""
        require_admin(req)
        body = decode_json(await req.body())
        if not isinstance(body, dict) or not isinstance(body.get("operations"), list):
            raise PylonError("MISSING_OPERATIONS", 'Request body must contain an "operations" array')
        operations = _operations(body["operations"])

        def apply(transaction: Transaction) -> list[dict[str, Any]]:
            return [_attempt(transaction, operation) for operation in operations]

        results = (await req.doors.engine.run(req.caller, apply)).value
        succeeded = sum(result["ok"] for result in results)
        resp.data = msgspec.json.encode(
            {"failed": len(results) - succeeded, "results": results, "succeeded": succeeded}
        )


def _operations(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid_json()
    if len(value) > MAX_OPERATIONS:
        raise PylonError("PAYLOAD_TOO_LARGE", f"At most {MAX_OPERATIONS} operations in one request")
    return value


def _attempt(transaction: Transaction, operation: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**_apply(transaction, operation), "ok": True}
    except PylonError as error:
        if error.status >= 500:
            raise
        result = {"error": error.message, "ok": False, "op": operation.get("op")}
        return result if operation.get("op") == "insert" else {**result, "id": operation.get("id")}


def _apply(transaction: Transaction, operation: dict[str, Any]) -> dict[str, Any]:
    """One operation. An unknown one is told as an error of its own."""
    op, row_id, data = operation.get("op"), operation.get("id"), operation.get("data")
    if op not in ("insert", "update", "delete"):
        raise PylonError("INVALID_DATA", "unknown operation")
    plan = transaction.plans.for_write(str(operation.get("entity")), transaction.caller.identity)
    if op == "insert":
        change = transaction.insert(plan, plan.types.convert_insert(data if data is not None else {}))
        return {"id": change.row_id, "op": op}
    if not isinstance(row_id, str):
        raise PylonError("INVALID_ID", f"{op} needs the id of a row")
    if op == "update":
        transaction.update(plan, row_id, plan.types.convert_patch(data if data is not None else {}))
    else:
        transaction.delete(plan, row_id)
    return {"id": row_id, "op": op}
