"""The identity classes that asked for a part (`subset`), found by what they asked for: an equality filter through an
index, like an owner policy. So a change costs what is interested in it, not what is connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pylon.model.identity import Identity
from pylon.sync.subset import Subset

if TYPE_CHECKING:
    from pylon.sync.audiences import IdentityClass


class Partial:
    """Classes with a subset."""

    __slots__ = ("_any_row", "_by_value", "_classes", "admins")

    def __init__(self) -> None:
        self._classes: dict[tuple[Identity, Subset], IdentityClass] = {}
        self._any_row: dict[str, set[IdentityClass]] = {}
        self._by_value: dict[str, dict[str, dict[Any, set[IdentityClass]]]] = {}
        self.admins: set[IdentityClass] = set()

    def __len__(self) -> int:
        return len(self._classes)

    def __iter__(self) -> Iterator[IdentityClass]:
        return iter(self._classes.values())

    def get(self, identity: Identity, subset: Subset) -> IdentityClass | None:
        """The class, None while nobody of it is connected."""
        return self._classes.get((identity, subset))

    def add(self, group: IdentityClass, subset: Subset) -> None:
        """Index a class."""
        self._classes[group.identity, subset] = group
        if group.identity.is_admin:
            self.admins.add(group)
        for entity, part in subset.parts.items():
            if (key := part.key) is None:
                self._any_row.setdefault(entity, set()).add(group)
                continue
            values = self._by_value.setdefault(entity, {}).setdefault(key[0], {})
            for value in key[1]:
                values.setdefault(value, set()).add(group)

    def discard(self, group: IdentityClass, subset: Subset) -> None:
        """Forget a class."""
        del self._classes[group.identity, subset]
        self.admins.discard(group)
        for entity, part in subset.parts.items():
            if (key := part.key) is None:
                _take(self._any_row, entity, group)
                continue
            fields = self._by_value[entity]
            for value in key[1]:
                _take(fields[key[0]], value, group)
            if not fields[key[0]]:
                del fields[key[0]]
            if not fields:
                del self._by_value[entity]

    def candidates(self, entity: str, row: Any) -> set[IdentityClass]:
        """The classes that may have asked for this row; their filters still have to be asked."""
        found = set(self._any_row.get(entity, ()))
        for field, values in self._by_value.get(entity, _NOTHING).items():
            found |= values.get(getattr(row, field), _NOBODY)
        return found


_NOTHING: dict[str, dict[Any, set[IdentityClass]]] = {}
_NOBODY: frozenset[IdentityClass] = frozenset()


def _take(index: dict[Any, set[IdentityClass]], key: Any, group: IdentityClass) -> None:
    groups = index[key]
    groups.discard(group)
    if not groups:
        del index[key]
