"""Who is connected, by identity class, and which of the classes may see a row (design §5).

A rule that doesn't read the row is decided once per class; one that compares a field with the caller's user, tenant,
e-mail or role finds its classes in an index; only the rest are evaluated class by class. Those who asked for a part are
classes of their own (`partial`); without any, nothing here pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.policy.audience import ByIdentity, ByKey, Everyone, Nobody
from pylon.policy.rules import Rule
from pylon.signals.logs import Log
from pylon.sync.events import Event, Subscriber
from pylon.sync.partial import Partial
from pylon.sync.statistics import Statistics
from pylon.sync.subset import Subset

log = Log("pylon.sync")

Answers = dict[tuple[int, Identity, int], bool]
"""What the store said: by rule, identity and row object."""


Witness = Callable[[Identity, Change], None]
"""Records that a row was shown; raises PylonError when it can't, and then it must not be shown."""

UNRECORDED = "what is shown can't be recorded; catch up by cursor"


class View(NamedTuple):
    """What fan-out needs of an entity: its read rule, what narrows replication further, and who writes down whom its
    rows are shown to, where that is asked for."""

    read: Rule
    scope: Rule | None
    witness: Witness | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule that must hold."""
        return (self.read,) if self.scope is None else (self.read, self.scope)

    @property
    def uses_exists(self) -> bool:
        """Whether the store must be asked."""
        return any(rule.uses_exists for rule in self.rules)

    @property
    def uses_time_or_store(self) -> bool:
        """Whether the same row may be seen at one moment and not at another."""
        return self.uses_exists or any(rule.uses_clock for rule in self.rules)

    @property
    def is_by_identity(self) -> bool:
        """Whether who may read any row may read every row, at any time."""
        return not self.uses_time_or_store and all(isinstance(rule.audience, ByIdentity) for rule in self.rules)

    @property
    def is_public(self) -> bool:
        """Whether everybody sees every row, and nobody writes it down."""
        return self.witness is None and self.scope is None and isinstance(self.read.audience, Everyone)


Edit = tuple[int, Event]
"""The edit of a document, behind this many events of its turn."""


class IdentityClass:
    """All subscribers of one identity that want the same, all or a subset, and what waits for them; `is_held` while a
    throttle holds it back. `edits` are what some of them get in between: edits of the documents that they watch, each
    with its place among the events."""

    __slots__ = ("bytes", "deliveries", "edits", "events", "identity", "is_held", "subscribers", "subset", "verdicts")

    def __init__(self, identity: Identity, subset: Subset | None = None) -> None:
        self.identity = identity
        self.subset = subset
        self.subscribers: set[Subscriber] = set()
        self.events: list[Event] = []
        self.edits: dict[Subscriber, list[Edit]] = {}
        self.is_held = False
        self.deliveries = self.bytes = 0
        self.verdicts: dict[Rule, bool] = {}


class Audiences:
    """The classes of everybody connected."""

    def __init__(self, views: dict[str, View], statistics: Statistics) -> None:
        self.views = views
        self.partial = Partial()
        self.has_partial = False
        self._rules = {entity: view.rules for entity, view in views.items()}
        self._by_identity = frozenset(entity for entity, view in views.items() if view.is_by_identity)
        self._readers: dict[str, set[IdentityClass]] = {}
        self.admins: set[IdentityClass] = set()
        self._statistics = statistics
        self._classes: dict[Identity, IdentityClass] = {}
        self._gone: list[tuple[str | None, int, int]] = []
        self._index: dict[str, dict[str, set[IdentityClass]]] = {
            "user_id": {},
            "tenant_id": {},
            "email": {},
            "role": {},
        }

    def __len__(self) -> int:
        return len(self._classes) + len(self.partial)

    def __iter__(self) -> Iterator[IdentityClass]:
        yield from self._classes.values()
        yield from self.partial

    @property
    def whole(self) -> Collection[IdentityClass]:
        """The classes of those who want all that they may see."""
        return self._classes.values()

    def get(self, identity: Identity, subset: Subset | None = None) -> IdentityClass | None:
        """The class, None while nobody of it is connected."""
        return self._classes.get(identity) if subset is None else self.partial.get(identity, subset)

    def open(self, identity: Identity, subset: Subset | None = None) -> IdentityClass:
        """The class, made when the first of it connects."""
        if (group := self.get(identity, subset)) is not None:
            return group
        group = IdentityClass(identity, subset)
        self._readers.clear()
        if subset is not None:
            self.partial.add(group, subset)
            self.has_partial = True
        else:
            self._classes[identity] = group
            if identity.is_admin:
                self.admins.add(group)
        for member, value in _keys(identity):
            self._index[member].setdefault(value, set()).add(group)
        return group

    def drop(self, group: IdentityClass) -> None:
        """Forget a class that nobody is left of."""
        self._readers.clear()
        if group.subset is not None:
            self.partial.discard(group, group.subset)
            self.has_partial = bool(self.partial)
        else:
            del self._classes[group.identity]
            self.admins.discard(group)
        if group.deliveries:
            self._gone.append((group.identity.user_id, group.deliveries, group.bytes))
        for member, value in _keys(group.identity):
            groups = self._index[member][value]
            groups.discard(group)
            if not groups:
                del self._index[member][value]

    def delivered(self) -> list[tuple[str | None, int, int]]:
        """(user, events, bytes) that each class was sent since the last time this was asked."""
        sent, self._gone = self._gone, []
        for group in self:
            if group.deliveries:
                sent.append((group.identity.user_id, group.deliveries, group.bytes))
                group.deliveries = group.bytes = 0
        return sent

    def witnessed(self, groups: Iterable[IdentityClass], change: Change, witness: Witness) -> set[IdentityClass]:
        """The classes that the change may be sent to now that it is recorded; the others are closed, not skipped."""
        shown = set()
        for group in groups:
            try:
                witness(group.identity, change)
            except PylonError:
                for subscriber in list(group.subscribers):
                    subscriber.end(1013, UNRECORDED)
            else:
                shown.add(group)
        return shown

    def readers(self, entity: str, row: Any, answers: Answers) -> set[IdentityClass]:
        """The classes that may see this row and want it; not to be changed."""
        if entity in self._by_identity:
            found = self._readers.get(entity)
            if found is None:
                found = {g for g in self._classes.values() if self.reads(g, entity, row, answers)}
                self._readers[entity] = found
            return found | self.partial_readers(entity, row, answers) if self.has_partial else found
        found = {g for g in self.candidates(entity, row) if self.reads(g, entity, row, answers)} | self.admins
        return self._with_admins(found, entity, row) if self.partial.admins else found

    def partial_readers(self, entity: str, row: Any, answers: Answers) -> set[IdentityClass]:
        """Of those who asked for a part, the classes that may see this row and want it."""
        found = {g for g in self.partial.candidates(entity, row) if self.reads(g, entity, row, answers)}
        return self._with_admins(found, entity, row)

    def admin_readers(self, entity: str, row: Any) -> set[IdentityClass]:
        """The admins' classes that want this row."""
        return self._with_admins(set(self.admins), entity, row)

    def _with_admins(self, found: set[IdentityClass], entity: str, row: Any) -> set[IdentityClass]:
        found.update(group for group in self.partial.admins if _wants(group, entity, row))
        return found

    def candidates(self, entity: str, row: Any) -> Iterable[IdentityClass]:
        """The classes that the read rule could let see this row, and that may want it."""
        audience = self.views[entity].read.audience
        if isinstance(audience, Nobody):
            return ()
        if isinstance(audience, ByKey):
            found: set[IdentityClass] = set()
            for key in audience.keys:
                value = getattr(row, key.field)
                if value is not None:
                    found |= self._index[key.member].get(value, _NONE)
            return found
        if not self.has_partial:
            return self._classes.values()
        return (*self._classes.values(), *self.partial.candidates(entity, row))

    def reads(self, group: IdentityClass, entity: str, row: Any, answers: Answers) -> bool:
        """Whether a class may see this row and wants it."""
        if group.subset is not None and not group.subset.matches(entity, row):
            return False
        return self.may_see(group, entity, row, answers)

    def may_see(self, group: IdentityClass, entity: str, row: Any, answers: Answers) -> bool:
        """Whether a class may see this row, wanted or not."""
        if group.identity.is_admin:
            return True
        for rule in self._rules[entity]:  # a plain loop: it runs for each class and change
            if not self._holds(rule, group, row, answers):
                return False
        return True

    def event_for(self, group: IdentityClass, change: Change, answers: Answers) -> Event | None:
        """The change as one class sees it, by the table of spec 02 §8; None for nothing."""
        if self.reads(group, change.entity, change.row, answers):
            return Event(change.event(), change.seq)
        if change.old is not None and self.reads(group, change.entity, change.old, answers):
            return Event(change.delete_event(), change.seq)
        return None

    def _holds(self, rule: Rule, group: IdentityClass, row: Any, answers: Answers) -> bool:
        if rule.uses_exists:
            return answers.get((id(rule), group.identity, id(row)), False)
        by_identity = isinstance(rule.audience, ByIdentity) and not rule.uses_clock
        if by_identity and (verdict := group.verdicts.get(rule)) is not None:
            return verdict
        try:
            verdict = rule.allows(group.identity, row, now=datetime.now(UTC))
        except Exception:  # one rule that fails denies its row; it must not stop the others
            log.exception("policy failed in fan-out")
            self._statistics.errors += 1
            return False
        if by_identity:
            group.verdicts[rule] = verdict
        return verdict


_NONE: frozenset[IdentityClass] = frozenset()


def _wants(group: IdentityClass, entity: str, row: Any) -> bool:
    return group.subset is None or group.subset.matches(entity, row)


def _keys(identity: Identity) -> list[tuple[str, str]]:
    pairs = [("user_id", identity.user_id), ("tenant_id", identity.tenant_id), ("email", identity.email)]
    return [(m, v) for m, v in pairs if v is not None] + [("role", role) for role in identity.roles]
