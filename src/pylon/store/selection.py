"""What a read selects, as values: conditions and parameters in SQL, order and window. Built by `filters` and by the
read path, executed by a store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Selection:
    """`where` are SQL conditions over the alias `t`, all of which must hold; `parameters` what they name;
    `order` pairs of (field, descending)."""

    where: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    order: tuple[tuple[str, bool], ...] = (("id", False),)
    limit: int | None = None
    offset: int = 0

    def narrowed(self, condition: str, parameters: dict[str, Any]) -> Selection:
        """The same selection under one more condition."""
        return replace(self, where=(*self.where, condition), parameters={**self.parameters, **parameters})
