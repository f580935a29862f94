"""One row's document in memory: loading, merging what clients send, and exporting what others lack.

A document is as good as its `stamp`: the store gives each stored state a new one, and a copy whose stamp is another's
is not used again. So whatever was undone, or was written by another process, never lives on here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from loro import EventTriggerKind, ExportMode, LoroDoc, VersionVector

from pylon.engine.documents.containers import write_text
from pylon.engine.documents.loro import guarded, new_doc
from pylon.engine.documents.mirror import crossed, replay
from pylon.engine.documents.shape import ROOT, Shape

DIRTY = -1
"""The stamp of a document that holds what isn't stored."""

MEMORY_FACTOR = 6
"""A loaded document takes about this many times its stored size."""

MEMORY_FLOOR = 16_384
"""What a small one takes."""


class Document:
    """`incarnation` tells this document from an earlier one of the same row: a row deleted and made again has a new
    history. `stored` is the size of what the store holds of it."""

    __slots__ = (
        "__weakref__",
        "_changes",
        "_persisted",
        "_snapshot",
        "_subscription",
        "incarnation",
        "keys",
        "loro",
        "shape",
        "stamp",
        "stored",
    )

    def __init__(self, shape: Shape, incarnation: int, nonce: bytes) -> None:
        self.shape = shape
        self.incarnation = incarnation
        self.stamp = DIRTY
        self.stored = 0
        self.keys: frozenset[str] = frozenset()
        self._snapshot: bytes | None = None
        self._changes: list[Any] = []
        with guarded():
            self.loro: LoroDoc = new_doc(_peer(incarnation, nonce))
            self._persisted: VersionVector = self.loro.oplog_vv
            self._subscription: Any = None

    def load(self, snapshot: bytes, updates: Sequence[bytes], pending: bytes | None) -> None:
        """Take what the store holds. Raises LoroError."""
        with guarded():
            self.loro.import_batch([snapshot, *updates])
            if pending is not None:
                self.loro.import_(pending)
            self._persisted = self.loro.oplog_vv
            self.keys = frozenset(self.loro.get_map(ROOT).keys())

    @property
    def memory(self) -> int:
        """About how many bytes it takes in memory."""
        return MEMORY_FLOOR + MEMORY_FACTOR * self.stored

    # -- merging what a client sends -----------------------------------------------------------------------------

    def merge(self, update: bytes) -> set[str]:
        """Merge an update or snapshot; the fields it touched, by whichever container. Raises LoroError,
        CRDT_APPLY_FAILED."""
        loro = self.loro
        self.stamp = DIRTY
        self._snapshot = None
        with guarded():
            if self._subscription is None:
                self._subscription = loro.subscribe_root(_collector(self._changes))
            loro.import_(update)
        changes = list(self._changes)
        self._changes.clear()
        self.keys = self.shape.check_keys(loro, self.keys)
        touched: dict[str, Any] = {}
        roots: dict[str, Any] = {}
        with guarded():
            for change in changes:
                _sort_out(change, self.shape, touched, roots)
            if roots or any(name in touched for name in self.shape.texts):
                self._mirror(touched, roots)
        return {*touched, *roots}

    def _mirror(self, touched: dict[str, Any], roots: dict[str, Any]) -> None:
        """Make the edits of a text and of its root twin in the other of the two as well (spec 02 §20.4)."""
        loro = self.loro
        fields = loro.get_map(ROOT)
        for name in self.shape.texts:
            if name not in touched and name not in roots:
                continue
            held = getattr(fields.get(name), "container", None)
            if held is None or not hasattr(held, "apply_delta"):
                continue  # what stands there is refused when the field is read
            twin = loro.get_text(name)
            here, there = touched.get(name), roots.get(name)
            if here is not None and there is not None:
                here, there = crossed(here, there, held.len_unicode)
            replay(there, held)
            replay(here, twin)
            if (text := held.to_string()) != twin.to_string():
                write_text(twin, text)  # they had come apart: the field's own text decides
        loro.commit()

    # -- what others lack ----------------------------------------------------------------------------------------

    def news(self) -> bytes:
        """The operations that are not stored yet, empty when there are none. Raises LoroError."""
        with guarded():
            self.loro.commit()
            if self.loro.oplog_vv == self._persisted:
                return b""
            return self.loro.export(ExportMode.Updates(self._persisted))

    def pending(self) -> bytes | None:
        """What was received and waits for operations that it builds on. Raises LoroError."""
        with guarded():
            return self.loro.export_pending_updates()

    def snapshot(self) -> bytes:
        """The whole document, history included. Raises LoroError."""
        if self._snapshot is None:
            with guarded():
                self._snapshot = self.loro.export(ExportMode.Snapshot())
        return self._snapshot

    def trim(self) -> None:
        """Forget the history: only edits that build on what is there now can still be merged. Raises LoroError."""
        pending = self.pending()
        with guarded():
            trimmed = self.loro.export(ExportMode.ShallowSnapshot(self.loro.oplog_frontiers))
            fresh = new_doc(self.loro.peer_id)
            fresh.import_(trimmed)
            if pending is not None:
                fresh.import_(pending)
            self.loro, self._subscription, self._snapshot = fresh, None, None

    def persisted(self, stamp: int, stored: int) -> None:
        """The store holds it as it is now, under this stamp."""
        self.stamp, self.stored = stamp, stored
        self._persisted = self.loro.oplog_vv
        self._snapshot = None


def _collector(changes: list[Any]) -> Callable[[Any], None]:
    """Collects what imports change. It must not know the document: loro would keep both alive for ever."""

    def collect(event: Any) -> None:
        if event.triggered_by == EventTriggerKind.Import:
            changes.extend(event.events)

    return collect


def _peer(incarnation: int, nonce: bytes) -> int:
    """Whom this process's edits of this document are by. Never shared with another process or incarnation, since two
    different edits under one number would never merge; and the same at each load, so that histories stay small."""
    digest = hashlib.blake2b(incarnation.to_bytes(8, "big"), key=nonce, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _sort_out(change: Any, shape: Shape, touched: dict[str, Any], roots: dict[str, Any]) -> None:
    """Note which field a container's change belongs to; for texts, also the delta."""
    path = change.path
    name = _root_name(change.target)
    if name == ROOT:
        for key in change.diff.diff.updated:
            if key in shape.names:
                touched[key] = None
        return
    if name is not None:
        if name in shape.texts and hasattr(change.diff, "diff") and isinstance(change.diff.diff, list):
            roots[name] = change.diff.diff
        return
    keys = [getattr(item.index, "key", None) for item in path]
    if len(path) >= 2 and _root_name(path[0].container) == ROOT and keys[1] in shape.names:
        field = keys[1]
        is_text = len(path) == 2 and field in shape.texts and isinstance(change.diff.diff, list)
        touched[field] = change.diff.diff if is_text and field not in touched else None


def _root_name(container: Any) -> str | None:
    return getattr(container, "name", None)
