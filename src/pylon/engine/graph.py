"""Graph queries (spec 01 §5.2): rows with their related rows, to a bounded depth, one statement per level.

    {"Post": {"where": filter, "order": {…}, "limit": n, "offset": n, "fields": […],
              "include": {"comments": {… the same, for each post apart …}}}}

A to-one relation `{field, target}` leads from the row's field to the target's id, a to-many one from the row's id to
the target's field. Each level is under the read policy of its own entity: a related row that the caller may not read is
absent, as one that isn't there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pylon.engine.plan import EntityPlan, Plans
from pylon.model.errors import PylonError
from pylon.model.filters import (
    Budget,
    EntityColumns,
    Order,
    Scope,
    parse_fields,
    parse_order,
    parse_query,
    window,
)
from pylon.model.schema import Relation
from pylon.store.filters import compile_query, with_id
from pylon.store.protocol import ReadSession
from pylon.store.selection import Selection

MAX_DEPTH = 5
"""Levels of includes below the top."""

MAX_LEVELS = 32
"""Statements that one graph query may need: its entities, and all their includes."""

_KEYS = frozenset({"where", "include", "limit", "offset", "order", "fields"})
Readable = Callable[[EntityPlan, Selection], Selection | None]
"""The selection under the caller's read policy; None when it may read none of the rows whatever they are."""


@dataclass(frozen=True, slots=True)
class Include:
    """One relation of a node, and what it shows. `key` is the field of the related rows that holds the link, `link`
    the field of the row that it is compared with."""

    name: str
    many: bool
    key: str
    link: str
    node: Node


@dataclass(frozen=True, slots=True)
class Node:
    """One level: rows of an entity, and what is included of each."""

    plan: EntityPlan
    selection: Selection
    search: str | None = None
    is_ordered: bool = False
    includes: tuple[Include, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """The columns that the includes start from."""
        return tuple(dict.fromkeys(include.link for include in self.includes))


class GraphParser:
    """Reads one graph query. `plan_of` says which plans may be read at all, and raises for others."""

    def __init__(self, plans: Plans, plan_of: Callable[[str], EntityPlan], scope: Scope) -> None:
        self._plans = plans
        self._plan_of = plan_of
        self._scope = scope
        self._levels = 0
        self._budget = Budget()

    def graph(self, spec: Any) -> dict[str, Node]:
        """The nodes by entity. Raises INVALID_QUERY, INVALID_COLUMN, RELATION_NOT_FOUND, QUERY_FAILED."""
        if not isinstance(spec, dict):
            raise PylonError("INVALID_QUERY", "Graph query must be a JSON object")
        return {name: self.node(self._plan_of(name), body, 0) for name, body in spec.items()}

    def node(self, plan: EntityPlan, spec: Any, depth: int) -> Node:
        """One node with what it includes."""
        self._levels += 1
        if depth > MAX_DEPTH or self._levels > MAX_LEVELS:
            raise PylonError(
                "QUERY_FAILED", f"a graph query includes at most {MAX_DEPTH} levels deep and {MAX_LEVELS} in all"
            )
        if not isinstance(spec, dict):
            raise PylonError("INVALID_QUERY", f"{plan.name}: what is asked of an entity is an object")
        for key in spec:
            if key not in _KEYS:
                raise PylonError(
                    "INVALID_QUERY", f"{plan.name}: unknown key {key[:50]!r}", hint=f"Keys: {', '.join(sorted(_KEYS))}"
                )
        columns = EntityColumns(plan.types, self._scope)
        where = spec.get("where")
        query = parse_query(columns, where if isinstance(where, dict) else {}, self._budget)
        if query.search is not None and depth:
            raise PylonError("INVALID_QUERY", f"{plan.name}: $search is for the top of a graph query, not for includes")
        order: Order = parse_order(columns, spec["order"]) if spec.get("order") is not None else query.order
        limits = [n for n in (query.limit, window(spec.get("limit"))) if n is not None]
        fields = query.fields
        if spec.get("fields") is not None:
            fields = parse_fields(EntityColumns(plan.types, Scope.CLIENT), spec["fields"])
        includes = self._includes(plan, spec.get("include"), depth)
        selection = replace(
            compile_query(query),
            order=with_id(order),
            limit=min(limits, default=None),
            offset=window(query.offset + (window(spec.get("offset")) or 0)) or 0,
            fields=_beside(plan, fields, includes),
        )
        return Node(plan, selection, query.search, bool(order), includes)

    def _includes(self, plan: EntityPlan, spec: Any, depth: int) -> tuple[Include, ...]:
        if spec is None:
            return ()
        if not isinstance(spec, dict):
            raise PylonError("INVALID_QUERY", f'{plan.name}: include takes an object: {{"relation": {{}}}}')
        relations = {relation.name: relation for relation in plan.spec.relations}
        return tuple(self._include(plan, relations.get(name), name, body, depth) for name, body in spec.items())

    def _include(self, plan: EntityPlan, relation: Relation | None, name: str, spec: Any, depth: int) -> Include:
        if relation is None:
            raise PylonError("RELATION_NOT_FOUND", f'Relation "{name[:100]}" not found on entity "{plan.name}"')
        target = self._plans[relation.target]
        key, link = (relation.field, "id") if relation.many else ("id", relation.field)
        for owner, column in ((target, key), (plan, link)):
            EntityColumns(owner.types, self._scope).kind(column)
        return Include(name, relation.many, key, link, self.node(target, {} if spec is True else spec, depth + 1))


def _beside(plan: EntityPlan, fields: tuple[str, ...] | None, includes: Iterable[Include]) -> tuple[str, ...] | None:
    """The fields to show where a relation takes the place of the field of its name."""
    taken = {include.name for include in includes}
    if not taken.intersection(plan.types.columns):
        return fields
    return tuple(name for name in (plan.types.columns if fields is None else fields) if name not in taken)


@dataclass(slots=True)
class GraphReader:
    """One graph query's way through the levels, on one session. `most` is how many rows it may show in all; `shown`
    collects the ids of rows whose sight is recorded."""

    session: ReadSession
    readable: Readable
    most: int
    shown: list[tuple[EntityPlan, list[str]]] = field(default_factory=list)

    def top(self, node: Node, selection: Selection) -> bytes:
        """The JSON array of a top node, whose selection is readable."""
        rows = self.session.select_parts(node.plan.name, selection, node.links)
        return b"[%b]" % b",".join(self._completed(node, rows, 2))

    def _completed(self, node: Node, rows: list[tuple[Any, ...]], first_link: int) -> list[bytes]:
        """The rows' JSON with what is included of them. The links stand from `first_link` on."""
        self.most -= len(rows)
        if self.most < 0:
            raise PylonError(
                "QUERY_FAILED",
                "a graph query shows at most PYLON_QUERY_MAX_LIMIT rows, on all levels together",
                hint="Narrow it with where and limit, also in its includes.",
            )
        if node.plan.spec.audit_reads:
            self.shown.append((node.plan, [row[0] for row in rows]))
        found: list[bytes] = [row[1] for row in rows]
        for include in node.includes:
            link = first_link + node.links.index(include.link)
            related = self._related(include, [row[link] for row in rows])
            name = b',"%b":' % include.name.encode()
            for i, row in enumerate(rows):
                value = related.get(row[link])
                if value is not None:
                    found[i] = b"%b%b%b}" % (found[i][:-1], name, value)
                elif include.many:
                    found[i] = b"%b%b[]}" % (found[i][:-1], name)
        return found

    def _related(self, include: Include, keys: list[Any]) -> dict[Any, bytes]:
        """The JSON of what a relation leads to, by key: an object, or the array of all."""
        node = include.node
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        selection = self.readable(node.plan, node.selection)
        if not wanted or selection is None:
            return {}
        columns = (include.key, *node.links)
        rows = self.session.select_parts_of(
            node.plan.name, include.key, wanted, selection, columns, max(self.most, 0) + 1
        )
        found = self._completed(node, rows, 3)
        if not include.many:
            return {row[2]: json for row, json in zip(rows, found, strict=True)}
        by_key: dict[Any, list[bytes]] = {}
        for row, json in zip(rows, found, strict=True):
            by_key.setdefault(row[2], []).append(json)
        return {key: b"[%b]" % b",".join(each) for key, each in by_key.items()}
