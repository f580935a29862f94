"""`include` in functions: rows with their related rows, one statement per level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pylon.engine.graph import MAX_DEPTH
from pylon.engine.plan import EntityPlan
from pylon.model.errors import PylonError
from pylon.model.objects import ObjectCodec
from pylon.model.schema import Relation

if TYPE_CHECKING:
    from pylon.compute.database import Database

E = TypeVar("E")
_OPTIONS = frozenset({"where", "order", "limit", "offset", "include"})


class Included(Generic[E]):
    """A row and what was included of it. Its attributes are those of the row, and each relation by its name: a list of
    rows, or a row or None.

    Attributes:
        row: the row itself.
        related: what was included, by relation.
    """

    __slots__ = ("related", "row")

    def __init__(self, row: E, related: dict[str, Any]) -> None:
        self.row = row
        self.related = related

    def __getattr__(self, name: str) -> Any:
        related = self.related
        return related[name] if name in related else getattr(self.row, name)

    def __repr__(self) -> str:
        return f"Included({self.row!r}, {self.related!r})"


def with_related(
    database: Database, plan: EntityPlan, codec: ObjectCodec, rows: Sequence[E], include: Mapping[str, Any]
) -> list[Included[E]]:
    """The rows with what `{relation: {"where", "order", "limit", "offset", "include"}}` asks for of each of them.
    Raises RELATION_NOT_FOUND, INVALID_QUERY, QUERY_FAILED."""
    if _depth(include) > MAX_DEPTH:
        raise PylonError("QUERY_FAILED", f"include goes at most {MAX_DEPTH} levels deep")
    relations = {relation.name: relation for relation in plan.spec.relations}
    included = [Included(row, {}) for row in rows]
    for name, options in include.items():
        relation = relations.get(name)
        if relation is None:
            raise PylonError("RELATION_NOT_FOUND", f'Relation "{name}" not found on entity "{plan.name}"')
        _include(database, codec, relation, included, {} if options is True else options)
    return included


def _include(
    database: Database, codec: ObjectCodec, relation: Relation, rows: Sequence[Included[E]], options: Mapping[str, Any]
) -> None:
    if not isinstance(options, Mapping) or not _OPTIONS.issuperset(options):
        raise PylonError("INVALID_QUERY", f"{relation.name}: include takes {', '.join(sorted(_OPTIONS))}")
    link = "id" if relation.many else codec.attribute(relation.field)
    keys = list(dict.fromkeys(key for row in rows if (key := getattr(row.row, link)) is not None))
    key = relation.field if relation.many else "id"
    first, limit = int(options.get("offset") or 0), options.get("limit")
    window = slice(first, None if limit is None else first + int(limit))
    wanted = {"$and": [{key: {"$in": keys}}, options.get("where") or {}]}
    asked = {name: options[name] for name in ("order", "include") if options.get(name) is not None}
    found = database.query(relation.target, wanted, **asked) if keys else []
    by_key: dict[Any, list[Any]] = {}
    attribute = database.codec_of(relation.target).attribute(key)
    for row in found:
        by_key.setdefault(getattr(row, attribute), []).append(row)
    for each in rows:
        related = by_key.get(getattr(each.row, link), [])
        cut = related[window]
        each.related[relation.name] = cut if relation.many else (cut[0] if cut else None)


def _depth(include: Any) -> int:
    if not isinstance(include, Mapping):
        return 0
    inner = [options.get("include") for options in include.values() if isinstance(options, Mapping)]
    return 1 + max((_depth(each) for each in inner), default=0)
