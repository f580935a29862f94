"""The documents of an app's rows (spec 02 §10): made when somebody first asks for one, kept equal to their rows.

A row without a document costs its writers one lookup. Its document is made here and nowhere else, out of the row, and
is stored before anybody is shown it, so that all who edit it share its first operations. From then on each write of
the row edits the document, each pushed edit becomes a write of the row through the one write path, and both are stored
in one savepoint of one transaction. Everything here runs on the writer thread.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from pylon.engine.documents.cache import Cache
from pylon.engine.documents.document import DIRTY, Document
from pylon.engine.documents.loro import LoroError, operations_in
from pylon.engine.documents.shape import Shape
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.stages import Follower
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.signals.logs import Log
from pylon.store.protocol import DocumentHead

log = Log("pylon.engine")

TAIL_UPDATES = 200
"""Updates behind a snapshot before the document is stored anew."""

TAIL_BYTES = 65_536
"""The same in bytes, or the snapshot's size where that is more."""


class Limits(NamedTuple):
    """In bytes: documents in memory, one pushed update, one stored document."""

    cache: int = 64 * 2**20
    update: int = 2**20
    document: int = 2 * 2**20


class Statistics:
    """What the documents of one process have been through."""

    __slots__ = ("compacted", "loaded", "made", "pushed", "refused", "trimmed")

    def __init__(self) -> None:
        self.made = self.loaded = self.pushed = self.refused = self.compacted = self.trimmed = 0


class Shown(NamedTuple):
    """A document as a subscriber gets it."""

    stamp: int
    snapshot: bytes


class LettingGo(Follower):
    """Documents of an entity that is declared without: nobody asks for them, and they leave with their rows."""

    def follows(self, transaction: Transaction, plan: EntityPlan, row_id: str) -> bool:
        """Whether the row has a document."""
        return transaction.session.document_head(plan.name, row_id) is not None

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """It goes with its row."""
        if change.kind == "delete":
            transaction.session.delete_document(plan.name, change.row_id)


class _Pushing(NamedTuple):
    """The edit that is being written to its row now."""

    key: tuple[str, str]
    document: Document
    patch: dict[str, Any]


class Documents(Follower):
    """The documents of one engine's rows. `source` draws stamps, incarnations and the process's name as an editor."""

    def __init__(self, plans: Plans, limits: Limits, source: random.Random | None = None) -> None:
        self.limits = limits
        self.statistics = Statistics()
        self.cache = Cache(limits.cache)
        self._source = source or random.SystemRandom()
        self._nonce = self._source.randbytes(16)
        self._shapes = {name: Shape(plan.types) for name, plan in plans.items() if plan.spec.crdt}
        self._pushing: _Pushing | None = None
        for name in self._shapes:
            plans[name].followers.append(self)

    def has(self, entity: str) -> bool:
        """Whether rows of this entity have documents."""
        return entity in self._shapes

    def let_go(self, documented: Iterable[str], plans: Plans) -> None:
        """These entities have documents in the store; of those declared without any, each goes with its row, so that no
        row made under the same id ever finds it."""
        for name in documented:
            if (plan := plans.get(name)) is not None and not plan.spec.crdt:
                plan.followers.append(LettingGo())

    # -- what the write path calls -------------------------------------------------------------------------------

    def follows(self, transaction: Transaction, plan: EntityPlan, row_id: str) -> bool:
        """Whether the row has a document."""
        return transaction.session.document_head(plan.name, row_id) is not None

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Bring the document to the row, and store it. Raises CRDT_APPLY_FAILED."""
        key = plan.name, change.row_id
        if change.kind == "delete":
            self.cache.drop(key)
            transaction.session.delete_document(*key)
            return
        try:
            change.document = self._follow(transaction, plan, change, key) or None
        except LoroError as error:  # this write fails; those that share its commit must not
            raise PylonError("CRDT_APPLY_FAILED", f"crdt write {plan.name}/{change.row_id}: {error}"[:500]) from None

    def _follow(self, transaction: Transaction, plan: EntityPlan, change: Change, key: tuple[str, str]) -> bytes:
        """Bring the document to the row, and store it; what was new in it."""
        head = transaction.session.document_head(*key)
        names: Iterable[str] = change.fields
        if self._pushing is not None and self._pushing.key == key:
            document, pushed = self._pushing.document, self._pushing.patch
            change.document_leads = True
            # What the document said itself needs no writing back; what a stage made of it does.
            names = [n for n in names if n not in pushed or pushed[n] != getattr(change.row, n)]
        elif head is not None:
            document = self._open(transaction, plan, change.row, head)
        else:
            return b""
        document.shape.fill(document.loro, change.row, names)
        return self._store(transaction, key, document, head)

    # -- what clients do -----------------------------------------------------------------------------------------

    def push(self, transaction: Transaction, plan: EntityPlan, row_id: str, update: bytes) -> Change | None:
        """Merge a client's edit and write what it makes of the row; None when it brought nothing new. Raises
        NOT_FOUND, NOT_SUPPORTED, POLICY_DENIED, PAYLOAD_TOO_LARGE, DOCUMENT_TOO_LARGE, CRDT_DECODE_FAILED,
        CRDT_OUTDATED, CRDT_APPLY_FAILED, and what `Transaction.update` raises."""
        row = transaction.to_edit(plan, row_id, len(update))
        if not self.has(plan.name):
            raise PylonError("NOT_SUPPORTED", f"{plan.name} has no documents: it is declared crdt: false")
        key = plan.name, row_id
        try:
            return self._push(transaction, plan, row, update)
        except PylonError:
            self.cache.drop(key)
            transaction.judge_update(plan, row, len(update))  # who may not edit the row learns nothing of its document
            head = transaction.session.document_head(*key)
            if head is None or head.pending is None:
                self.statistics.refused += 1
                raise
        return self._push_alone(transaction, plan, row, update, head)

    def _push_alone(
        self, transaction: Transaction, plan: EntityPlan, row: Any, update: bytes, head: DocumentHead
    ) -> Change | None:
        """The same without what waits for earlier edits: what somebody else sent must not refuse this one."""
        key = plan.name, row.id
        alone = msgspec.structs.replace(head, stamp=self._source.getrandbits(63), pending=None)
        transaction.session.put_document_head(*key, alone)
        try:
            change = self._push(transaction, plan, row, update)
        except PylonError:
            self.statistics.refused += 1
            self.cache.drop(key)
            raise
        log.warning("edits that waited for earlier ones were dropped: what they make is refused", entity=plan.name)
        return change

    def _push(self, transaction: Transaction, plan: EntityPlan, row: Any, update: bytes) -> Change | None:
        key = plan.name, row.id
        head = transaction.session.document_head(*key)
        self._measure(update)
        document = self._open(transaction, plan, row, head)
        if head is None or head.incarnation != document.incarnation:
            self._store(transaction, key, document, head)
            head = transaction.session.document_head(*key)
        if document.stored + len(update) > self.limits.document:
            self._shrink(transaction, key, document, head, len(update))
            head = transaction.session.document_head(*key)
        before = document.pending()
        try:
            touched = document.merge(update)
            news, waiting = document.news(), document.pending()
        except LoroError as error:
            raise _undecodable(error) from None
        if len(news) > self.limits.document:
            raise _too_large(len(news), self.limits.document)
        if not news:
            transaction.judge_update(plan, row, len(update))  # a rule that reads `new` was not asked yet
            if waiting != before:
                self._hold(transaction, key, document, head, waiting)
            else:
                self._clean(document, head)
            return None
        patch = document.shape.changed(document.loro, row, touched)
        self._pushing = _Pushing(key, document, dict(patch))
        try:
            change = transaction.edit(plan, row.id, patch, len(update))
        finally:
            self._pushing = None
        self.statistics.pushed += 1
        return change

    def show(self, transaction: Transaction, plan: EntityPlan, row_id: str, reader: Identity) -> Shown | None:
        """The document of a row that this reader may replicate, made now if there is none; None for no such row."""
        row = transaction.get(plan, row_id)
        if row is None or not self.has(plan.name) or not transaction.may_replicate(plan, row, reader):
            return None
        key = plan.name, row_id
        head = transaction.session.document_head(*key)
        document = self._open(transaction, plan, row, head)
        if document.stamp == DIRTY:
            self._store(transaction, key, document, head)
        return Shown(document.stamp, document.snapshot())

    # -- in memory and stored ------------------------------------------------------------------------------------

    def _open(self, transaction: Transaction, plan: EntityPlan, row: Any, head: DocumentHead | None) -> Document:
        """The row's document as the store holds it, and equal to the row; DIRTY where that took an edit."""
        key = plan.name, row.id
        shape = self._shapes[plan.name]
        if head is None:
            document = Document(shape, self._source.getrandbits(63), self._nonce)
            shape.fill(document.loro, row, (*shape.registers, *shape.containers))
            self.statistics.made += 1
        else:
            kept = self.cache.get(key)
            if kept is not None and kept.stamp == head.stamp:
                return kept
            document = Document(shape, head.incarnation, self._nonce)
            stored = transaction.session.document(*key)
            try:
                document.load(stored.snapshot, stored.updates, head.pending)
                shape.fill(document.loro, row, (*shape.registers, *shape.containers))
            except (LoroError, PylonError):
                # Made anew out of the row: an operator reads of it, and clients that subscribe again go on.
                log.error("a stored document can't be read; making it anew", entity=plan.name, row_id=row.id)
                return self._open(transaction, plan, row, None)
            document.stored = head.snapshot_bytes + head.update_bytes
            self.statistics.loaded += 1
        if head is not None and not document.news():
            document.stamp = head.stamp
        self.cache.keep(key, document)
        return document

    def _store(
        self, transaction: Transaction, key: tuple[str, str], document: Document, head: DocumentHead | None
    ) -> bytes:
        """Store what is new in a document; what that was."""
        news = document.news()
        if not news:
            self._clean(document, head)
            return news
        session = transaction.session
        stamp, pending = self._source.getrandbits(63), document.pending()
        is_behind = head is not None and head.incarnation == document.incarnation
        if head is None or not is_behind or _is_long(head, len(news)):
            self._compact(transaction, key, document, stamp, pending)
        else:
            bytes_behind = head.update_bytes + len(news)
            after = DocumentHead(head.incarnation, stamp, head.snapshot_bytes, head.updates + 1, bytes_behind, pending)
            session.append_document(*key, after, news)
            document.persisted(stamp, head.snapshot_bytes + bytes_behind)
        self.cache.keep(key, document)
        return news

    def _compact(
        self, transaction: Transaction, key: tuple[str, str], document: Document, stamp: int, pending: bytes | None
    ) -> None:
        snapshot = document.snapshot()
        head = DocumentHead(document.incarnation, stamp, len(snapshot), 0, 0, pending)
        transaction.session.put_document(*key, head, snapshot, f"{int(transaction.now.timestamp())}Z")
        document.persisted(stamp, len(snapshot))
        self.statistics.compacted += 1

    def _hold(
        self,
        transaction: Transaction,
        key: tuple[str, str],
        document: Document,
        head: DocumentHead | None,
        waiting: bytes | None,
    ) -> None:
        """Store an edit that builds on one which isn't here yet: it is merged as soon as that arrives."""
        if waiting is not None and len(waiting) > self.limits.update:
            raise PylonError("CRDT_OUTDATED", "Too many edits wait for earlier ones that never came.")
        assert head is not None
        stamp = self._source.getrandbits(63)
        after = DocumentHead(head.incarnation, stamp, head.snapshot_bytes, head.updates, head.update_bytes, waiting)
        transaction.session.put_document_head(*key, after)
        document.persisted(stamp, head.snapshot_bytes + head.update_bytes)

    @staticmethod
    def _clean(document: Document, head: DocumentHead | None) -> None:
        if head is not None and head.incarnation == document.incarnation:
            document.stamp = head.stamp

    # -- bounds --------------------------------------------------------------------------------------------------

    def _measure(self, update: bytes) -> None:
        if len(update) > self.limits.update:
            raise PylonError(
                "PAYLOAD_TOO_LARGE",
                f"An update has at most {self.limits.update} bytes",
                hint="Send edits as they are made, or raise PYLON_CRDT_UPDATE_MAX_BYTES.",
            )
        try:
            operations = operations_in(update)
        except LoroError as error:
            raise _undecodable(error) from None
        if operations > self.limits.document:
            raise _too_large(operations, self.limits.document)

    def _shrink(
        self, transaction: Transaction, key: tuple[str, str], document: Document, head: DocumentHead | None, more: int
    ) -> None:
        """Make room: store the document as one snapshot, and if that isn't enough, without its history. Raises
        DOCUMENT_TOO_LARGE when it still is too large."""
        size = len(document.snapshot())
        if size + more > self.limits.document:
            document.trim()
            size = len(document.snapshot())
            self.statistics.trimmed += 1
            log.info("a document's history was trimmed", entity=key[0], row_id=key[1], bytes=size)
        if size + more > self.limits.document:
            raise _too_large(size + more, self.limits.document)
        self._compact(transaction, key, document, self._source.getrandbits(63), document.pending())
        self.cache.keep(key, document)


def _is_long(head: DocumentHead, more: int) -> bool:
    return head.updates >= TAIL_UPDATES or head.update_bytes + more > max(TAIL_BYTES, head.snapshot_bytes)


def _undecodable(error: LoroError) -> PylonError:
    if "shallow" in str(error) or "outdated" in str(error):
        return PylonError("CRDT_OUTDATED", "The edit builds on history that this document no longer has.")
    return PylonError("CRDT_DECODE_FAILED", "The update is not one that loro can read.")


def _too_large(size: int, limit: int) -> PylonError:
    return PylonError("DOCUMENT_TOO_LARGE", f"The document would have {size} bytes; {limit} are allowed.")
