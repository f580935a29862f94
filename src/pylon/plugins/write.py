"""`Write`: one write of one row, as hooks see it and may still change it."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pylon.compute.database import Database
from pylon.engine.caller import Caller
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import ChangeKind
from pylon.model.errors import PylonError
from pylon.model.identity import Identity

if TYPE_CHECKING:
    from pylon.plugins.host import Plugins


class Write:
    """The subject of a hook.

    `write["title"]` is the value after the write, by attribute or wire name, as fields hold it in JSON (datetimes are
    text); `write["title"] = ...` sets it, checked like what a client sends, in `before_insert` and `before_update`.

    Attributes:
        kind: "insert", "update" or "delete".
        entity: the entity's name.
        old: the row before an update or delete, None for an insert. Not to be changed.
        transaction: the transaction that the write is part of.
    """

    __slots__ = ("_db", "_frozen", "_host", "_row", "instead", "kind", "old", "patch", "plan", "transaction")

    def __init__(
        self,
        host: Plugins,
        transaction: Transaction,
        plan: EntityPlan,
        kind: ChangeKind,
        *,
        row: Any = None,
        old: Any = None,
        patch: dict[str, Any] | None = None,
        frozen: bool = False,
    ) -> None:
        self._host = host
        self._row = row
        self._frozen = frozen
        self._db: Database | None = None
        self.transaction = transaction
        self.plan = plan
        self.kind: ChangeKind = kind
        self.old = old
        self.patch = patch
        self.instead: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Write({self.kind} {self.entity} {self.row_id})"

    @property
    def entity(self) -> str:
        return self.plan.name

    @property
    def row_id(self) -> str:
        """The row's id."""
        found: str = (self.old if self._row is None else self._row).id
        return found

    @property
    def caller(self) -> Caller:
        """Who writes, from where, through which door."""
        return self.transaction.caller

    @property
    def identity(self) -> Identity:
        """Who writes."""
        return self.transaction.caller.identity

    @property
    def is_server(self) -> bool:
        """Whether server code or an admin writes, to whom policies don't apply."""
        return self.transaction.authority is Authority.TRUSTED or self.identity.is_admin

    @property
    def is_nested(self) -> bool:
        """Whether a hook makes this write, in the course of another one."""
        return self._host.depth > 1

    @property
    def now(self) -> datetime:
        """The time of this commit."""
        return self.transaction.now

    @property
    def db(self) -> Database:
        """The rows as this transaction sees them, to read and write with server code's rights. Its writes pass all
        hooks again."""
        if self._db is None:
            self._db = self._host.database(self.transaction)
        return self._db

    @property
    def row(self) -> Any:
        """The row as it will be, or is: attributes are wire names. Not to be changed. Of a delete, the row before."""
        if self._row is not None:
            return self._row
        if not self.patch:
            return self.old
        row = copy.copy(self.old)
        for name, value in self.patch.items():
            setattr(row, name, value)
        return row

    def changes(self, name: str) -> bool:
        """Whether the write sets this field: to anything but null on insert, to another value on update."""
        name = self._wire(name)
        before = None if self.old is None else getattr(self.old, name)
        return self.kind != "delete" and self[name] != before

    def __getitem__(self, name: str) -> Any:
        name = self._wire(name)
        if self.patch is not None and name in self.patch:
            return self.patch[name]
        return getattr(self.old if self._row is None else self._row, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if self._frozen or self.kind == "delete":
            raise TypeError("a write can be changed in before_insert and before_update only")
        for wire, checked in self._checked({name: value}).items():
            if self.patch is not None:
                self.patch[wire] = checked
            else:
                setattr(self._row, wire, checked)

    def update_instead(self, **values: Any) -> None:
        """In `before_delete`: set these fields and keep the row. The delete policy decides; the change is an update."""
        if self._frozen or self.kind != "delete":
            raise TypeError("update_instead is for before_delete")
        self.instead = {**(self.instead or {}), **self._checked(values)}

    @staticmethod
    def error(code: str, message: str, *, status: int = 400, hint: str | None = None) -> PylonError:
        """An error to raise: `raise write.error("TOO_LATE", "the poll is closed")`. The caller gets code, message and
        hint, and nothing is written."""
        return PylonError(code, message, status=status, hint=hint)

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        codec = self._host.codecs.of(self.entity)[1]
        given = {codec.attribute(self._wire(name)): value for name, value in values.items()}
        return self.plan.types.convert_patch(codec.dump(given))

    def _wire(self, name: str) -> str:
        if name == "id" or self.plan.spec.field(name) is not None:
            return name
        return self._host.codecs.of(self.entity)[1].wire_name(name)
