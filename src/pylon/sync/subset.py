"""Replicating a part: the entities, and of each the rows that match a filter, that one client asks for.

A subset never widens what its reader may see; it is one more rule beside the read policy and `sync_scope`, in snapshot,
delta and live alike: a row that an update moves out of it is a `delete`, one that it moves in is the full row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pylon.engine.plan import EntityPlan
from pylon.engine.reads import client_scope
from pylon.model.errors import PylonError
from pylon.model.filter_predicate import Predicate, compile_filter_predicate
from pylon.model.filters import (
    Complement,
    Either,
    EntityColumns,
    Every,
    Filter,
    Operator,
    Query,
    Scope,
    Test,
    parse_filter,
)
from pylon.model.identity import Identity
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind
from pylon.store.filters import compile_query
from pylon.store.selection import Selection

MAX_BYTES = 8192
MAX_ENTITIES = 64
MAX_OPERANDS = 256
"""Values that all filters of a subset compare with."""

KEPT = 512
"""Compiled subsets that are kept for whoever asks for the same."""


class Part(NamedTuple):
    """What is asked for of one entity. `key` is a field and the values of which a row must have one, where the filter
    says so: an index finds it by them."""

    matches: Predicate
    key: tuple[str, frozenset[Any]] | None
    selection: Selection


class Subset:
    """Equal when they ask for the same: then their connections share one audience."""

    __slots__ = ("_hash", "key", "parts")

    def __init__(self, key: tuple[Scope, bytes], parts: dict[str, Part]) -> None:
        self.key = key
        self.parts = parts
        self._hash = hash(key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subset) and self.key == other.key

    def matches(self, entity: str, row: Any) -> bool:
        """Whether a row is asked for."""
        part = self.parts.get(entity)
        return part is not None and part.matches(row)


class Subsets:
    """Compiles what clients ask for, for one app."""

    def __init__(self, plans: Mapping[str, EntityPlan]) -> None:
        self._plans = plans
        self._compiled = lru_cache(KEPT)(self._compile)

    def parse(self, text: str | bytes | None, identity: Identity) -> Subset | None:
        """A `scope` as clients write it: a JSON object of filters by entity; null, or none at all, is everything. An
        entity of which this caller may read nothing selects nothing, as one that isn't there. Raises INVALID_SCOPE."""
        if text is None:
            return None
        if len(text) > MAX_BYTES:
            raise _invalid(f"it has at most {MAX_BYTES} bytes")
        try:
            wanted = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise _invalid("it is not JSON") from None
        return self.of(wanted, identity)

    def of(self, wanted: Any, identity: Identity) -> Subset | None:
        """The same out of decoded JSON."""
        if wanted is None:
            return None
        if not isinstance(wanted, dict) or not all(isinstance(part, dict) for part in wanted.values()):
            raise _invalid('it is an object of filters by entity: {"Todo":{"done":false},"User":{}}')
        if len(wanted) > MAX_ENTITIES:
            raise _invalid(f"it names at most {MAX_ENTITIES} entities")
        named = {name: part for name, part in wanted.items() if self._may_name(name, identity)}
        encoded = msgspec.json.encode(named, order="deterministic")
        if len(encoded) > MAX_BYTES:
            raise _invalid(f"it has at most {MAX_BYTES} bytes")
        return self._compiled(client_scope(identity), encoded, self._keys(named))

    def _keys(self, named: Iterable[str]) -> tuple[str, ...]:
        """The keys that filters on encrypted fields were compiled for: a new one asks for them anew."""
        found = (self._plans[name].types.seals for name in named)
        return next((seals.holder.need().ids for seals in found if seals is not None), ())

    def _may_name(self, name: str, identity: Identity) -> bool:
        plan = self._plans.get(name)
        if plan is None or not plan.spec.sync:
            return False
        rule = plan.policy.read
        return rule.reads_row or rule.uses_exists or rule.allows(identity, None, now=datetime.now(UTC))

    def _compile(self, scope: Scope, encoded: bytes, _keys: tuple[str, ...]) -> Subset:
        parts: dict[str, Part] = {}
        operands = 0
        for name, conditions in msgspec.json.decode(encoded).items():
            types = self._plans[name].types
            try:
                where = parse_filter(EntityColumns(types, scope), conditions)
            except PylonError as error:
                unknown = error.code == "INVALID_COLUMN"
                why = "it names a field that the entity does not have" if unknown else error.message
                raise _invalid(f"{name}: {why}") from None
            operands += _operands(where)
            key = _key(types, where)
            parts[name] = Part(compile_filter_predicate(types, where), key, compile_query(Query(where)))
        if operands > MAX_OPERANDS:
            raise _invalid(f"its filters compare with at most {MAX_OPERANDS} values")
        return Subset((scope, encoded), parts)


def _operands(where: Filter) -> int:
    match where:
        case Test():
            return len(where.operand) if isinstance(where.operand, tuple) else 1
        case Every(parts) | Either(parts):
            return sum(map(_operands, parts))
        case Complement(part):
            return _operands(part)


def _key(types: RowTypes, where: Filter) -> tuple[str, frozenset[Any]] | None:
    """The narrowest equality that every matching row meets."""
    if isinstance(where, Every):
        keys = [key for part in where.parts if (key := _key(types, part)) is not None]
        return min(keys, key=lambda key: len(key[1]), default=None)
    if not isinstance(where, Test) or where.operator not in (Operator.EQ, Operator.IN):
        return None
    field = types.entity.field(where.field)
    if field is not None and field.kind is Kind.JSON:
        return None
    return where.field, frozenset(where.operand if isinstance(where.operand, tuple) else (where.operand,))


def _invalid(why: str) -> PylonError:
    return PylonError("INVALID_SCOPE", f"scope: {why}")
