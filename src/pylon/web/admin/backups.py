"""Backups over HTTP: what there is, take one now, verify one."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.ops.backup.schedule import BackupInfo
from pylon.web.admin.body import decode_body
from pylon.web.described import ANYTHING, describes
from pylon.web.request import Request, Resource, require_admin


class BackupName(msgspec.Struct):
    """Which backup."""

    name: str


class BackupList(Resource):
    """`/api/admin/backups`."""

    @describes(
        {"backups": list[BackupInfo]}, who="admin", errors=("BACKUP_NOT_CONFIGURED", "BACKUP_TARGET_UNREACHABLE")
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The backups in PYLON_BACKUP_TARGET, newest first."""
        require_admin(req)
        resp.data = msgspec.json.encode({"backups": await req.doors.backups.listing()})

    @describes(
        BackupInfo,
        who="admin",
        status=201,
        errors=("BACKUP_NOT_CONFIGURED", "BACKUP_TARGET_UNREACHABLE", "BACKUP_RUNNING", "BACKUP_FAILED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Take one now; answered when it is done."""
        require_admin(req)
        made = await req.doors.backups.take_now(req.caller)
        resp.status = 201
        resp.data = msgspec.json.encode(made)


class BackupCheck(Resource):
    """`/api/admin/backups/verify`."""

    @describes(
        {"name": str, "ok": Literal[True], "taken_at": ANYTHING, "seq": int, "rows": dict[str, int]},
        body=BackupName,
        who="admin",
        errors=(
            "INVALID_DATA",
            "BACKUP_NOT_CONFIGURED",
            "BACKUP_TARGET_UNREACHABLE",
            "BACKUP_NOT_FOUND",
            "BACKUP_INVALID",
            "BACKUP_TOO_NEW",
            "BACKUP_KEY_REFUSED",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Verify the backup that `{"name"}` names: BACKUP_INVALID tells what is wrong with it."""
        require_admin(req)
        name = decode_body(await req.body(), BackupName).name
        verdict = await req.doors.backups.verify(name)
        held = verdict.manifest
        answer = {"name": name, "ok": True, "taken_at": held.taken_at, "seq": held.seq, "rows": verdict.rows}
        resp.data = msgspec.json.encode(answer)


ROUTES: dict[str, object] = {
    "/api/admin/backups": BackupList(),
    "/api/admin/backups/verify": BackupCheck(),
}
