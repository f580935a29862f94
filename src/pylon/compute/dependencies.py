"""Whose reads a change touches. Reads that ask for a value are found by it, so a change that nobody asked for costs a
lookup per field, however many reads there are; only the others of its entity are evaluated."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from pylon.compute.reads import Read
from pylon.model.change import Change

H = TypeVar("H", bound=Hashable)


class _Entity:
    """The reads of one entity: those found by a field's value, and those that are evaluated."""

    __slots__ = ("by_value", "evaluated")

    def __init__(self) -> None:
        self.by_value: dict[str, dict[object, set[Read]]] = {}
        self.evaluated: set[Read] = set()


class Dependencies(Generic[H]):
    """What each holder read last. Use on one thread."""

    def __init__(self) -> None:
        self._entities: dict[str, _Entity] = {}
        self._holders: dict[Read, set[H]] = {}
        self._reads: dict[H, tuple[Read, ...]] = {}

    def __len__(self) -> int:
        """Different reads held."""
        return len(self._holders)

    def put(self, holder: H, reads: Iterable[Read]) -> None:
        """These are what a holder read, instead of what it read before."""
        before = self._reads.get(holder, ())
        after = self._reads[holder] = tuple(reads)
        kept = set(before).intersection(after)
        for read in after:
            if read not in kept:
                self._add(read, holder)
        for read in before:
            if read not in kept:
                self._remove(read, holder)

    def drop(self, holder: H) -> None:
        """Forget a holder."""
        for read in self._reads.pop(holder, ()):
            self._remove(read, holder)

    def touched_by(self, change: Change) -> set[H]:
        """The holders for whom a change may matter."""
        entity = self._entities.get(change.entity)
        if entity is None:
            return set()
        found: set[H] = set()
        for read in _candidates(entity, change):
            holders = self._holders[read]
            if not found.issuperset(holders) and read.touched_by(change):
                found |= holders
        return found

    def _add(self, read: Read, holder: H) -> None:
        holders = self._holders.get(read)
        if holders is not None:
            holders.add(holder)
            return
        self._holders[read] = {holder}
        entity = self._entities.setdefault(read.entity, _Entity())
        if read.lookup is None:
            entity.evaluated.add(read)
            return
        values = entity.by_value.setdefault(read.lookup.field, {})
        for value in read.lookup.values:
            values.setdefault(value, set()).add(read)

    def _remove(self, read: Read, holder: H) -> None:
        holders = self._holders[read]
        holders.discard(holder)
        if holders:
            return
        del self._holders[read]
        entity = self._entities[read.entity]
        if read.lookup is None:
            entity.evaluated.discard(read)
        else:
            values = entity.by_value[read.lookup.field]
            for value in read.lookup.values:
                values[value].discard(read)
                if not values[value]:
                    del values[value]
            if not values:
                del entity.by_value[read.lookup.field]
        if not entity.by_value and not entity.evaluated:
            del self._entities[read.entity]


def _candidates(entity: _Entity, change: Change) -> Iterator[Read]:
    yield from entity.evaluated
    if change.kind == "update" and change.old is None:  # what it was before is not known: anything
        for values in entity.by_value.values():
            yield from itertools.chain.from_iterable(values.values())
        return
    for field, values in entity.by_value.items():
        value = getattr(change.row, field)
        if (reads := values.get(value)) is not None:
            yield from reads
        if change.old is not None:
            before = getattr(change.old, field)
            if before != value and (reads := values.get(before)) is not None:
                yield from reads
