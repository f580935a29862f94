"""Cursors of sorted pages: the place of the last row in the order, so that pages stay right while rows come and go.

A cursor holds what the row showed of itself and grants nothing: what it leads to is read under the policy.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from pylon.engine.plan import EntityPlan
from pylon.model.errors import PylonError
from pylon.model.filters import Either, Every, Filter, Operator, Order, Test
from pylon.model.rows import Stored
from pylon.model.schema import Kind

_LONGEST = 8192
_BY_ID: Order = (("id", False),)


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a cursor says: the order, `-` first for descending, and the values of the last row in it."""

    order: list[str]
    values: list[str | int | float | None]


_decode = msgspec.json.Decoder(_Cursor).decode


def write_cursor(order: Order, values: Sequence[Stored]) -> str:
    """The cursor of a row by the stored values that it is ordered by. By id alone it is the id (spec 01 §4.4)."""
    if order == _BY_ID:
        return str(values[0])
    cursor = _Cursor(_keys(order), list(values))  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read_cursor(plan: EntityPlan, order: Order, text: str) -> list[Any]:
    """The values that a cursor holds. Raises CURSOR_INVALID for one of another order."""
    if order == _BY_ID:
        return [text]
    try:
        if len(text) > _LONGEST:
            raise ValueError
        cursor = _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (msgspec.MsgspecError, binascii.Error, UnicodeError, ValueError):
        raise _invalid() from None
    if cursor.order != _keys(order) or len(cursor.values) != len(order):
        raise _invalid()
    for (name, _), value in zip(order, cursor.values, strict=True):
        if not _fits(plan, name, value):
            raise _invalid()
    return cursor.values


def after_row(plan: EntityPlan, order: Order, values: Sequence[Any]) -> Filter:
    """The rows behind a place in the order; null comes before every value, as in SQLite."""
    if order == _BY_ID:
        return Test("id", Operator.GT, values[0])
    ways: list[Filter] = []
    for i, ((name, descending), value) in enumerate(zip(order, values, strict=True)):
        beyond = _beyond(plan, name, descending, value)
        if beyond is not None:
            same = [_same(key, held) for (key, _), held in zip(order[:i], values[:i], strict=True)]
            ways.append(Every((*same, beyond)))
    # The first key alone bounds the walk along an index; the rest decides among its equals.
    bound = _bound(plan, *order[0], values[0])
    return Every((bound, Either(tuple(ways)))) if bound is not None else Either(tuple(ways))


def _beyond(plan: EntityPlan, name: str, descending: bool, value: Any) -> Filter | None:
    if value is None:
        return None if descending else Test(name, Operator.HAS_VALUE)
    if not descending:
        return Test(name, Operator.GT, value)
    below = Test(name, Operator.LT, value)
    return Either((below, Test(name, Operator.IS_NULL))) if _is_optional(plan, name) else below


def _bound(plan: EntityPlan, name: str, descending: bool, value: Any) -> Filter | None:
    if value is None:
        return Test(name, Operator.IS_NULL) if descending else None
    if not descending:
        return Test(name, Operator.GE, value)
    return None if _is_optional(plan, name) else Test(name, Operator.LE, value)


def _same(name: str, value: Any) -> Filter:
    return Test(name, Operator.IS_NULL) if value is None else Test(name, Operator.EQ, value)


def _is_optional(plan: EntityPlan, name: str) -> bool:
    field = plan.spec.field(name)
    return field is not None and field.optional


def _fits(plan: EntityPlan, name: str, value: Any) -> bool:
    field = plan.spec.field(name)
    kind = Kind.STRING if field is None else field.kind
    if value is None:
        return field is not None
    if kind.is_text:
        return isinstance(value, str)
    return isinstance(value, int | float) and (isinstance(value, float) or -(2**63) <= value < 2**63)


def _keys(order: Order) -> list[str]:
    return [f"-{name}" if descending else name for name, descending in order]


def _invalid() -> PylonError:
    return PylonError("CURSOR_INVALID", "The cursor is not one of this list in this order")
