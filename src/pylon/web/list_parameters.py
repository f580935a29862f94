"""What a list is asked for in its URL (spec 01 §4.3), as a Selection."""

from __future__ import annotations

import contextlib
from typing import Any

from pylon.engine.plan import EntityPlan
from pylon.engine.reads import Reads
from pylon.model.errors import PylonError
from pylon.model.filters import (
    EVERYTHING,
    EntityColumns,
    Order,
    Query,
    Scope,
    parse_fields,
    parse_filter,
    sort_key,
)
from pylon.model.rows import RowTypes, decode_json
from pylon.model.schema import Kind
from pylon.store.filters import compile_query
from pylon.store.selection import Selection
from pylon.web.request import Request


def list_selection(req: Request, plan: EntityPlan, scope: Scope, reads: Reads) -> Selection:
    """`filter[f]=v`, `where=<filter>`, `sort=f` or `sort=-f,g` with `order=`, `fields=f,g` and `q=`; the window aside.
    Raises INVALID_COLUMN, INVALID_QUERY, INVALID_JSON, SEARCH_NOT_CONFIGURED."""
    if not req.params:
        return Selection()
    types = plan.types
    columns = EntityColumns(types, scope)
    tests: list[Any] = []
    order: Order = ()
    for name, value in req.params.items():
        if name.startswith("filter[") and name.endswith("]"):
            field = name[7:-1]
            tests += [{field: typed(types, field, item)} for item in (value if isinstance(value, list) else [value])]
        elif name == "where":
            tests.append(decode_json(_last(value).encode()))
        elif name == "sort" and (text := _last(value)):
            order = _order(columns, text, (req.get_param("order") or "").lower() == "desc")
    where = parse_filter(columns, {"$and": tests}) if tests else EVERYTHING
    selection = compile_query(Query(where, order, fields=list_fields(req, types)))
    return reads.matching(plan, selection, req.get_param("q") or None, is_ordered=bool(order))


def list_fields(req: Request, types: RowTypes) -> tuple[str, ...] | None:
    """`fields=f,g`: what to show of each row; `id` is always shown. Raises INVALID_COLUMN."""
    listed = req.get_param("fields")
    if not listed:
        return None
    names: list[str] = [name for name in listed.split(",") if name]
    return parse_fields(EntityColumns(types, Scope.CLIENT), names)


def typed(types: RowTypes, name: str, text: str) -> Any:
    """The text of a URL as a filter's operand: filters read numbers and booleans in text, JSON is read here."""
    field = types.entity.field(name)
    if field is not None and field.kind is Kind.JSON:
        with contextlib.suppress(PylonError):
            return decode_json(text.encode())
    return text


def _order(columns: EntityColumns, text: str, descending: bool) -> Order:
    keys = text.split(",")
    if len(keys) == 1 and not text.startswith("-"):
        return ((sort_key(columns, text), descending),)
    return tuple((sort_key(columns, key.removeprefix("-")), key.startswith("-")) for key in keys)


def _last(value: str | list[str]) -> str:
    return value[-1] if isinstance(value, list) else value
