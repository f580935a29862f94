"""What a read selects, as values: conditions and parameters in SQL, order and window. Built by `filters` and by the
read path, executed by a store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pylon.model.filters import EVERYTHING, Filter, Order


@dataclass(frozen=True, slots=True)
class Selection:
    """`where` are SQL conditions over the alias `t`, all of which must hold; `parameters` what they name; `order` pairs
    of (field, descending); `fields` those to show, None for all. `filter` is the part of `where` that the caller asked
    for, as a value: what was read, for whoever wants to follow it."""

    where: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    order: Order = (("id", False),)
    limit: int | None = None
    offset: int = 0
    filter: Filter = EVERYTHING
    fields: tuple[str, ...] | None = None

    def narrowed(self, condition: str, parameters: dict[str, Any]) -> Selection:
        """The same selection under one more condition."""
        return replace(self, where=(*self.where, condition), parameters={**self.parameters, **parameters})
