"""`ctx.db`: typed reads, and in mutations writes, on the entities of the app."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar, overload

from pylon.compute.related import Included, with_related
from pylon.engine.limits.gate import Viewer
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.transaction import RowAccess, Transaction
from pylon.model.aggregates import parse_aggregate
from pylon.model.entity import Entity
from pylon.model.errors import PylonError
from pylon.model.filters import EntityColumns
from pylon.model.objects import ObjectCodec
from pylon.model.timestamps import iso_millis
from pylon.store.filters import Scope, compile_filter, with_id
from pylon.store.selection import Selection

E = TypeVar("E", bound=Entity)
Filter = Mapping[str, Any]


class Codecs:
    """The conversions between wire rows and Python objects, one per entity, made at start."""

    def __init__(self, plans: Plans) -> None:
        self._codecs = {name: ObjectCodec(plan.spec) for name, plan in plans.items()}
        self._names = {plan.spec.python_class: name for name, plan in plans.items() if plan.spec.python_class}
        self._plans = plans

    def of(self, entity: type | str) -> tuple[EntityPlan, ObjectCodec]:
        """The plan and codec of an entity class or name. Raises ENTITY_NOT_FOUND."""
        name = entity if isinstance(entity, str) else self._names.get(entity)
        if name is None or name not in self._codecs:
            shown = entity if isinstance(entity, str) else entity.__name__
            raise PylonError("ENTITY_NOT_FOUND", f'Unknown entity: "{shown}"')
        return self._plans[name], self._codecs[name]


class Database:
    """The rows a function works on. A query's is read-only and sees one snapshot; a mutation's sees its own writes and
    those of requests before it."""

    __slots__ = ("_access", "_codecs", "_transaction", "_viewer")

    def __init__(self, codecs: Codecs, access: RowAccess, transaction: Transaction | None, viewer: Viewer) -> None:
        self._viewer = viewer
        self._codecs = codecs
        self._access = access
        self._transaction = transaction

    @overload
    def get(self, entity: type[E], row_id: str | Entity) -> E | None: ...
    @overload
    def get(self, entity: str, row_id: str | Entity) -> Any | None: ...
    def get(self, entity: Any, row_id: str | Entity) -> Any:
        """The row of this id, or None."""
        plan, codec = self._codecs.of(entity)
        self._viewer.may_read(plan)
        row = self._access.get(plan, _id(row_id))
        if row is None:
            return None
        if plan.spec.audit_reads:
            self._viewer.shown(plan, (row,))
        return codec.load(row)

    @overload
    def query(
        self, entity: type[E], filter: Filter | None = None, /, *, include: Mapping[str, Any], **options: Any
    ) -> list[Included[E]]: ...
    @overload
    def query(self, entity: type[E], filter: Filter | None = None, /, **options: Any) -> list[E]: ...
    @overload
    def query(self, entity: str, filter: Filter | None = None, /, **options: Any) -> list[Any]: ...
    def query(self, entity: Any, filter: Filter | None = None, /, **options: Any) -> list[Any]:
        """Rows that match: keyword arguments compare for equality, `filter` (or `where=`) takes operators
        (`{"n": {"$gt": 3}}`, `{"$or": [...]}`), `order="-updated"` (or a list) sorts, `limit` and `offset` cut.
        `include={"comments": {"limit": 3}}` adds related rows, one statement per level. Raises INVALID_COLUMN,
        INVALID_QUERY, QUERY_FAILED, RELATION_NOT_FOUND."""
        include = options.pop("include", None)
        plan, codec = self._codecs.of(entity)
        selection = self._selection(plan, codec, filter, options)
        self._viewer.may_read(plan)
        rows = self._access.select(plan, selection)
        self._viewer.shown(plan, rows)
        found = [codec.load(row) for row in rows]
        return found if include is None else with_related(self, plan, codec, found, include)

    @overload
    def one(self, entity: type[E], filter: Filter | None = None, /, **options: Any) -> E | None: ...
    @overload
    def one(self, entity: str, filter: Filter | None = None, /, **options: Any) -> Any | None: ...
    def one(self, entity: Any, filter: Filter | None = None, /, **options: Any) -> Any:
        """The first row that matches, or None."""
        rows = self.query(entity, filter, **{**options, "limit": 1})
        return rows[0] if rows else None

    def count(self, entity: type[Entity] | str, filter: Filter | None = None, /, **options: Any) -> int:
        """How many rows match."""
        plan, codec = self._codecs.of(entity)
        self._viewer.may_read(plan)
        return self._access.count(plan, self._selection(plan, codec, filter, options))

    def aggregate(
        self,
        entity: type[Entity] | str,
        filter: Filter | None = None,
        /,
        *,
        count: str | None = None,
        sum: Sequence[str] = (),
        avg: Sequence[str] = (),
        min: Sequence[str] = (),
        max: Sequence[str] = (),
        count_distinct: Sequence[str] = (),
        group_by: Sequence[str | dict[str, str]] = (),
        where: Filter | None = None,
        having: Filter | None = None,
        order_by: dict[str, str] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Groups of rows and what is computed of each, named as in `POST /api/aggregate/<E>`:
        `ctx.db.aggregate(Note, count="*", group_by=["tag", {"field": "at", "bucket": "month"}])` is
        `[{"at_month": "2026-03", "count": 4, "tag": "x"}, ...]`. Raises INVALID_QUERY, INVALID_COLUMN, QUERY_FAILED."""
        plan, codec = self._codecs.of(entity)
        asked = {
            "count": count,
            "sum": list(sum),
            "avg": list(avg),
            "min": list(min),
            "max": list(max),
            "countDistinct": list(count_distinct),
            "groupBy": list(group_by),
            "having": having,
            "orderBy": order_by,
            "limit": limit,
            "offset": offset,
        }
        columns = EntityColumns(plan.types, Scope.SERVER)
        aggregate = parse_aggregate(
            columns, columns, {key: value for key, value in asked.items() if value not in (None, [])}
        )
        selection = self._selection(plan, codec, filter, {} if where is None else {"where": where})
        self._viewer.may_read(plan)
        return self._access.aggregate(plan, selection, aggregate)

    @overload
    def insert(self, entity: type[E], /, **values: Any) -> E: ...
    @overload
    def insert(self, entity: str, /, **values: Any) -> Any: ...
    def insert(self, entity: Any, /, **values: Any) -> Any:
        """Insert a row; the row as stored, with its id. Raises INSERT_FAILED, INVALID_DATA, INVALID_COLUMN."""
        transaction = self._writable()
        plan, codec = self._codecs.of(entity)
        change = transaction.insert(plan, plan.types.convert_insert(codec.dump(values)))
        return codec.load(change.row)

    @overload
    def update(self, entity: type[E], row_id: str | Entity, /, **changes: Any) -> E: ...
    @overload
    def update(self, entity: str, row_id: str | Entity, /, **changes: Any) -> Any: ...
    def update(self, entity: Any, row_id: str | Entity, /, **changes: Any) -> Any:
        """Change fields of a row; the row after it. Raises NOT_FOUND, UPDATE_FAILED, INVALID_DATA, INVALID_COLUMN."""
        transaction = self._writable()
        plan, codec = self._codecs.of(entity)
        change = transaction.update(plan, _id(row_id), plan.types.convert_patch(codec.dump(changes)))
        return self.get(entity, row_id) if change is None else codec.load(change.row)

    def delete(self, entity: type[Entity] | str, row_id: str | Entity, /) -> bool:
        """Delete a row; whether there was one."""
        transaction = self._writable()
        plan, _ = self._codecs.of(entity)
        try:
            transaction.delete(plan, _id(row_id))
        except PylonError as error:
            if error.code == "NOT_FOUND":
                return False
            raise
        return True

    def codec_of(self, entity: str) -> ObjectCodec:
        """The codec of an entity by its name."""
        return self._codecs.of(entity)[1]

    def _writable(self) -> Transaction:
        if self._transaction is None:
            raise PylonError("READ_ONLY_FUNCTION", "a query can't write: make it a mutation")
        return self._transaction

    def _selection(
        self, plan: EntityPlan, codec: ObjectCodec, filter: Filter | None, options: dict[str, Any]
    ) -> Selection:
        where = options.pop("where", None)
        order = options.pop("order", None)
        limit = options.pop("limit", None)
        offset = options.pop("offset", 0)
        conditions = _wire({**(filter or {}), **codec.dump(options)})
        if where:
            conditions["$and"] = [*conditions.get("$and", ()), _wire(where)]
        selection = compile_filter(plan.types, conditions, Scope.SERVER)
        return replace(
            selection,
            order=selection.order if order is None else _order(codec, order),
            limit=selection.limit if limit is None else limit,
            offset=selection.offset or offset,
        )


def _order(codec: ObjectCodec, order: str | list[str] | tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    keys = [order] if isinstance(order, str) else list(order)
    return with_id(tuple((codec.wire_name(key.removeprefix("-")), key.startswith("-")) for key in keys))


def _wire(value: Any) -> Any:
    """A filter with the values that it has in JSON: datetimes, enum members and rows are written as fields hold
    them."""
    match value:
        case Mapping():
            return {key: _wire(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_wire(item) for item in value]
        case datetime():
            return iso_millis(value)
        case date():
            return value.isoformat()
        case enum.Enum():
            return value.value
        case Entity():
            return value.id
    return value


def _id(row_id: str | Entity) -> str:
    return row_id if isinstance(row_id, str) else row_id.id
