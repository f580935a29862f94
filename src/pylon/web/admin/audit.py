"""The audit log over HTTP: search, export, and whether the chain is whole."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.engine.audit.records import KINDS, AuditEntry
from pylon.engine.audit.search import MAX_ENTRIES, AuditFilter, Position
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_millis
from pylon.web.admin.body import moment
from pylon.web.described import Media, describes
from pylon.web.request import Request, Resource, require_admin, whole_number

DEFAULT_LIMIT = 100
_EXPORT_PAGE = 2000
FILTER = dict.fromkeys(("kind", "entity", "row", "user", "ip", "action", "since", "until"), str) | {"limit": int}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "at",
    "kind",
    "user",
    "actor_is_admin",
    "ip",
    "request_id",
    "door",
    "token",
    "action",
    "entity",
    "rows",
    "fields",
    "seq",
    "details",
)


class AuditSearch(Resource):
    """`/api/admin/audit`."""

    @describes({"entries": list[AuditEntry]}, who="admin", query=FILTER, errors=("QUERY_TIMEOUT",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Matching entries, newest first."""
        require_admin(req)
        entries = await req.doors.engine.audit.search(_filter(req))
        resp.data = msgspec.json.encode({"entries": entries})


class AuditVerify(Resource):
    """`/api/admin/audit/verify`."""

    @describes(dict[str, Any], who="admin", query={"expect": str})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Recompute the chain; `expect=ID:HASH` is a head noted earlier."""
        require_admin(req)
        verdict = await req.doors.engine.audit.verify(parse_head(req.get_param("expect")))
        resp.data = msgspec.json.encode(verdict)


class AuditExport(Resource):
    """`/api/admin/audit/export`."""

    @describes(
        Media(("application/x-ndjson", "text/csv")), who="admin", query={**FILTER, "format": Literal["json", "csv"]}
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Everything that matches, newest first, as NDJSON or CSV, streamed in constant memory."""
        require_admin(req)
        form = req.get_param("format") or "json"
        if form not in ("json", "csv"):
            raise PylonError("INVALID_QUERY", "format is json or csv")
        engine, wanted = req.doors.engine, _filter(req)
        if form == "csv":
            resp.content_type, name = "text/csv; charset=utf-8", "audit.csv"
            resp.stream = _exported(engine, wanted, ",".join(COLUMNS).encode() + b"\r\n", _csv)
        else:
            resp.content_type, name = "application/x-ndjson", "audit.ndjson"
            resp.stream = _exported(engine, wanted, b"", _ndjson)
        resp.set_header("Content-Disposition", f'attachment; filename="{name}"')


async def _exported(
    engine: Engine, wanted: AuditFilter, head: bytes, write: Callable[[Iterable[AuditEntry]], bytes]
) -> AsyncIterator[bytes]:
    yield head
    before: Position | None = None
    while True:
        page, before = await engine.audit.page(wanted, before, _EXPORT_PAGE)
        if page:
            yield write(page)
        if before is None:
            return


def _ndjson(entries: Iterable[AuditEntry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def _csv(entries: Iterable[AuditEntry]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for e in entries:
        row = [
            iso_millis(datetime.fromtimestamp(e.at, UTC)),
            e.kind,
            e.user,
            e.actor_is_admin,
            e.ip,
            e.request_id,
            e.door,
            e.token,
            e.action,
            e.entity,
            " ".join(e.rows),
            " ".join(e.fields),
            e.seq or "",
            msgspec.json.encode(e.details).decode() if e.details else "",
        ]
        writer.writerow([_harmless(value) for value in row])
    return text.getvalue().encode()


def _harmless(value: object) -> object:
    """A client chooses row ids and user names: none may become a formula in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def parse_head(text: str | None) -> tuple[int, bytes] | None:
    """`ID:HASH` as a head of the chain. Raises INVALID_QUERY."""
    if not text:
        return None
    number, _, digest = text.partition(":")
    try:
        return int(number), bytes.fromhex(digest)
    except ValueError:
        raise PylonError("INVALID_QUERY", "expect is ID:HASH, as an earlier verification printed it") from None


def _filter(req: Request) -> AuditFilter:
    kinds = frozenset(part for part in (req.get_param("kind") or "write,auth,operator").split(",") if part)
    if not kinds <= frozenset(KINDS):
        raise PylonError("INVALID_QUERY", f"kind is any of {', '.join(KINDS)}, comma-separated")
    return AuditFilter(
        kinds=kinds,
        entity=req.get_param("entity"),
        row=req.get_param("row"),
        user=req.get_param("user"),
        ip=req.get_param("ip"),
        action=req.get_param("action"),
        since=moment(req.get_param("since"), "since"),
        until=moment(req.get_param("until"), "until"),
        limit=min(whole_number(req.get_param("limit"), DEFAULT_LIMIT) or DEFAULT_LIMIT, MAX_ENTRIES),
    )


ROUTES: dict[str, object] = {
    "/api/admin/audit": AuditSearch(),
    "/api/admin/audit/verify": AuditVerify(),
    "/api/admin/audit/export": AuditExport(),
}
