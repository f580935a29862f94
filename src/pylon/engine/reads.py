"""The read path: rows as JSON under the caller's policy, which is part of the SQL, so pages and counts are exact.

Small reads run inline on the event loop, on a connection of its own, for at most a millisecond; one that takes longer
is interrupted and run again on the pool, with a time limit. So the common read pays for no thread, and no read holds
the loop. What server code looks up by key has a connection of its own, which no limit of another read interrupts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.limits.gate import Gate
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.readers import Readers
from pylon.engine.search import NoSearch, Search
from pylon.engine.watchdog import Watchdog
from pylon.model.errors import PylonError
from pylon.model.filters import EntityColumns, Scope, parse_fields, parse_query
from pylon.model.identity import Identity
from pylon.policy.sql import Reach, SqliteDialect, SqlRule
from pylon.store.filters import compile_filter, compile_query
from pylon.store.identity import IdentityRows
from pylon.store.protocol import ReadSession, Store
from pylon.store.selection import Selection

T = TypeVar("T")

INLINE_SECONDS = 0.001
CURSOR_MAX = 100
_NO_TIME = datetime.min
"""What a rule is given that doesn't look at the clock."""


class Reads:
    """All reads of one server."""

    def __init__(
        self,
        store: Store,
        plans: Plans,
        watchdog: Watchdog,
        gate: Gate,
        *,
        threads: int,
        time_limit: float,
        row_limit: int,
        readers: Readers | None = None,
        now: Callable[[], datetime],
    ) -> None:
        self._now = now
        self.search: Search = NoSearch()
        self.on_condition: Callable[[EntityPlan], None] | None = None
        self._gate = gate
        self.readers = readers or Readers()
        self._store = store
        self._watchdog = watchdog
        self._plans = plans
        self._inline = store.reader()
        self._points = store.reader()  # apart, since an inline read leaves its time limit behind
        self._time_limit = time_limit
        self.row_limit = row_limit
        self._sessions: list[ReadSession] = []
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pylon-reader", initializer=self._open_session)
        dialect = SqliteDialect()
        self._rules: dict[Reach, dict[str, SqlRule]] = {
            reach: {name: plan.policy.read.sql(dialect, reach=reach) for name, plan in plans.items()} for reach in Reach
        }
        self._scopes: dict[str, SqlRule] = {
            name: plan.scope.sql(dialect) for name, plan in plans.items() if plan.scope is not None
        }
        self.served = 0
        self.moved_to_pool = 0

    def _open_session(self) -> None:
        session = self._store.reader()
        self._local.session = session
        self._sessions.append(session)

    async def get(self, caller: Caller, entity: str, row_id: str, fields: tuple[str, ...] | None = None) -> bytes:
        """One row as JSON, or these fields of it. Raises NOT_FOUND, POLICY_DENIED, ENTITY_NOT_FOUND."""
        plan = self.plan(caller, entity)
        condition, parameters = self._condition(plan, caller.identity, Reach.ROW)
        self.served += 1
        try:
            self._inline.limit(INLINE_SECONDS)
            row = self._inline.get_json(entity, row_id, condition, parameters, fields)
        except PylonError as error:
            if error.code != "QUERY_TIMEOUT":
                raise
            self.moved_to_pool += 1
            row = await self._on_pool(
                lambda session: session.get_json(entity, row_id, condition, parameters, fields), caller, f"get {entity}"
            )
        if row is not None:
            if plan.spec.audit_reads:
                self.shown(caller, plan, (row_id,))
            return row
        if condition is not None:
            raise self._plans.denied(plan.policy.read)
        raise PylonError("NOT_FOUND", f'{entity} with id "{row_id[:100]}" not found')

    async def rows(self, caller: Caller, entity: str, selection: Selection) -> tuple[bytes, int]:
        """The selected rows that the caller may read, as a JSON array, and their number."""
        plan = self.plan(caller, entity)
        selected = self.readable(plan, caller.identity, self.capped(selection))
        if not plan.spec.audit_reads:
            return await self.read(lambda session: session.select_json(entity, selected), caller, "list", entity)
        rows, count, row_ids = await self.read(
            lambda session: session.select_json_and_ids(entity, selected), caller, "list", entity
        )
        self.shown(caller, plan, row_ids)
        return rows, count

    async def page(self, caller: Caller, entity: str, selection: Selection) -> tuple[bytes, int]:
        """The same with the number of all matching rows, both of one state."""
        plan = self.plan(caller, entity)
        selected = self.readable(plan, caller.identity, self.capped(selection))

        def read(session: ReadSession) -> tuple[bytes, int, bytes]:
            with session.snapshot():
                if plan.spec.audit_reads:
                    rows, _, row_ids = session.select_json_and_ids(entity, selected)
                else:
                    (rows, _), row_ids = session.select_json(entity, selected), b"[]"
                return rows, session.count(entity, selected), row_ids

        rows, total, row_ids = await self.read(read, caller, "page", entity)
        self.shown(caller, plan, row_ids)
        return rows, total

    async def lookup(self, caller: Caller, entity: str, field: str, value: Any) -> bytes:
        """The first row, by id, whose field has this value. Raises NOT_FOUND, INVALID_COLUMN."""
        selection = replace(self.filter(caller, entity, {field: value}), limit=1)
        rows, count = await self.rows(caller, entity, selection)
        if not count:
            raise PylonError("NOT_FOUND", f"{entity}.{field} = {str(value)[:100]} not found")
        return rows[1:-1]

    @property
    def identity(self) -> IdentityRows:
        """The identity tables: point reads, inline, on the event loop only."""
        return self._points.identity

    def row(self, entity: str, row_id: str) -> Any | None:
        """A whole row for server code, hidden fields included, or None: a point read, inline."""
        values = self._points.get(entity, row_id)
        return None if values is None else self._plans[entity].types.load(values)

    def first(self, entity: str, **values: Any) -> Any | None:
        """The first row with these values, by id, for server code: inline, so an index should lead to it."""
        plan = self._plans[entity]
        selection = compile_filter(plan.types, {**values, "$limit": 1}, Scope.SERVER)
        found = self._points.select(entity, selection)
        return plan.types.load(found[0]) if found else None

    def log_head(self) -> int:
        """The newest seq: a point read, inline."""
        return self._points.log_head()

    def document_stamp(self, entity: str, row_id: str) -> int | None:
        """Which state of a row's document is stored, None without one: a point read, inline."""
        head = self._points.document_head(entity, row_id)
        return None if head is None else head.stamp

    def documented(self) -> list[str]:
        """The entities whose rows have documents: a lookup for each, inline."""
        return self._points.documented()

    def record(self, kind: str, key: str) -> bytes | None:
        """A stored operator's record: a point read, inline."""
        return self._points.record(kind, key)

    def records(self, kind: str) -> list[tuple[str, bytes]]:
        """All records of a kind by key; there are few of each."""
        return self._points.records(kind)

    def filter(self, caller: Caller, entity: str, conditions: dict[str, Any]) -> Selection:
        """A client's filter object as a Selection. Raises INVALID_COLUMN, INVALID_QUERY, POLICY_DENIED."""
        plan = self._plans.for_read(entity, caller.identity)
        self._condition(plan, caller.identity, Reach.ROWS)
        query = parse_query(EntityColumns(plan.types, client_scope(caller.identity)), conditions)
        if query.fields is not None:
            parse_fields(EntityColumns(plan.types, Scope.CLIENT), list(query.fields))
        return self.matching(plan, compile_query(query), query.search, is_ordered=bool(query.order))

    async def run(
        self,
        operation: Callable[[ReadSession], T],
        time_limit: float,
        *,
        caller: Caller = SYSTEM,
        what: str = "read",
    ) -> T:
        """Run server code on a pooled session, on one snapshot, for at most `time_limit` seconds. `what` names it to
        operators. Raises FN_TIMEOUT."""
        self.served += 1
        limit = min(time_limit, self.readers.max_seconds)
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._watched, operation, limit, caller, what
        )

    async def run_short(
        self, operation: Callable[[ReadSession], T], time_limit: float, *, caller: Caller = SYSTEM, what: str = "read"
    ) -> T:
        """The same for what is most likely done in less time than a thread takes to hear of it: at first inline, then,
        once the store has taken a millisecond, in the pool. It may run twice, so it must do nothing but read."""
        try:
            self._inline.limit(INLINE_SECONDS)
            with self._inline.snapshot():
                found = operation(self._inline)
        except PylonError as error:
            if error.code != "QUERY_TIMEOUT":
                raise
        else:
            self.served += 1
            return found
        self.moved_to_pool += 1
        return await self.run(operation, time_limit, caller=caller, what=what)

    def _watched(self, operation: Callable[[ReadSession], T], limit: float, caller: Caller, what: str) -> T:
        session: ReadSession = self._local.session

        def handler() -> T:
            session.limit(limit)
            with session.snapshot():
                return operation(session)

        with self.readers.track(what, caller, session.interrupt):
            return self._watchdog.run(handler, limit, session.interrupt)

    async def read(self, operation: Callable[[ReadSession], T], caller: Caller, verb: str, entity: str) -> T:
        """Run a read here for a moment, and on the pool if that isn't enough. Raises QUERY_TIMEOUT."""
        self.served += 1
        try:
            self._inline.limit(INLINE_SECONDS)
            return operation(self._inline)
        except PylonError as error:
            if error.code != "QUERY_TIMEOUT":
                raise
        self.moved_to_pool += 1
        return await self._on_pool(operation, caller, f"{verb} {entity}")

    async def read_pooled(self, operation: Callable[[ReadSession], T], caller: Caller, verb: str, entity: str) -> T:
        """Run a read that is never short on the pool. Raises QUERY_TIMEOUT."""
        self.served += 1
        return await self._on_pool(operation, caller, f"{verb} {entity}")

    async def _on_pool(self, operation: Callable[[ReadSession], T], caller: Caller, what: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._pooled_read, operation, caller, what)

    def _pooled_read(self, operation: Callable[[ReadSession], T], caller: Caller, what: str) -> T:
        session: ReadSession = self._local.session
        with self.readers.track(what, caller, session.interrupt):
            session.limit(self._time_limit)
            return operation(session)

    def plan(self, caller: Caller, entity: str) -> EntityPlan:
        """The plan of an entity that may be read now. Raises ENTITY_NOT_FOUND, POLICY_DENIED, MAINTENANCE."""
        plan = self._plans.for_read(entity, caller.identity)
        self._gate.may_read(caller, plan)
        return plan

    def visible(self, plan: EntityPlan, identity: Identity, selection: Selection) -> Selection:
        """The selection narrowed to what this identity may replicate: read policy and sync scope."""
        selected = self.readable(plan, identity, selection, Reach.ROW)  # snapshots walk all rows once, by id
        scope = self._scopes.get(plan.name)
        if scope is None or identity.is_admin:
            return selected
        return selected.narrowed(scope.text, scope.bind(identity, self._now()))

    def readable(
        self, plan: EntityPlan, identity: Identity, selection: Selection, reach: Reach = Reach.ROWS
    ) -> Selection:
        """The selection under the read policy. Raises POLICY_DENIED when it lets this identity read no row at all."""
        condition, parameters = self._condition(plan, identity, reach)
        return selection if condition is None else selection.narrowed(condition, parameters)

    def _condition(self, plan: EntityPlan, identity: Identity, reach: Reach) -> tuple[str | None, dict[str, Any]]:
        """The read policy as SQL; None when it lets this caller read every row. Raises POLICY_DENIED when it lets it
        read none whatever the row."""
        if identity.is_admin:
            return None, {}
        if self.on_condition is not None:
            self.on_condition(plan)
        rule = plan.policy.read
        now = self._now() if rule.uses_clock else _NO_TIME
        if rule.reads_row or rule.uses_exists:
            sql = self._rules[reach][plan.name]
            return sql.text, sql.bind(identity, now)
        if not rule.allows(identity, None, now=now):
            raise self._plans.denied(rule)
        return None, {}

    def matching(self, plan: EntityPlan, selection: Selection, search: str | None, *, is_ordered: bool) -> Selection:
        """The selection under a text search, if one is asked for. Raises SEARCH_NOT_CONFIGURED."""
        if search is None:
            return selection
        return self.search.narrowed(plan, selection, search, is_ordered=is_ordered)

    def shown(self, caller: Caller, plan: EntityPlan, row_ids: bytes | Sequence[str]) -> None:
        """Rows were shown. Raises AUDIT_UNAVAILABLE."""
        self._gate.shown(caller, plan, row_ids)

    def capped(self, selection: Selection) -> Selection:
        """The selection with a limit that no list exceeds."""
        if selection.limit is not None and selection.limit <= self.row_limit:
            return selection
        return replace(selection, limit=self.row_limit)

    def close(self) -> None:
        """Interrupt what runs, stop the pool and close every connection."""
        for session in self._sessions:
            session.interrupt()
        self._pool.shutdown(wait=True)
        for session in (*self._sessions, self._inline, self._points):
            session.close()


def client_scope(identity: Identity) -> Scope:
    """Which fields a caller's filters may name."""
    return Scope.SERVER if identity.is_admin else Scope.CLIENT
