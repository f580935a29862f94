"""An aggregate (`model.aggregates`) in SQL: one statement that answers the groups as one JSON array."""

from __future__ import annotations

from typing import Any

from pylon.model.aggregates import Aggregate, Bucket, Column, Group, Measure
from pylon.model.filters import EVERYTHING
from pylon.model.schema import Kind
from pylon.store.filters import filter_sql, quote
from pylon.store.selection import Selection

_FORMATS = {
    Bucket.MINUTE: "%Y-%m-%d %H:%M:00",
    Bucket.HOUR: "%Y-%m-%d %H:00:00",
    Bucket.DAY: "%Y-%m-%d",
    Bucket.WEEK: "%Y-W%W",
    Bucket.MONTH: "%Y-%m",
    Bucket.YEAR: "%Y",
}
"""Spec 01 §5.4. Times with an offset are turned to UTC by SQLite."""

_FUNCTIONS = {Measure.SUM: "sum", Measure.AVG: "avg", Measure.MIN: "min", Measure.MAX: "max"}


def aggregate_sql(table: str, selection: Selection, aggregate: Aggregate) -> tuple[str, dict[str, Any]]:
    """One row: the JSON array of the groups, `:most` of them at the most, and their number."""
    columns = [(group.name, _group(group)) for group in aggregate.groups]
    columns += [(column.name, _column(column)) for column in aggregate.columns]
    listed = ", ".join(f"{sql} AS {quote(name)}" for name, sql in columns)
    keys = ", ".join(str(i) for i in range(1, len(aggregate.groups) + 1))
    where = f" WHERE {' AND '.join(f'({c})' for c in selection.where)}" if selection.where else ""
    groups = f"SELECT {listed} FROM {table} t{where}{f' GROUP BY {keys}' if keys else ''}"
    parameters = dict(selection.parameters)
    having = ""
    if aggregate.having is not EVERYTHING:
        condition, operands = filter_sql(aggregate.having, _output, "h")
        parameters |= operands
        having = f" WHERE {condition}"
    order = aggregate.order + tuple((group.name, False) for group in aggregate.groups)
    by = ", ".join(f"{_output(name)}{' DESC' if descending else ''}" for name, descending in order)
    parameters["limit"] = -1 if aggregate.limit is None else aggregate.limit
    parameters["offset"] = aggregate.offset
    window = "LIMIT CASE WHEN :limit < 0 THEN :most ELSE min(:limit, :most) END OFFSET :offset"
    rows = f"SELECT * FROM ({groups}) g{having}{f' ORDER BY {by}' if by else ''} {window}"
    shown = ", ".join(f"{_literal(name)}, {_output(name)}" for name, _ in sorted(columns))
    return f"SELECT CAST(json_group_array(json_object({shown})) AS BLOB), count(*) FROM ({rows}) g", parameters


def _group(group: Group) -> str:
    column = f"t.{quote(group.field)}"
    if group.bucket is None:
        return column
    shift = f", '{group.shift}'" if group.shift else ""
    return f"strftime('{_FORMATS[group.bucket]}', {column}{shift})"


def _column(column: Column) -> str:
    if column.field is None:
        return "count(*)"
    target = f"t.{quote(column.field)}"
    match column.measure:
        case Measure.COUNT:
            return f"count({target})"
        case Measure.COUNT_DISTINCT:
            return f"count(DISTINCT {target})"
    value = f"{_FUNCTIONS[column.measure]}({target})"
    if column.kind is Kind.FLOAT and column.measure in (Measure.SUM, Measure.AVG):
        return f"CASE WHEN abs({value}) < 9e999 THEN {value} END"  # JSON has no infinity
    return value


def _output(name: str) -> str:
    return f"g.{quote(name)}"


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
