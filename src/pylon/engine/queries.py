"""Reads beyond single lists: counts, sorted cursors, graphs and aggregates, each exactly under the caller's policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pylon.engine.caller import Caller
from pylon.engine.cursors import after_row, read_cursor, write_cursor
from pylon.engine.graph import GraphParser, GraphReader
from pylon.engine.groups import checked_groups
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.reads import CURSOR_MAX, Reads, client_scope
from pylon.model.aggregates import parse_aggregate
from pylon.model.errors import PylonError
from pylon.model.filters import EntityColumns, Query, Scope
from pylon.store.filters import compile_query, filter_sql
from pylon.store.protocol import ReadSession
from pylon.store.selection import Selection


class Queries:
    """The richer reads of one server."""

    def __init__(self, reads: Reads, plans: Plans) -> None:
        self._reads = reads
        self._plans = plans

    async def count(self, caller: Caller, entity: str, selection: Selection) -> int:
        """How many rows match that the caller may read. Raises POLICY_DENIED."""
        reads = self._reads
        plan = reads.plan(caller, entity)
        selected = reads.readable(plan, caller.identity, selection)
        return await reads.read(lambda session: session.count(entity, selected), caller, "count", entity)

    async def cursor(
        self, caller: Caller, entity: str, selection: Selection, after: str, limit: int
    ) -> tuple[list[bytes], bool, str | None]:
        """Up to `limit` of the selected rows behind the cursor `after` (empty: from the start): the JSON rows, whether
        there are more, and the cursor of the last one. Ordered by id alone a cursor is an id. Raises
        CURSOR_INVALID."""
        reads = self._reads
        plan = reads.plan(caller, entity)
        limit = min(limit, CURSOR_MAX)
        order = selection.order
        if after:
            position = read_cursor(plan, order, after)
            text, parameters = filter_sql(after_row(plan, order, position), prefix="c")
            selection = selection.narrowed(text, parameters)
        selected = reads.readable(plan, caller.identity, replace(selection, limit=limit + 1))
        columns = tuple(name for name, _ in order)
        found = await reads.read(
            lambda session: session.select_parts(entity, selected, columns), caller, "cursor", entity
        )
        page = found[:limit]
        reads.shown(caller, plan, [row[0] for row in page])
        last = write_cursor(order, page[-1][2:]) if page else None
        return [row[1] for row in page], len(found) > limit, last

    async def graph(self, caller: Caller, spec: Any) -> bytes:
        """The answer of a graph query (`engine.graph`). Raises INVALID_QUERY, INVALID_COLUMN, RELATION_NOT_FOUND,
        QUERY_FAILED, POLICY_DENIED, ENTITY_NOT_FOUND, MAINTENANCE."""
        reads, identity = self._reads, caller.identity
        parser = GraphParser(self._plans, lambda name: reads.plan(caller, name), client_scope(identity))
        nodes = parser.graph(spec)
        tops = {
            name: reads.readable(
                node.plan,
                identity,
                reads.capped(reads.matching(node.plan, node.selection, node.search, is_ordered=node.is_ordered)),
            )
            for name, node in nodes.items()
        }

        def readable(plan: EntityPlan, selection: Selection) -> Selection | None:
            try:
                return reads.readable(reads.plan(caller, plan.name), identity, selection)
            except PylonError as error:
                if error.code == "POLICY_DENIED":
                    return None
                raise

        def read(session: ReadSession) -> tuple[bytes, GraphReader]:
            with session.snapshot():
                reader = GraphReader(session, readable, reads.row_limit)
                parts = [b'"%b":%b' % (name.encode(), reader.top(node, tops[name])) for name, node in nodes.items()]
            return b"{%b}" % b",".join(parts), reader

        what = ", ".join(nodes)
        if any(node.includes for node in nodes.values()):
            answer, reader = await reads.read_pooled(read, caller, "graph", what)
        else:
            answer, reader = await reads.read(read, caller, "graph", what)
        for plan, row_ids in reader.shown:
            reads.shown(caller, plan, row_ids)
        return answer

    async def aggregate(self, caller: Caller, entity: str, spec: Any) -> bytes:
        """The groups as a JSON array. Raises INVALID_QUERY, INVALID_COLUMN, QUERY_FAILED, POLICY_DENIED."""
        reads = self._reads
        plan = reads.plan(caller, entity)
        reads.readable(plan, caller.identity, Selection())  # who may read nothing learns nothing of the columns
        aggregate = parse_aggregate(
            EntityColumns(plan.types, Scope.CLIENT), EntityColumns(plan.types, client_scope(caller.identity)), spec
        )
        selection = reads.readable(plan, caller.identity, compile_query(Query(aggregate.where)))
        rows, count = await reads.read(
            lambda session: session.aggregate_json(entity, selection, aggregate, reads.row_limit + 1),
            caller,
            "aggregate",
            entity,
        )
        return checked_groups(rows, count, reads.row_limit)
