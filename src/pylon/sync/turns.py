"""Whose turn it is: a queue in which everybody has a line of their own, and the lines take turns.

So whoever asks for much waits behind himself, not others behind him. A line may be held back for a while.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

Owner = str | None


class Turns(Generic[T]):
    """Items by owner. The number of items is bounded by whoever puts them in."""

    def __init__(self) -> None:
        self._lines: dict[Owner, deque[T]] = {}
        self._held: set[Owner] = set()
        self._order: deque[Owner] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, owner: Owner, item: T) -> None:
        """Queue an item behind the owner's others."""
        line = self._lines.get(owner)
        if line is None:
            line = self._lines[owner] = deque()
            if owner not in self._held:
                self._order.append(owner)
        line.append(item)
        self._size += 1

    @property
    def is_idle(self) -> bool:
        """Whether it is nobody's turn."""
        return not self._order

    @property
    def owner(self) -> Owner:
        """Whose turn it is."""
        return self._order[0]

    def take(self) -> T:
        """The first item of whose turn it is; the turn passes on."""
        owner = self._order.popleft()
        line = self._lines[owner]
        item = line.popleft()
        self._size -= 1
        if line:
            self._order.append(owner)
        else:
            del self._lines[owner]
        return item

    def hold(self) -> None:
        """Pass over whose turn it is, until `resume`."""
        self._held.add(self._order.popleft())

    def resume(self, owner: Owner) -> None:
        """Let an owner that was held take turns again."""
        self._held.discard(owner)
        if owner in self._lines:
            self._order.append(owner)

    def clear(self) -> None:
        """Forget all items."""
        self._lines.clear()
        self._order.clear()
        self._size = 0
