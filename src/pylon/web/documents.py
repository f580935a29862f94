"""Edits of documents over HTTP (spec 02 §10.6)."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.rows import decode_json
from pylon.web.described import ANYTHING, WRITES, describes
from pylon.web.request import Request, Resource


class PushDocument(Resource):
    """`/api/crdt/{entity}/{row_id}`."""

    @describes(
        {"ok": Literal[True]},
        body={"update": str},
        who="session",
        headers=("X-Pylon-Change-Seq",),
        errors=(
            "BAD_PATH",
            "MISSING_UPDATE",
            "INVALID_HEX",
            "NOT_SUPPORTED",
            "ROW_NOT_FOUND",
            "CRDT_DECODE_FAILED",
            "CRDT_APPLY_FAILED",
            "CRDT_OUTDATED",
            "DOCUMENT_TOO_LARGE",
            "POLICY_DENIED",
            *WRITES,
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Merge an edit of a row's document, and write what it makes of the row."""
        caller = msgspec.structs.replace(req.caller, door="crdt")
        if caller.identity.user_id is None:
            raise PylonError("AUTH_REQUIRED", "Authentication required")
        if not row_id:
            raise PylonError("BAD_PATH", "The path is /api/crdt/{entity}/{row id}")
        update = _update(decode_json(await req.body()))
        engine = req.doors.engine
        plan = engine.plans.for_write(entity, caller.identity)
        try:
            outcome = await engine.run(caller, lambda tx: engine.documents.push(tx, plan, row_id, update))
        except PylonError as error:
            if error.code == "NOT_FOUND":
                raise PylonError("ROW_NOT_FOUND", "Row not found") from None
            raise
        resp.data = b'{"ok":true}'
        if outcome.seq:
            resp.set_header("X-Pylon-Change-Seq", str(outcome.seq))


class NoRow(Resource):
    """`/api/crdt/{entity}`: the row is missing."""

    @describes(ANYTHING, who="session", errors=("BAD_PATH",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str = "") -> None:
        """Say so."""
        if req.caller.identity.user_id is None:
            raise PylonError("AUTH_REQUIRED", "Authentication required")
        raise PylonError("BAD_PATH", "The path is /api/crdt/{entity}/{row id}")


def _update(body: object) -> bytes:
    text = body.get("update") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise PylonError("MISSING_UPDATE", 'The body is {"update": "<hex>"}')
    if not text.isascii() or (not text.isalnum() and text):
        raise PylonError("INVALID_HEX", "The update is not hexadecimal")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise PylonError("INVALID_HEX", "The update is not hexadecimal") from None


ROUTES: dict[str, object] = {
    "/api/crdt/{entity}": NoRow(),
    "/api/crdt/{entity}/{row_id:path}": PushDocument(),
}
