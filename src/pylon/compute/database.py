"""`ctx.db`: typed reads, and in mutations writes, on the entities of the app."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from pylon.compute.recorder import Recorder
from pylon.engine.limits.gate import Viewer
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.transaction import RowAccess, Transaction
from pylon.model.entity import Entity
from pylon.model.errors import PylonError
from pylon.model.objects import ObjectCodec
from pylon.store.filters import Scope, compile_filter, with_id
from pylon.store.selection import Selection

E = TypeVar("E", bound=Entity)


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
    those of requests before it. `recorder` is told of each read, where somebody wants to know when to run again."""

    __slots__ = ("_access", "_codecs", "_recorder", "_transaction", "_viewer")

    def __init__(
        self,
        codecs: Codecs,
        access: RowAccess,
        transaction: Transaction | None,
        viewer: Viewer,
        recorder: Recorder | None = None,
    ) -> None:
        self._viewer = viewer
        self._recorder = recorder
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
        if self._recorder is not None:
            self._recorder.point(plan.types, _id(row_id))
        self._viewer.may_read(plan)
        row = self._access.get(plan, _id(row_id))
        if row is None:
            return None
        self._viewer.shown(plan, (row,))
        return codec.load(row)

    @overload
    def query(self, entity: type[E], filter: dict[str, Any] | None = None, /, **options: Any) -> list[E]: ...
    @overload
    def query(self, entity: str, filter: dict[str, Any] | None = None, /, **options: Any) -> list[Any]: ...
    def query(self, entity: Any, filter: dict[str, Any] | None = None, /, **options: Any) -> list[Any]:
        """Rows that match: keyword arguments compare for equality, `filter` takes operators (`{"n": {"$gt": 3}}`),
        `order="-updated"` (or a list) sorts, `limit` and `offset` cut."""
        plan, codec = self._codecs.of(entity)
        conditions, selection = self._selection(plan, codec, filter, options)
        self._viewer.may_read(plan)
        rows = self._access.select(plan, selection)
        if self._recorder is not None:
            self._recorder.rows(plan.types, conditions, selection, rows)
        self._viewer.shown(plan, rows)
        return [codec.load(row) for row in rows]

    @overload
    def one(self, entity: type[E], filter: dict[str, Any] | None = None, /, **options: Any) -> E | None: ...
    @overload
    def one(self, entity: str, filter: dict[str, Any] | None = None, /, **options: Any) -> Any | None: ...
    def one(self, entity: Any, filter: dict[str, Any] | None = None, /, **options: Any) -> Any:
        """The first row that matches, or None."""
        rows = self.query(entity, filter, **{**options, "limit": 1})
        return rows[0] if rows else None

    def count(self, entity: type[Entity] | str, filter: dict[str, Any] | None = None, /, **options: Any) -> int:
        """How many rows match."""
        plan, codec = self._codecs.of(entity)
        conditions, selection = self._selection(plan, codec, filter, options)
        if self._recorder is not None:
            self._recorder.count(plan.types, conditions)
        self._viewer.may_read(plan)
        return self._access.count(plan, selection)

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

    def _writable(self) -> Transaction:
        if self._transaction is None:
            raise PylonError("READ_ONLY_FUNCTION", "a query can't write: make it a mutation")
        return self._transaction

    def _selection(
        self, plan: EntityPlan, codec: ObjectCodec, filter: dict[str, Any] | None, options: dict[str, Any]
    ) -> tuple[dict[str, Any], Selection]:
        """The conditions that rows must meet, and what is selected by them."""
        order = options.pop("order", None)
        limit = options.pop("limit", None)
        offset = options.pop("offset", 0)
        conditions = {**(filter or {}), **codec.dump(options)}
        selection = compile_filter(plan.types, conditions, Scope.SERVER)
        return conditions, Selection(
            selection.where,
            selection.parameters,
            selection.order if order is None else _order(codec, order),
            selection.limit if limit is None else limit,
            selection.offset or offset,
        )


def _order(codec: ObjectCodec, order: str | list[str] | tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    keys = [order] if isinstance(order, str) else list(order)
    return with_id(tuple((codec.wire_name(key.removeprefix("-")), key.startswith("-")) for key in keys))


def _id(row_id: str | Entity) -> str:
    return row_id if isinstance(row_id, str) else row_id.id
