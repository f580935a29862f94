"""What rules of writes see of an edit of a document, as keys of `data` beside the row's fields (spec 02 §10.6). For
every other write they are null."""

from __future__ import annotations

from typing import Any

from pylon.model.schema import Kind

IS_EDIT = "_pylon_crdt_update"
EDIT_BYTES = "_pylon_update_size_bytes"
EDIT_KEYS = {IS_EDIT: Kind.BOOL, EDIT_BYTES: Kind.INT}
"""True, and the size of the update in bytes as it was sent. No field can have such a name."""


class EditedRow:
    """A row as `data` of the rule that judges an edit of its document by an update of so many bytes."""

    __slots__ = ("_row", EDIT_BYTES, IS_EDIT)

    def __init__(self, row: Any, size: int) -> None:
        self._row = row
        setattr(self, IS_EDIT, True)
        setattr(self, EDIT_BYTES, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)
