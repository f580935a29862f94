"""Documents kept in memory, bounded in bytes: the least recently used go first. Writer thread only."""

from __future__ import annotations

from collections import OrderedDict

from pylon.engine.documents.document import Document

Key = tuple[str, str]
"""Entity and row."""


class Cache:
    """At most `limit` bytes, the newest document left aside."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.evicted = 0
        self._kept: OrderedDict[Key, tuple[Document, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Document | None:
        """The document, now the most recently used."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Key, document: Document) -> None:
        """Keep a document, or note what it takes now; others make room."""
        self.drop(key)
        size = document.memory
        self._kept[key] = document, size
        self.bytes += size
        while self.bytes > self.limit and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self.bytes -= gone
            self.evicted += 1

    def drop(self, key: Key) -> None:
        """Forget one; a no-op when it isn't there."""
        if (found := self._kept.pop(key, None)) is not None:
            self.bytes -= found[1]
