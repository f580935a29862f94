"""Encrypted fields: values sealed where they are stored and logged, open everywhere else, and blind indexes that find a
row by a value without opening any.

    enc:v2:<key id>:<blind index>:<sealed, base64url>

A value is bound to its entity, row and field: what is copied to another place does not open there. The key id tells
which rows a rotation has yet to seal anew. The blind index, there for `lookup` fields only, is a keyed hash of the
value, so that equal values of one field begin alike: whoever reads the file learns which rows share a value, not the
value.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from pylon.model.errors import PylonError
from pylon.model.schema import EntitySpec, Field, Kind

PREFIX = "enc:v2:"
FOREIGN_PREFIX = "enc:v1:"
"""What the older program sealed begins with: its keys are bound in a way that is known to it alone."""

PURPOSE = "field"
_INDEX_BYTES = 16
_encode = msgspec.json.Encoder().encode


class Keys(Protocol):
    """The keys that fields are sealed with (`engine.keyring.KeyRing`)."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, the current one first."""

    def seal(self, purpose: str, plain: bytes, context: bytes = b"") -> bytes:
        """Encrypt and authenticate."""

    def open(self, purpose: str, sealed: bytes, context: bytes = b"") -> bytes:
        """What was sealed. Raises SEALED_UNREADABLE."""

    def key_id(self, sealed: bytes) -> str:
        """The id of the key that sealed this."""

    def marks(self, purpose: str, message: bytes) -> list[tuple[str, bytes]]:
        """Keyed hashes of a message, each with the id of its key, the current one first."""


class KeyHolder:
    """Where the entities of one app find the keys: none until the server gives them. `unreadable` counts how often a
    stored value was met that no key opens."""

    __slots__ = ("keys", "unreadable")

    def __init__(self, keys: Keys | None = None) -> None:
        self.keys = keys
        self.unreadable = 0

    def need(self) -> Keys:
        """The keys. Raises ENCRYPTION_NOT_CONFIGURED."""
        if self.keys is None:
            raise PylonError("ENCRYPTION_NOT_CONFIGURED", "Encrypted fields need the server's secret keys")
        return self.keys


class Seals:
    """The encrypted fields of one entity."""

    __slots__ = ("_entity", "fields", "holder")

    def __init__(self, spec: EntitySpec, fields: Sequence[Field], holder: KeyHolder) -> None:
        self._entity = spec.name
        self.fields = {field.name: field for field in fields}
        self.holder = holder

    def seal(self, name: str, row_id: str, value: Any) -> str:
        """The stored text of a value. Raises ENCRYPTION_NOT_CONFIGURED."""
        field, plain = self.fields[name], _encode(value)
        keys = self.holder.need()
        index = _text(keys.marks(self._index(name), plain)[0][1][:_INDEX_BYTES]) if field.lookup else ""
        sealed = keys.seal(PURPOSE, plain, self._context(name, row_id))
        return f"{PREFIX}{keys.key_id(sealed)}:{index}:{_text(sealed)}"

    def open(self, name: str, row_id: str, stored: str) -> Any:
        """The value of a stored text. Raises SEALED_UNREADABLE, ENCRYPTION_NOT_CONFIGURED."""
        return msgspec.json.decode(self.open_json(name, row_id, stored))

    def open_json(self, name: str, row_id: str, stored: str) -> bytes:
        """The same as JSON."""
        keys = self.holder.need()
        try:
            if stored.startswith(FOREIGN_PREFIX):
                raise PylonError("SEALED_UNREADABLE", f"{self._entity}.{name}: was sealed by another program")
            try:
                sealed = base64.urlsafe_b64decode(stored.rpartition(":")[2] + "==")
            except (binascii.Error, ValueError):
                raise PylonError("SEALED_UNREADABLE", f"{self._entity}.{name}: what is stored is damaged") from None
            return keys.open(PURPOSE, sealed, self._context(name, row_id))
        except PylonError:
            self.holder.unreadable += 1
            raise

    def found_by(self, name: str, value: Any) -> tuple[str, ...]:
        """What the stored texts of a value begin with, one for each key that may have sealed it."""
        keys = self.holder.need()
        marks = keys.marks(self._index(name), _encode(value))
        return tuple(f"{PREFIX}{key_id}:{_text(mark[:_INDEX_BYTES])}:" for key_id, mark in marks)

    def _index(self, name: str) -> str:
        return f"lookup {self._entity}.{name}"

    def _context(self, name: str, row_id: str) -> bytes:
        return f"{self._entity}\0{name}\0{row_id}".encode()


def is_sealed(value: object) -> bool:
    """Whether a stored value is sealed; what was written before its field was encrypted is not."""
    return isinstance(value, str) and value.startswith((PREFIX, FOREIGN_PREFIX))


def sealed_by(key_id: str) -> str:
    """What the texts that this key sealed begin with."""
    return f"{PREFIX}{key_id}:"


def encryption_problem(field: Field) -> str | None:
    """Why the field can't be encrypted as it is declared, None when it can."""
    if not field.encrypted:
        return "lookup is of an encrypted field; others are found by an index" if field.lookup else None
    if field.unique:
        return "sealed values are never alike, so unique can't be kept: look for the value before you insert"
    if field.kind is Kind.VECTOR:
        return "a vector can't be encrypted"
    if field.lookup and field.kind not in (Kind.STRING, Kind.ID, Kind.DATETIME, Kind.INT, Kind.BOOL):
        return f"lookup is of a string, id, datetime, int or bool, not of {field.type_name}"
    return None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
