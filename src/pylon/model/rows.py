"""Row types compiled once per entity: decode with validation, encode, and convert to and from stored values.

Inside the server a row is an instance of `RowTypes.row`, a Struct whose attributes are the wire names (`id` and
every field, in alphabetical order) and whose values are wire primitives. Types are enforced on every door (spec 05
§24.10); presence and uniqueness are left to the store, whose wording clients rely on (spec 01 §4.6).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pylon.model.bounds import bounded, broken_bound, pattern_of
from pylon.model.errors import PylonError
from pylon.model.ids import is_row_id
from pylon.model.schema import DefaultLiteral, EntitySpec, Field, Kind
from pylon.model.sealing import KeyHolder, Seals

MAX_NESTING = 127
"""Levels of arrays and objects in a JSON body (spec 01 §4.2)."""

_INT64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?"
_DATETIME = Annotated[str, Meta(pattern=f"^{_DATE}([T ]{_TIME})?\\Z")]
_PRIMITIVES: dict[Kind, Any] = {
    Kind.STRING: str,
    Kind.RICHTEXT: str,
    Kind.ID: str,
    Kind.DATETIME: _DATETIME,
    Kind.INT: _INT64,
    Kind.FLOAT: float,
    Kind.BOOL: bool,
    Kind.JSON: Any,
}
_EXPECTED = {Kind.RICHTEXT: "string", Kind.ID: "string", Kind.DATETIME: "ISO 8601 datetime", Kind.JSON: "JSON"}

Stored = str | int | float | bytes | None
"""What a column holds."""


def field_type(field: Field) -> Any:
    """The msgspec type that a value of the field must have; null is added by the callers."""
    if field.enum_values:
        return Literal[field.enum_values]
    if field.kind is Kind.VECTOR:
        return Annotated[list[float], Meta(min_length=field.dimensions, max_length=field.dimensions)]
    return bounded(field, _PRIMITIVES[field.kind])


class RowTypes:
    """The compiled forms of one entity's rows."""

    __slots__ = (
        "_decode_patch",
        "_decode_row",
        "_dumps",
        "_fields",
        "_hidden_copy",
        "_loads",
        "_patch_type",
        "_patterns",
        "columns",
        "entity",
        "hidden_defaults",
        "literal_defaults",
        "row",
        "seals",
    )

    def __init__(self, spec: EntitySpec) -> None:
        self.entity = spec
        self.seals: Seals | None = None
        self._fields = {f.name: f for f in spec.fields}
        self.columns = tuple(sorted(["id", *self._fields]))
        declared = [(f.name, f.default.value) for f in spec.fields if isinstance(f.default, DefaultLiteral)]
        self.hidden_defaults = tuple((name, value) for name, value in declared if self._fields[name].is_hidden)
        defaults = {name: value for name, value in declared if not self._fields[name].is_hidden}
        self.literal_defaults = tuple(defaults.items())
        types = {name: field_type(f) for name, f in self._fields.items()} | {"id": str}
        self.row: type[Struct] = msgspec.defstruct(
            spec.name,
            [(name, types[name] | None, _struct_default(defaults.get(name))) for name in self.columns],
            gc=False,
            forbid_unknown_fields=True,
        )
        self._patch_type = msgspec.defstruct(
            f"{spec.name}Patch",
            [(name, types[name] | None | UnsetType, UNSET) for name in self.columns],
            gc=False,
            forbid_unknown_fields=True,
        )
        self._decode_row = msgspec.json.Decoder(self.row).decode
        self._decode_patch = msgspec.json.Decoder(self._patch_type).decode
        indexed = [(i, self._fields[name]) for i, name in enumerate(self.columns) if name in self._fields]
        self._loads = tuple((i, load) for i, f in indexed if not f.encrypted and (load := _LOADS.get(f.kind)))
        self._dumps = tuple((i, dump) for i, f in indexed if not f.encrypted and (dump := _DUMPS.get(f.kind)))
        self._patterns = tuple((f.name, found) for f in spec.fields if (found := pattern_of(f)))
        hidden = {f.name for f in spec.fields if f.is_hidden or f.sync_omit}
        self._hidden_copy = _projection(self, hidden) if hidden else None

    # -- decoding what clients send ------------------------------------------------------------------------------

    def decode_insert(self, body: bytes) -> Any:
        """A new row out of a JSON body: literal defaults filled in, types checked. Raises INVALID_JSON, INVALID_DATA,
        INVALID_COLUMN, INVALID_ID."""
        try:
            row: Any = self._decode_row(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._explain(body, "Insert") from None
        return self._finish_insert(row, body)

    def convert_insert(self, data: dict[str, Any]) -> Any:
        """The same out of a decoded object."""
        try:
            row: Any = msgspec.convert(data, self.row)
        except (msgspec.MsgspecError, RecursionError):
            raise self._explain_object(data, "Insert") from None
        return self._finish_insert(row, None)

    def _finish_insert(self, row: Any, body: bytes | None) -> Any:
        if body is not None and body.count(b"[") + body.count(b"{") > MAX_NESTING:
            check_nesting(body)
        if row.id is not None and not is_row_id(row.id):
            raise _invalid_id(row.id)
        for name, default in self.literal_defaults:
            if getattr(row, name) is None:
                setattr(row, name, default)
        for name, pattern in self._patterns:
            if (value := getattr(row, name)) is not None and not pattern.matches(value):
                raise self._broken(name, value)
        return row

    def decode_patch(self, body: bytes) -> dict[str, Any]:
        """The changed fields out of a JSON body, `id` left out. Raises as decode_insert."""
        try:
            patch = self._decode_patch(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._explain(body, "Update") from None
        if body.count(b"[") + body.count(b"{") > MAX_NESTING:
            check_nesting(body)
        return self._set_fields(patch)

    def convert_patch(self, data: dict[str, Any]) -> dict[str, Any]:
        """The same out of a decoded object."""
        try:
            patch = msgspec.convert(data, self._patch_type)
        except (msgspec.MsgspecError, RecursionError):
            raise self._explain_object(data, "Update") from None
        return self._set_fields(patch)

    def _set_fields(self, patch: Struct) -> dict[str, Any]:
        values = zip(self.columns, msgspec.structs.astuple(patch), strict=True)
        fields = {name: value for name, value in values if value is not UNSET and name != "id"}
        for name, pattern in self._patterns:
            if (value := fields.get(name)) is not None and not pattern.matches(value):
                raise self._broken(name, value)
        return fields

    # -- the row in its other shapes -----------------------------------------------------------------------------

    def load(self, values: tuple[Stored, ...]) -> Any:
        """A row out of stored values in the order of `columns`."""
        if not self._loads:
            return self.row(*values)
        items: list[Any] = list(values)
        for i, load in self._loads:
            if items[i] is not None:
                items[i] = load(items[i])
        return self.row(*items)

    def dump(self, row: Any) -> tuple[Stored, ...]:
        """Stored values of a row, in the order of `columns`."""
        values = msgspec.structs.astuple(row)
        if not self._dumps:
            return values
        items: list[Any] = list(values)
        for i, dump in self._dumps:
            if items[i] is not None:
                items[i] = dump(items[i])
        return tuple(items)

    def dump_value(self, name: str, value: Any) -> Stored:
        """The stored value of one field."""
        dump = _DUMPS.get(self._fields[name].kind) if name in self._fields else None
        return cast("Stored", value if dump is None or value is None else dump(value))

    def dump_patch(self, row_id: str, patch: dict[str, Any]) -> dict[str, Stored]:
        """The stored values of some fields of a row."""
        return {name: self.dump_value(name, value) for name, value in patch.items()}

    def stored(self, data: bytes) -> tuple[Stored, ...]:
        """The stored values of a row out of its own full encoding."""
        return self.dump(self.parse(data))

    def load_sealed(self, values: tuple[Stored, ...]) -> Any:
        """The row with its encrypted fields, if it has any, as they are stored."""
        return self.load(values)

    def decode_import(self, body: bytes) -> Any:
        """A new row out of what an export wrote. Raises as decode_insert."""
        return self.decode_insert(body)

    def convert_import(self, data: dict[str, Any]) -> Any:
        """The same out of a decoded object."""
        return self.convert_insert(data)

    def parse(self, data: bytes) -> Any:
        """A row out of its own full encoding, also one written under an earlier declaration of the entity."""
        try:
            return self._decode_row(data)
        except msgspec.ValidationError:
            known = msgspec.json.decode(data)
            return self.row(*[known.get(name) for name in self.columns])

    def encode(self, row: Any) -> bytes:
        """JSON of the full row, hidden fields included: for the change log, never for a client."""
        return _encode(row)

    def encode_replica(self, row: Any, full: bytes) -> bytes:
        """JSON of the row as replicas may hold it (no serverOnly, no syncOmit). `full` is `encode(row)`."""
        return full if self._hidden_copy is None else _encode(self._hidden_copy(row))

    # -- saying what is wrong ------------------------------------------------------------------------------------

    def _explain(self, body: bytes, verb: str) -> PylonError:
        return self._explain_object(decode_json(body), verb)

    def _explain_object(self, data: Any, verb: str) -> PylonError:
        if not isinstance(data, dict):
            return PylonError("INVALID_DATA", f"{verb} data must be a JSON object")
        for name in data:
            if name != "id" and name not in self._fields:
                return self.unknown_column(name)
        row_id = data.get("id")
        if row_id is not None and not isinstance(row_id, str):
            return _invalid_id(row_id)
        for name, field in self._fields.items():
            if data.get(name) is not None and (problem := _problem(field, data[name])):
                return PylonError("INVALID_DATA", f"{self.entity.name}.{name}: {problem}")
        return PylonError("INVALID_DATA", f"{verb} data does not match entity {self.entity.name}")

    def _broken(self, name: str, value: Any) -> PylonError:
        return PylonError("INVALID_DATA", f"{self.entity.name}.{name}: {broken_bound(self._fields[name], value)}")

    def unknown_column(self, name: str, valid: Iterable[str] | None = None) -> PylonError:
        """INVALID_COLUMN in the wording that clients know; `valid` are the names they may use, by default all that
        don't stay on the server."""
        shown = (f.name for f in self.entity.fields if not f.is_hidden)
        listed = ", ".join(["id", *(shown if valid is None else valid)])
        return PylonError("INVALID_COLUMN", f'Unknown column "{name}" -- valid columns: {listed}')


def compile_rows(spec: EntitySpec, holder: KeyHolder | None = None) -> RowTypes:
    """Compile an entity's row types. `holder` is where encrypted fields find their keys."""
    if not any(field.encrypted for field in spec.fields):
        return RowTypes(spec)
    from pylon.model.sealed_rows import SealedRowTypes  # which extends what is above

    return SealedRowTypes(spec, holder or KeyHolder())


def decode_json(body: bytes) -> Any:
    """Any JSON value. Raises INVALID_JSON, also for nesting above MAX_NESTING."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise invalid_json() from None
    if body.count(b"[") + body.count(b"{") > MAX_NESTING:
        check_nesting(body)
    return value


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises INVALID_JSON for anything else."""
    value = decode_json(body)
    if not isinstance(value, dict):
        raise invalid_json()
    return value


def invalid_json() -> PylonError:
    """INVALID_JSON in the wording that clients know."""
    return PylonError("INVALID_JSON", "Invalid request body")


def check_nesting(body: bytes) -> None:
    """Raise INVALID_JSON when arrays and objects nest deeper than MAX_NESTING. `body` is valid JSON."""
    depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_NESTING:
                raise invalid_json()
        elif byte in b"]}":
            depth -= 1


_encode = msgspec.json.Encoder().encode


def _struct_default(value: Any) -> Any:
    if isinstance(value, list | dict):
        encoded = msgspec.json.encode(value)
        return msgspec.field(default_factory=lambda: msgspec.json.decode(encoded))
    return value


def _projection(types: RowTypes, hidden: set[str]) -> Callable[[Any], Struct]:
    kept = [name for name in types.columns if name not in hidden]
    public = msgspec.defstruct(f"{types.entity.name}Public", [(name, Any, None) for name in kept], gc=False)
    if len(kept) == 1:
        return lambda row: public(row.id)
    getter = attrgetter(*kept)
    return lambda row: public(*getter(row))


def _dump_json(value: Any) -> str:
    return _encode(value).decode()


def _dump_vector(value: list[float]) -> bytes:
    return struct.pack(f"<{len(value)}f", *value)


def _load_vector(value: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(value) // 4}f", value))


_LOADS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOL: bool,
    Kind.JSON: msgspec.json.decode,
    Kind.VECTOR: _load_vector,
}
_DUMPS: dict[Kind, Callable[[Any], Stored]] = {Kind.BOOL: int, Kind.JSON: _dump_json, Kind.VECTOR: _dump_vector}


_BOUNDED: dict[Kind, tuple[type, ...]] = {
    Kind.INT: (int,),
    Kind.FLOAT: (int, float),
    Kind.STRING: (str,),
    Kind.RICHTEXT: (str,),
}


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {str: "string", int: "int", float: "float", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _problem(field: Field, value: Any) -> str | None:
    try:
        msgspec.convert(value, field_type(field))
    except (msgspec.ValidationError, RecursionError):
        if field.bounds is not None and type(value) in _BOUNDED.get(field.kind, ()):
            return broken_bound(field, value) or "expected an int of 64 bits"
        if field.enum_values:
            return f"expected one of {', '.join(map(repr, field.enum_values))}"
        if field.kind is Kind.VECTOR:
            return f"expected {field.dimensions} numbers"
        expected = _EXPECTED.get(field.kind, field.kind.value)
        if field.kind is Kind.INT and type(value) is int:
            return "expected an int of 64 bits"
        return f"expected {expected}, got {_json_type(value)}"
    return None


def _invalid_id(value: object) -> PylonError:
    if isinstance(value, str):
        return PylonError(
            "INVALID_ID",
            "client-provided `id` must be a 40-char lowercase hex string "
            f'(use generateId() from @pylonsync/sync). Got: "{value[:80]}"',
        )
    shown = msgspec.json.encode(value).decode()[:80]
    return PylonError(
        "INVALID_ID",
        f"Insert data carried a non-string `id` value: {shown}. Pylon row ids are always 40-char hex strings.",
    )
