"""Exporting rows: page after page by id, so that no long read holds the write-ahead log up; memory stays flat."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.store.protocol import ReadSession
from pylon.store.selection import Selection

PAGE_ROWS = 1_000
_PAGE_SECONDS = 30.0


class Columns(enum.StrEnum):
    """Which fields of a row are exported: what clients may see, or the serverOnly ones as well."""

    PUBLIC = "public"
    ALL = "all"


async def pages(engine: Engine, caller: Caller, plan: EntityPlan, columns: Columns) -> AsyncIterator[list[bytes]]:
    """An entity's rows as JSON objects, in the order of their ids. Rows written meanwhile are in it or not; what must
    be of one moment is a backup's."""
    after = ""
    read = _whole_rows if columns is Columns.ALL else _public_rows
    while True:
        selection = Selection(("t.id > :after",), {"after": after}, limit=PAGE_ROWS)
        page = await engine.reads.run(
            lambda session, selection=selection: read(session, plan, selection),  # type: ignore[misc]
            _PAGE_SECONDS,
            caller=caller,
            what=f"export {plan.name}",
        )
        if page:
            engine.gate.shown(caller, plan, [row_id for row_id, _ in page])
            yield [row for _, row in page]
        if len(page) < PAGE_ROWS:
            return
        after = page[-1][0]


def _public_rows(session: ReadSession, plan: EntityPlan, selection: Selection) -> list[tuple[str, bytes]]:
    types = plan.types
    if types.seals is None:
        return [(row_id, row) for row_id, row in session.select_parts(plan.name, selection, ())]
    # What is encrypted at rest is so in a file as well.
    shown = [name for name in types.columns if name not in plan.hidden]
    rows = [types.load_sealed(values) for values in session.select(plan.name, selection)]
    return [(row.id, msgspec.json.encode({name: getattr(row, name) for name in shown})) for row in rows]


def _whole_rows(session: ReadSession, plan: EntityPlan, selection: Selection) -> list[tuple[str, bytes]]:
    types = plan.types
    rows = [types.load_sealed(values) for values in session.select(plan.name, selection)]
    return [(row.id, msgspec.json.encode(row)) for row in rows]
