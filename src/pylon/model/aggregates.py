"""Aggregates (spec 01 §5.4) as values: parsed once and checked against the declaration.

    {"count": "*" or field, "sum"|"avg"|"min"|"max"|"countDistinct": [fields],
     "groupBy": [field or {"field", "bucket", "timezone"?}], "where": filter,
     "having": filter over the output columns, "orderBy": {column: "asc"|"desc"}, "limit", "offset"}

What comes out is named `count`, `count_<f>`, `sum_<f>`, `count_distinct_<f>`, `<f>` and `<f>_<bucket>`. Clients can't
aggregate what they can't see.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylon.model.errors import PylonError
from pylon.model.filters import (
    EVERYTHING,
    Columns,
    Filter,
    NamedColumns,
    Order,
    parse_filter,
    parse_order,
    window,
)
from pylon.model.schema import Kind

MAX_GROUPS = 8
MAX_MEASURES = 32


class Measure(enum.Enum):
    """What is computed of a field. The value is the key of the spec."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    COUNT_DISTINCT = "countDistinct"


class Bucket(enum.Enum):
    """How much time one group covers."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Group:
    """One key of the groups: a field, or the bucket that its time falls into. `shift` moves the times before, as
    `+hh:mm`."""

    name: str
    field: str
    bucket: Bucket | None = None
    shift: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One computed column. `field` None counts rows; `kind` is that of the field."""

    name: str
    measure: Measure
    field: str | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A parsed aggregate; its `where` aside, which selects the rows."""

    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    where: Filter = EVERYTHING
    having: Filter = EVERYTHING
    order: Order = ()
    limit: int | None = None
    offset: int = 0
    kinds: Mapping[str, Kind] = field(default_factory=dict)


_KEYS = frozenset({*(m.value for m in Measure), "groupBy", "where", "having", "orderBy", "limit", "offset"})
_NUMBERS = frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL})
_SHIFT = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d\Z")
_UTC = ("Z", "UTC")


def parse_aggregate(visible: Columns, filterable: Columns, spec: Any) -> Aggregate:
    """`visible` are the columns that may come out, `filterable` those that `where` may name. Raises INVALID_QUERY,
    INVALID_COLUMN, QUERY_FAILED."""
    if not isinstance(spec, dict):
        raise PylonError("INVALID_QUERY", "aggregate spec must be an object")
    for key in spec:
        if key not in _KEYS:
            raise PylonError(
                "INVALID_QUERY", f"unknown key {key[:50]!r} in aggregate spec", hint=f"Keys: {', '.join(sorted(_KEYS))}"
            )
    groups = tuple(_group(visible, item) for item in _listed("groupBy", spec.get("groupBy")))
    columns = tuple(column for measure in Measure for column in _columns(visible, measure, spec.get(measure.value)))
    if not groups and not columns:
        raise PylonError("INVALID_QUERY", "aggregate spec must include count/sum/avg/min/max/groupBy")
    if len(groups) > MAX_GROUPS or len(columns) > MAX_MEASURES:
        raise PylonError("INVALID_QUERY", f"at most {MAX_GROUPS} groupBy keys and {MAX_MEASURES} computed columns")
    kinds = {group.name: Kind.STRING if group.bucket else visible.kind(group.field) for group in groups}
    kinds |= {column.name: _kind(column) for column in columns}
    if len(kinds) < len(groups) + len(columns):
        raise PylonError("INVALID_QUERY", "two columns of the aggregate have the same name")
    output = NamedColumns(kinds)
    having, order = spec.get("having"), spec.get("orderBy")
    return Aggregate(
        groups,
        columns,
        where=parse_filter(filterable, spec["where"]) if spec.get("where") is not None else EVERYTHING,
        having=EVERYTHING if having is None else parse_filter(output, having),
        order=() if order is None else parse_order(output, order),
        limit=window(spec.get("limit")),
        offset=window(spec.get("offset")) or 0,
        kinds=kinds,
    )


def _listed(key: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PylonError("INVALID_QUERY", f"{key} takes a list of fields")
    return value


def _columns(visible: Columns, measure: Measure, value: Any) -> list[Column]:
    if measure is Measure.COUNT:
        if value is None:
            return []
        if value == "*":
            return [Column("count", measure, None, Kind.INT)]
        value = [value]
    columns = []
    for name in _listed(measure.value, value):
        kind = _field(visible, measure.value, name)
        if measure in (Measure.SUM, Measure.AVG) and kind not in _NUMBERS:
            raise PylonError("INVALID_QUERY", f"{name}: {measure.value} is of numbers, not of {kind.value}")
        if measure in (Measure.MIN, Measure.MAX):
            _comparable(name, kind)
        prefix = "count_distinct" if measure is Measure.COUNT_DISTINCT else measure.value
        columns.append(Column(f"{prefix}_{name}", measure, name, kind))
    return columns


def _kind(column: Column) -> Kind:
    match column.measure:
        case Measure.COUNT | Measure.COUNT_DISTINCT:
            return Kind.INT
        case Measure.AVG:
            return Kind.FLOAT
        case Measure.SUM:
            return Kind.FLOAT if column.kind is Kind.FLOAT else Kind.INT
    return column.kind


def _group(visible: Columns, item: Any) -> Group:
    if not isinstance(item, dict):
        _comparable(item, _field(visible, "groupBy", item))
        return Group(item, item)
    if "field" not in item:
        raise PylonError("INVALID_QUERY", "groupBy object spec requires `field`")
    for key in item:
        if key not in ("field", "bucket", "timezone"):
            raise PylonError("INVALID_QUERY", f"unknown key {key[:50]!r} in a groupBy object")
    name = item["field"]
    kind = _field(visible, "groupBy", name)
    given = item.get("bucket", "day")
    bucket = next((b for b in Bucket if b.value == given), None)
    if bucket is None:
        choices = "/".join(b.value for b in Bucket)
        raise PylonError("INVALID_QUERY", f"bucket must be one of {choices}, got {str(given)[:50]}")
    if kind not in (Kind.DATETIME, Kind.STRING):
        raise PylonError("INVALID_QUERY", f"{name}: a bucket is of times, not of {kind.value}")
    return Group(f"{name}_{bucket.value}", name, bucket, _shift(item.get("timezone")))


def _shift(timezone: Any) -> str | None:
    if timezone is None or timezone in _UTC:
        return None
    if not isinstance(timezone, str) or not _SHIFT.match(timezone):
        raise PylonError("INVALID_QUERY", "timezone is UTC or a shift such as +02:00")
    return timezone


def _field(visible: Columns, key: str, name: Any) -> Kind:
    if not isinstance(name, str):
        raise PylonError("INVALID_QUERY", f"{key} takes names of fields")
    return visible.kind(name)


def _comparable(name: str, kind: Kind) -> None:
    if kind in (Kind.JSON, Kind.VECTOR):
        raise PylonError("INVALID_QUERY", f"{name}: a {kind.value} field has no order")
