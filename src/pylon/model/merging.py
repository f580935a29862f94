"""How concurrent edits of a field merge in the document of its row (spec 02 §10.2), and which fields it holds."""

from __future__ import annotations

import enum

from pylon.model.schema import EntitySpec, Field, Kind


class Merge(enum.StrEnum):
    """The values of `field(crdt=...)`: the last value wins, or the edits themselves merge."""

    LWW = "lww"
    TEXT = "text"
    COUNTER = "counter"
    LIST = "list"
    MOVABLE_LIST = "movable-list"
    TREE = "tree"


_KINDS: dict[Merge, tuple[Kind, ...]] = {
    Merge.LWW: tuple(Kind),
    Merge.TEXT: (Kind.STRING, Kind.RICHTEXT),
    Merge.COUNTER: (Kind.INT, Kind.FLOAT),
    Merge.LIST: (Kind.JSON,),
    Merge.MOVABLE_LIST: (Kind.JSON,),
    Merge.TREE: (Kind.JSON,),
}


def merge_of(field: Field) -> Merge:
    """How the field merges: as declared, else rich text by its edits and everything else as a whole."""
    if field.crdt is not None:
        return Merge(field.crdt)
    return Merge.TEXT if field.kind is Kind.RICHTEXT and not field.enum_values else Merge.LWW


def merge_problem(field: Field) -> str | None:
    """Why a field can't merge as it is declared to, None when it can."""
    merge = Merge(field.crdt or Merge.LWW)
    if field.kind not in _KINDS[merge]:
        wanted = " or ".join(_KINDS[merge])
        return f'crdt "{merge}" merges {wanted}, not {field.type_name}'
    if merge is Merge.LWW:
        return None
    if field.enum_values:
        return f'crdt "{merge}" would make other values than those listed'
    if not is_shared(field):
        return f'crdt "{merge}" needs a field that clients replicate'
    return None


def is_shared(field: Field) -> bool:
    """Whether the documents of rows hold this field: what doesn't replicate must not leave by them either."""
    return not (field.server_only or field.sync_omit or field.encrypted or field.kind is Kind.VECTOR)


def shared_fields(entity: EntitySpec) -> tuple[Field, ...]:
    """The fields that documents hold, as declared."""
    return tuple(field for field in entity.fields if is_shared(field))
