"""Import and export for admins (spec 01 §6.3): JSON in one document, NDJSON and CSV as streams of any size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import falcon.asgi
import msgspec

from pylon.engine.bulk.exporting import Columns, pages
from pylon.engine.bulk.importing import Decode, Import, OnError, Progress, Report, progress_of
from pylon.engine.bulk.pieces import batches, split_lines
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.model.csv_rows import header_of, parse_record, reader_of, split_records, write_records
from pylon.model.errors import PylonError
from pylon.model.rows import decode_object
from pylon.model.timestamps import iso_seconds
from pylon.web.described import WRITES, AnyOf, Media, describes
from pylon.web.request import Request, Resource, require_admin, whole_number

_MAX_ID = 200
_INTERNAL = "__internal__"
_NDJSON = "application/x-ndjson"

EXPORTED = {"entities": dict[str, list[dict[str, Any]]], "counts": dict[str, int], "exported_at": str}
IMPORTED = {"by_entity": list[dict[str, Any]], "failed": int, "imported": int}
IMPORT_ERRORS = ("IMPORT_STOPPED", "IMPORT_CONFLICT", "MISSING_FIELD", *WRITES)

E = TypeVar("E", bound=StrEnum)


class Format(StrEnum):
    """How rows stand in a file."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file with rows of several entities."""

    entity: str
    row: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode


# -- export ------------------------------------------------------------------------------------------------------------


class ExportAll(Resource):
    """`/api/export`."""

    @describes(
        (EXPORTED, Media((_NDJSON,))),
        who="admin",
        query={"format": Format, "fields": Columns},
        errors=("AUDIT_UNAVAILABLE",),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Every entity's rows."""
        require_admin(req)
        engine, caller = req.doors.engine, req.caller
        plans = list(engine.plans.values())
        columns = _choice(req, "fields", Columns, Columns.PUBLIC)
        match _choice(req, "format", Format, Format.JSON):
            case Format.CSV:
                raise PylonError("INVALID_QUERY", "CSV holds one entity: name it, /api/export/<entity>?format=csv")
            case Format.NDJSON:
                stream = _lines_of_all(engine, caller, plans, columns)
                resp.content_type = _NDJSON
            case _:
                stream = _document(engine, caller, plans, columns, engine.now())
        await engine.audit.note(caller, "export", "", fields=columns.value)
        resp.stream = stream


class ExportOne(Resource):
    """`/api/export/{entity}`."""

    @describes(
        (EXPORTED, Media((_NDJSON, "text/csv"))),
        who="admin",
        query={"format": Format, "fields": Columns},
        errors=("ENTITY_NOT_FOUND@400", "AUDIT_UNAVAILABLE"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """One entity's rows."""
        require_admin(req)
        engine, caller = req.doors.engine, req.caller
        plan = engine.plans.for_read(entity, caller.identity)
        columns = _choice(req, "fields", Columns, Columns.PUBLIC)
        match _choice(req, "format", Format, Format.JSON):
            case Format.CSV:
                stream = _records(engine, caller, plan, columns)
                resp.content_type = "text/csv; charset=utf-8"
            case Format.NDJSON:
                stream = _lines(engine, caller, plan, columns)
                resp.content_type = _NDJSON
            case _:
                stream = _document(engine, caller, [plan], columns, engine.now())
        await engine.audit.note(caller, "export", plan.name, fields=columns.value)
        resp.stream = stream


async def _document(
    engine: Engine, caller: Caller, plans: list[EntityPlan], columns: Columns, now: datetime
) -> AsyncIterator[bytes]:
    """The document of spec 01 §6.3, piece by piece; its counts come last, once they are known."""
    yield b'{"entities":{'
    counts: dict[str, int] = {}
    for number, plan in enumerate(plans):
        yield b'%b"%b":[' % (b"," if number else b"", plan.name.encode())
        counts[plan.name] = 0
        async for page in pages(engine, caller, plan, columns):
            yield (b"," if counts[plan.name] else b"") + b",".join(page)
            counts[plan.name] += len(page)
        yield b"]"
    at = iso_seconds(now)
    yield b'},"counts":%b,"exported_at":"%b"}' % (msgspec.json.encode(counts), at.encode())


async def _lines(engine: Engine, caller: Caller, plan: EntityPlan, columns: Columns) -> AsyncIterator[bytes]:
    async for page in pages(engine, caller, plan, columns):
        yield b"\n".join(page) + b"\n"


async def _lines_of_all(
    engine: Engine, caller: Caller, plans: list[EntityPlan], columns: Columns
) -> AsyncIterator[bytes]:
    for plan in plans:
        head = b'{"entity":"%b","row":' % plan.name.encode()
        async for page in pages(engine, caller, plan, columns):
            yield b"".join([b"%b%b}\n" % (head, row) for row in page])


async def _records(engine: Engine, caller: Caller, plan: EntityPlan, columns: Columns) -> AsyncIterator[bytes]:
    hidden = set() if columns is Columns.ALL else {f.name for f in plan.spec.fields if f.is_hidden}
    names = [name for name in plan.types.columns if name not in hidden]
    yield header_of(names).encode()
    async for page in pages(engine, caller, plan, columns):
        for text in write_records(names, map(msgspec.json.decode, page)):
            yield text.encode()


# -- import ------------------------------------------------------------------------------------------------------------


class ImportAll(Resource):
    """`/api/import`."""

    @describes(
        AnyOf((Report, IMPORTED)),
        body=({"entities": dict[str, list[dict[str, Any]]]}, Media((_NDJSON,))),
        who="admin",
        query={"format": Format, "on_error": OnError, "import_id": str, "from": int},
        errors=IMPORT_ERRORS,
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The document that an export makes, or its lines as NDJSON."""
        require_admin(req)
        engine = req.doors.engine
        _choice(
            req, "on_error", OnError, OnError.STOP
        )  # the document skips, whatever is asked, as older clients expect
        if _choice(req, "format", Format, Format.JSON) is Format.NDJSON:
            await _import(req, resp, _line_of_any(engine, req.caller), batches(req.pieces(), split_lines))
            return
        entities = decode_object(await req.body()).get("entities")
        if not isinstance(entities, dict):
            raise PylonError("MISSING_FIELD", "Import requires `entities` object")
        await _import_document(req, resp, entities)


class ImportOne(Resource):
    """`/api/import/{entity}`."""

    @describes(
        Report,
        body=Media((_NDJSON, "text/csv")),
        who="admin",
        query={"format": Format, "on_error": OnError, "import_id": str, "from": int},
        errors=IMPORT_ERRORS,
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Rows of one entity, as NDJSON or CSV."""
        require_admin(req)
        plan = req.doors.engine.plans.for_write(entity, req.caller.identity)
        if _choice(req, "format", Format, Format.NDJSON) is not Format.CSV:
            await _import(req, resp, _line_of(plan), batches(req.pieces(), split_lines))
            return
        records = batches(req.pieces(), split_records)
        first: list[bytes] = await anext(records, [])
        if not first:
            raise PylonError("INVALID_DATA", "A CSV file begins with the names of its columns")
        read = reader_of(plan.spec, parse_record(first[0].removeprefix(b"\xef\xbb\xbf")))
        await _import(
            req, resp, lambda record: (plan, plan.types.convert_import(read(record))), _behind(first[1:], records)
        )


class ImportProgress(Resource):
    """`/api/imports/{import_id}`."""

    @describes(Progress, who="admin", errors=("NOT_FOUND",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, import_id: str) -> None:
        """How far an import has come."""
        require_admin(req)
        resp.data = msgspec.json.encode(progress_of(req.doors.engine, import_id))


async def _import(req: Request, resp: falcon.asgi.Response, decode: Decode, source: AsyncIterator[list[bytes]]) -> None:
    import_id = req.get_param("import_id")
    if import_id is not None and not (0 < len(import_id) <= _MAX_ID and import_id.isprintable()):
        raise PylonError("INVALID_QUERY", f"import_id must be 1 to {_MAX_ID} printable characters")
    job = Import(
        req.doors.engine,
        req.caller,
        decode,
        on_error=_choice(req, "on_error", OnError, OnError.STOP),
        import_id=import_id,
        start=whole_number(req.get_param("from"), 0) or 0,
    )
    resp.data = msgspec.json.encode(await job.run(source))


async def _import_document(req: Request, resp: falcon.asgi.Response, entities: dict[str, Any]) -> None:
    """Rows that are refused are counted, as older clients expect it."""
    engine = req.doors.engine
    results = []
    for name, rows in entities.items():
        if not isinstance(rows, list):
            continue
        plan = engine.plans.for_write(name, req.caller.identity)
        pieces = [msgspec.json.encode(_without_internal(row)) for row in rows]
        job = Import(engine, req.caller, _line_of(plan), on_error=OnError.SKIP)
        report = await job.run(batches(_together(pieces), split_lines))
        results.append({"entity": name, "failed": report.failed, "inserted": report.imported})
    failed, imported = sum(r["failed"] for r in results), sum(r["inserted"] for r in results)  # type: ignore[misc]
    resp.data = msgspec.json.encode({"by_entity": results, "failed": failed, "imported": imported})


def _without_internal(row: Any) -> Any:
    return {name: value for name, value in row.items() if name != _INTERNAL} if isinstance(row, dict) else row


def _line_of(plan: EntityPlan) -> Decode:
    types = plan.types
    return lambda line: (plan, types.decode_import(line))


def _line_of_any(engine: Engine, caller: Caller) -> Decode:
    def decode(line: bytes) -> tuple[EntityPlan, Any]:
        try:
            told = _decode_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise PylonError("INVALID_DATA", 'expected {"entity": "<name>", "row": {…}}') from None
        plan = engine.plans.for_write(told.entity, caller.identity)
        return plan, plan.types.decode_import(bytes(told.row))

    return decode


async def _together(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece + b"\n"


async def _behind(first: list[bytes], rest: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
    if first:
        yield first
    async for batch in rest:
        yield batch


def _choice(req: Request, name: str, kind: type[E], default: E) -> E:
    text = req.get_param(name)
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        raise PylonError("INVALID_QUERY", f"{name} is one of {', '.join(kind)}") from None


ROUTES: dict[str, object] = {
    "/api/export": ExportAll(),
    "/api/export/{entity}": ExportOne(),
    "/api/import": ImportAll(),
    "/api/import/{entity}": ImportOne(),
    "/api/imports/{import_id}": ImportProgress(),
}
