"""Backups over HTTP: what there is, take one now, verify one."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.web.admin.body import decode_body
from pylon.web.request import Request, Resource, require_admin


class _Which(msgspec.Struct):
    name: str


class BackupList(Resource):
    """`/api/admin/backups`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The backups in PYLON_BACKUP_TARGET, newest first."""
        require_admin(req)
        resp.data = msgspec.json.encode({"backups": await req.doors.backups.listing()})

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Take one now; answered when it is done."""
        require_admin(req)
        made = await req.doors.backups.take_now(req.caller)
        resp.status = 201
        resp.data = msgspec.json.encode(made)


class BackupCheck(Resource):
    """`/api/admin/backups/verify`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Verify the backup that `{"name"}` names: BACKUP_INVALID tells what is wrong with it."""
        require_admin(req)
        name = decode_body(await req.body(), _Which).name
        verdict = await req.doors.backups.verify(name)
        held = verdict.manifest
        answer = {"name": name, "ok": True, "taken_at": held.taken_at, "seq": held.seq, "rows": verdict.rows}
        resp.data = msgspec.json.encode(answer)


ROUTES: dict[str, object] = {
    "/api/admin/backups": BackupList(),
    "/api/admin/backups/verify": BackupCheck(),
}
