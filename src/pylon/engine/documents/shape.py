"""The shape of an entity's documents (spec 02 §10.2): which field is what in the map `row`, compiled once at start.

`fill` brings fields of a document to a row, `changed` reads what an edit made of them. Where both are the same nothing
is edited, so bringing a document to the row that it already shows costs no operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loro import LoroDoc, LoroMap, LoroText, ValueOrContainer

from pylon.engine.documents.containers import CONTAINERS, Container, plain, write_text
from pylon.engine.documents.loro import LoroError, guarded
from pylon.model.errors import PylonError
from pylon.model.merging import Merge, merge_of, shared_fields
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind

ROOT = "row"
"""The map that holds the fields."""

EXACT_INT = 2**53
"""Integers up to here are doubles in documents, as clients write them; above, they stay integers."""


class Shape:
    """One entity's. `texts` are the fields that merge as text: each has, beside its container in the map, a root text
    of the field's name, which `useCollabText` edits (spec 02 §20.4)."""

    def __init__(self, types: RowTypes) -> None:
        self.types = types
        self.containers: dict[str, Container] = {}
        registers: list[str] = []
        self._ints: set[str] = set()
        for field in shared_fields(types.entity):
            merge = merge_of(field)
            if merge is Merge.LWW:
                registers.append(field.name)
            else:
                self.containers[field.name] = CONTAINERS[merge]
            if field.kind is Kind.INT:
                self._ints.add(field.name)
        self.registers = tuple(registers)
        self.texts = tuple(name for name, container in self.containers.items() if container.kind is LoroText)
        self.names = frozenset((*self.registers, *self.containers))

    def fill(self, doc: LoroDoc, row: Any, names: Iterable[str]) -> None:
        """Bring these fields of the document to this row's. Raises CRDT_APPLY_FAILED."""
        name = ""
        try:
            with guarded():
                fields = doc.get_map(ROOT)
                for name in names:
                    if (container := self.containers.get(name)) is not None:
                        self._fill_container(doc, fields, name, container, getattr(row, name))
                    elif name in self.names:
                        _fill_register(fields, name, getattr(row, name))
                doc.commit()
        except LoroError as error:
            raise self._refused(row.id, f"field {name}: {error}") from None

    def _fill_container(self, doc: LoroDoc, fields: LoroMap, name: str, container: Container, value: Any) -> None:
        attached = _attached(fields, name, container.kind)
        if attached is None:
            attached = fields.insert_container(name, container.kind())
        if not self._is_same(container, container.read(attached), value):
            container.write(attached, value)
        if container.kind is LoroText:
            write_text(doc.get_text(name), value)

    @staticmethod
    def _is_same(container: Container, held: Any, value: Any) -> bool:
        return held == container.empty if value is None else container.is_same(held, value)

    def check_keys(self, doc: LoroDoc, before: frozenset[str]) -> frozenset[str]:
        """The keys of the map. Raises CRDT_APPLY_FAILED for one that an edit brought and no field has."""
        with guarded():
            keys = frozenset(doc.get_map(ROOT).keys())
        if unknown := keys - before - self.names:
            raise self._refused("", f"unknown field {min(unknown)[:100]}")
        return keys

    def changed(self, doc: LoroDoc, row: Any, names: set[str]) -> dict[str, Any]:
        """What the document makes of these fields, where it differs from the row; types are checked. Raises
        CRDT_APPLY_FAILED."""
        patch: dict[str, Any] = {}
        name = ""
        try:
            with guarded():
                fields = doc.get_map(ROOT)
                for name in sorted(names):
                    old = getattr(row, name)
                    container = self.containers.get(name)
                    if container is None:
                        new = self._register(fields, name)
                        if new != old or type(new) is not type(old):
                            patch[name] = new
                        continue
                    attached = _attached(fields, name, container.kind)
                    new = None if attached is None else container.read(attached)
                    if attached is None or not self._is_same(container, new, old):
                        patch[name] = new
        except LoroError as error:
            raise self._refused(row.id, f"field {name}: {error}") from None
        for name in self._ints.intersection(patch):
            if isinstance(value := patch[name], float) and value.is_integer():
                patch[name] = int(value)
        try:
            return self.types.convert_patch(patch)
        except PylonError as error:
            raise self._refused(row.id, error.message) from None

    def _register(self, fields: LoroMap, name: str) -> Any:
        held = fields.get(name)
        if held is None:
            return None
        if not isinstance(held, ValueOrContainer.Value):
            raise LoroError("expected a value, got a container")
        value = held.value
        if isinstance(value, float) and name not in self._ints and value == value and abs(value) != float("inf"):
            return value
        return plain(value)

    def _refused(self, row_id: str, problem: str) -> PylonError:
        name = self.types.entity.name
        return PylonError("CRDT_APPLY_FAILED", f"crdt write {name}/{row_id}: apply: {problem}"[:500])


def _fill_register(fields: LoroMap, name: str, value: Any) -> None:
    held = getattr(fields.get(name), "value", None)
    if value is None:
        if held is not None:
            fields.delete(name)
        return
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= EXACT_INT:
        value = float(value)
    if held != value or type(held) is not type(value):
        fields.insert(name, value)


def _attached(fields: LoroMap, name: str, kind: type) -> Any | None:
    """The field's container, None when there is none. Raises LoroError for anything else in its place."""
    held = fields.get(name)
    if held is None:
        return None
    container = getattr(held, "container", None)
    if not isinstance(container, kind):
        raise LoroError(f"expected {kind.__name__.removeprefix('Loro').lower()}, got another value")
    return container
