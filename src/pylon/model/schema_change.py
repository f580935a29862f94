"""The steps of a schema change, in the words of spec 05 §8.1 and two more (`rename_entity`, `rename_field`), and what
each of them risks."""

from __future__ import annotations

import enum

import msgspec

from pylon.model.live_schema import FieldShape


class Risk(enum.StrEnum):
    """SAFE: done at once. REBUILD: the table is written anew, which takes time and keeps every value. DESTRUCTIVE:
    values go. IMPOSSIBLE: it would lose or invent values, so somebody has to say how."""

    SAFE = "safe"
    REBUILD = "rebuild"
    DESTRUCTIVE = "destructive"
    IMPOSSIBLE = "impossible"


class Leftovers(enum.Enum):
    """What becomes of tables and columns that nothing declares any more."""

    KEEP = "keep"
    DROP = "drop"


class _Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op"):
    entity: str


class CreateEntity(_Step, frozen=True, kw_only=True, tag="create_entity"):
    """A new table."""

    fields: tuple[FieldShape, ...]


class RenameEntity(_Step, frozen=True, kw_only=True, tag="rename_entity"):
    """A table under a new name."""

    previous: str


class RemoveEntity(_Step, frozen=True, kw_only=True, tag="remove_entity"):
    """A table that goes, with its rows and their documents."""


class RemoveDocuments(_Step, frozen=True, kw_only=True, tag="remove_documents"):
    """The documents of an entity whose rows have none any more, or are gone."""


class AddField(_Step, frozen=True, kw_only=True, tag="add_field"):
    """A new column. `filled` says that rows that exist get the field's default."""

    field: FieldShape
    filled: bool = False


class RenameField(_Step, frozen=True, kw_only=True, tag="rename_field"):
    """A column under a new name."""

    field_name: str
    previous: str


class AlterField(_Step, frozen=True, kw_only=True, tag="alter_field"):
    """A column of another type, with other constraints, or shown to others. `filled` says that rows without a value get
    the default; `undeclared`, that nothing declares the field any more and its constraints are let go."""

    previous: FieldShape
    target: FieldShape
    filled: bool = False
    undeclared: bool = False


class RemoveField(_Step, frozen=True, kw_only=True, tag="remove_field"):
    """A column that goes, with its values."""

    field_name: str


class AlterSync(_Step, frozen=True, kw_only=True, tag="alter_sync"):
    """An entity that replicas are to have, or no longer."""

    sync: bool


class AddIndex(_Step, frozen=True, kw_only=True, tag="add_index"):
    """An index, new or in place of another one of its name. `name` is the database's, `<Entity>_<index>`."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    where_clause: str | None = None
    replaces: bool = False


class RemoveIndex(_Step, frozen=True, kw_only=True, tag="remove_index"):
    """An index that nothing declares any more."""

    name: str


Step = (
    CreateEntity
    | RenameEntity
    | RemoveEntity
    | RemoveDocuments
    | AddField
    | RenameField
    | AlterField
    | RemoveField
    | AlterSync
    | AddIndex
    | RemoveIndex
)


class Planned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step, what it risks, and the same for people. An impossible one says `why`, and in `mend` what to do."""

    step: Step
    risk: Risk
    sentence: str
    why: str | None = None
    mend: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a change in the order in which they are taken, and the leftovers that it keeps, as `Entity`,
    `Entity.field` or `Entity (documents)`."""

    steps: tuple[Planned, ...] = ()
    leftovers: tuple[str, ...] = ()

    def of(self, risk: Risk) -> tuple[Planned, ...]:
        """The steps of one class."""
        return tuple(planned for planned in self.steps if planned.risk is risk)

    @property
    def resyncs(self) -> bool:
        """Whether rows are then other ones to replicas, or the log no longer describes them: clients fetch anew."""
        return any(_resyncs(planned.step) for planned in self.steps)

    @property
    def reshapes(self) -> bool:
        """Whether what the archive recorded of rows before it can't be brought forward over it."""
        return any(
            isinstance(step := planned.step, RenameEntity | RenameField)
            or (isinstance(step, AlterField) and step.previous.field_type != step.target.field_type)
            for planned in self.steps
        )


def _resyncs(step: Step) -> bool:
    match step:
        case RenameEntity() | RenameField() | RemoveField() | RemoveEntity() | AlterSync():
            return True
        case AddField(filled=filled):
            return filled
        case AlterField(previous=before, target=after, filled=filled):
            return filled or before.reach != after.reach or before.field_type != after.field_type
    return False
