"""Empty the write-ahead log now."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

WAIT_SECONDS = 5.0
MAX_WAIT_SECONDS = 60.0


class CheckpointOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body: for how long to wait for readers of older snapshots."""

    seconds: float = WAIT_SECONDS


class Checkpoint(Resource):
    """`/api/admin/checkpoint`."""

    @describes(dict[str, Any], body=CheckpointOrder, who="admin", errors=("INVALID_DATA", "STORAGE_UNAVAILABLE"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Run one; the readers that kept it from being complete, if any, come with the answer."""
        require_admin(req)
        order = decode_body(await req.body(), CheckpointOrder)
        if not 0 <= order.seconds <= MAX_WAIT_SECONDS:
            raise PylonError("INVALID_DATA", f"seconds is a number from 0 to {MAX_WAIT_SECONDS:.0f}")
        engine = req.doors.engine
        report = await engine.housekeeping.checkpoint(order.seconds)
        readers = [] if report.complete else engine.reads.readers.running()
        await engine.audit.note(
            req.caller,
            "checkpoint.run",
            wal_bytes_before=report.wal_bytes_before,
            wal_bytes_after=report.wal_bytes_after,
            complete=report.complete,
        )
        resp.data = msgspec.json.encode({**msgspec.structs.asdict(report), "readers": readers})


ROUTES: dict[str, object] = {"/api/admin/checkpoint": Checkpoint()}
