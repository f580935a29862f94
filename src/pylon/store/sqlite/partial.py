"""Conditions of partial indexes: a filter as SQL with its values written out, since an index takes no parameters."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pylon.model.filters import Complement, Either, EntityColumns, Every, Filter, Operator, Scope, Test, parse_filter
from pylon.model.rows import compile_rows
from pylon.model.schema import EntitySpec, Index
from pylon.store.filters import filter_sql, quote

_PARAMETER = re.compile(r":(f\d+)\b")


def with_conditions(entity: EntitySpec) -> EntitySpec:
    """The entity with the conditions of its indexes in SQL, as the database tells them when it is asked."""
    if not any(isinstance(index.where, dict) for index in entity.indexes):
        return entity
    return msgspec.structs.replace(entity, indexes=tuple(_in_sql(entity, index) for index in entity.indexes))


def _in_sql(entity: EntitySpec, index: Index) -> Index:
    if not isinstance(index.where, dict):
        return index
    where = parse_filter(EntityColumns(compile_rows(entity), Scope.SERVER), index.where)
    text, parameters = filter_sql(_without_lists(where), quote)
    return msgspec.structs.replace(index, where=_PARAMETER.sub(lambda found: _literal(parameters[found[1]]), text))


def _without_lists(where: Filter) -> Filter:
    """The same without IN, whose list is a subquery, which no index takes."""
    match where:
        case Every(parts):
            return Every(tuple(_without_lists(part) for part in parts))
        case Either(parts):
            return Either(tuple(_without_lists(part) for part in parts))
        case Complement(part):
            return Complement(_without_lists(part))
        case Test(name, Operator.IN, tuple() as values):
            return Either(tuple(Test(name, Operator.EQ, value) for value in values))
        case Test(name, Operator.NOT_IN, tuple() as values):
            unlike = tuple(Test(name, Operator.NE, value) for value in values)
            return Every((Test(name, Operator.HAS_VALUE), *unlike))
    return where


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value)) if isinstance(value, bool | int) else repr(value)
