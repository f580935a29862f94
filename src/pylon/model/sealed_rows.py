"""Rows of entities with encrypted fields: open in the server's hands, sealed in the table, the log and the export.

Entities without such fields are plain `RowTypes` and pay nothing for these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.model.rows import RowTypes, Stored, decode_object
from pylon.model.schema import EntitySpec, Kind
from pylon.model.sealing import KeyHolder, Seals, is_sealed


class SealedRowTypes(RowTypes):
    """The compiled forms of rows with encrypted fields."""

    __slots__ = ("_id_at", "_sealed")

    def __init__(self, spec: EntitySpec, holder: KeyHolder) -> None:
        super().__init__(spec)
        fields = [field for field in spec.fields if field.encrypted]
        self.seals = Seals(spec, fields, holder)
        self._id_at = self.columns.index("id")
        self._sealed = tuple((self.columns.index(f.name), f.name, _OPEN.get(f.kind)) for f in fields)

    def load(self, values: tuple[Stored, ...]) -> Any:
        """A row out of stored values. What was stored before its field was encrypted is taken as it is."""
        items: list[Any] = list(values)
        for i, name, load in self._sealed:
            if (value := items[i]) is not None:
                items[i] = self._opened(name, items[self._id_at], value) if is_sealed(value) else _plain(load, value)
        return super().load(tuple(items))

    def load_sealed(self, values: tuple[Stored, ...]) -> Any:
        """The row with its encrypted fields as they are stored."""
        return super().load(values)

    def dump(self, row: Any) -> tuple[Stored, ...]:
        """Stored values of a row."""
        items = list(super().dump(row))
        for i, name, _ in self._sealed:
            if items[i] is not None:
                items[i] = self._seals().seal(name, row.id, items[i])
        return tuple(items)

    def dump_patch(self, row_id: str, patch: dict[str, Any]) -> dict[str, Stored]:
        """The stored values of some fields of a row."""
        values = super().dump_patch(row_id, patch)
        for _, name, _ in self._sealed:
            if values.get(name) is not None:
                values[name] = self._seals().seal(name, row_id, patch[name])
        return values

    def parse(self, data: bytes) -> Any:
        """A row out of its own full encoding."""
        tree = msgspec.json.decode(data)
        for _, name, _ in self._sealed:
            if is_sealed(value := tree.get(name)):
                tree[name] = self._opened(name, tree["id"], value)
        return self.row(*[tree.get(name) for name in self.columns])

    def stored(self, data: bytes) -> tuple[Stored, ...]:
        """The stored values of a row out of its own full encoding: what is sealed there stays so."""
        tree = msgspec.json.decode(data)
        return super().dump(self.row(*[tree.get(name) for name in self.columns]))

    def encode(self, row: Any) -> bytes:
        """JSON of the full row, its encrypted fields sealed."""
        logged = copy.copy(row)
        for _, name, _ in self._sealed:
            if (value := getattr(row, name)) is not None:
                setattr(logged, name, self._seals().seal(name, row.id, value))
        return super().encode(logged)

    def encode_replica(self, row: Any, full: bytes) -> bytes:
        """JSON of the row as replicas may hold it: open."""
        return super().encode(row if self._hidden_copy is None else self._hidden_copy(row))

    def decode_import(self, body: bytes) -> Any:
        """A new row out of what an export wrote: encrypted fields sealed with a key of this server, or open."""
        return self.convert_import(decode_object(body))

    def convert_import(self, data: dict[str, Any]) -> Any:
        """The same out of a decoded object."""
        for _, name, _ in self._sealed:
            if is_sealed(value := data.get(name)):
                try:
                    data = {**data, name: self._opened(name, str(data.get("id")), value)}
                except PylonError:
                    raise PylonError(
                        "INVALID_DATA",
                        f"{self.entity.name}.{name}: was sealed with a key that this server does not have, or for "
                        "another row",
                    ) from None
        return self.convert_insert(data)

    def json_of(self, name: str, row_id: str, stored: Stored) -> str | None:
        """JSON of a stored value of an encrypted field, for statements that build rows."""
        if stored is None:
            return None
        if is_sealed(stored):
            return self._seals().open_json(name, row_id, str(stored)).decode()
        field = self.entity.field(name)
        assert field is not None
        return msgspec.json.encode(_plain(_OPEN.get(field.kind), stored)).decode()

    def _seals(self) -> Seals:
        assert self.seals is not None
        return self.seals

    def _opened(self, name: str, row_id: str, stored: Any) -> Any:
        return self._seals().open(name, row_id, stored)


_OPEN: dict[Kind, Callable[[Any], Any]] = {
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.BOOL: lambda value: bool(int(value)),
    Kind.JSON: msgspec.json.decode,
}
"""How values that are not sealed are read out of the column, which is text whatever the field's type."""


def _plain(load: Any, value: Any) -> Any:
    return value if load is None else load(value)
