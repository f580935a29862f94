"""The changes that a test made, to be looked at as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pylon.model.change import Change


class ChangeEvent(msgspec.Struct, frozen=True):
    """One committed change; `data` is the whole row after it, before it for a delete."""

    kind: str
    entity: str
    row_id: str
    data: dict[str, Any]

    def __str__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" for name, value in self.data.items() if name != "id" and value is not None
        )
        return f"{self.kind} {self.entity} {shown}"


class Changes(Sequence[ChangeEvent]):
    """Everything committed since the start, or since `clear`; comparing it with a list of lines reads well:

    assert t.changes.lines == ["insert Note title='x'", "update Note title='y'"]
    """

    def __init__(self) -> None:
        self._events: list[ChangeEvent] = []

    def add(self, changes: Sequence[Change]) -> None:
        """What a commit made."""
        self._events += [
            ChangeEvent(change.kind, change.entity, change.row_id, msgspec.json.decode(change.data))
            for change in changes
        ]

    def clear(self) -> None:
        """Begin anew."""
        self._events.clear()

    def of(self, entity: str | type) -> list[ChangeEvent]:
        """Those of one entity."""
        name = entity if isinstance(entity, str) else entity.__name__
        return [event for event in self._events if event.entity == name]

    @property
    def lines(self) -> list[str]:
        """One line for each, without ids."""
        return [str(event) for event in self._events]

    def __getitem__(self, index: Any) -> Any:
        return self._events[index]

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[ChangeEvent]:
        return iter(list(self._events))
