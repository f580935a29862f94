"""The write path of one request: stamp, check, apply, record. Every door's writes come through here.

    validate and coerce (RowTypes) → stamp → policy → apply the row → append the change record

A Transaction lives on the writer thread for as long as its request runs. What it did becomes durable, and visible to
others, with the commit of the batch it is part of.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pylon.engine.audit.records import AUTH, OPERATOR, READ, Detail, Record, of_action
from pylon.engine.caller import Caller
from pylon.engine.groups import checked_groups
from pylon.engine.limits.switch import QUIET, Board
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.stages import Follower
from pylon.model.aggregates import Aggregate
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.ids import RowIds
from pylon.policy.rules import EditedRow, Rule
from pylon.store.protocol import OpRecord, Rows, WriteSession
from pylon.store.selection import Selection

MAX_GROUPS = 100_000
"""Groups that one aggregate hands to a function."""


class Authority(enum.Enum):
    """Whose rights a write is made with: the caller's, so that policies apply, or server code's own."""

    CALLER = "caller"
    TRUSTED = "trusted"


class RowAccess:
    """Typed reads of rows over any session; what functions see of the store."""

    __slots__ = ("_rows", "plans")

    def __init__(self, rows: Rows, plans: Plans) -> None:
        self._rows = rows
        self.plans = plans

    def get(self, plan: EntityPlan, row_id: str) -> Any | None:
        """A row, or None."""
        values = self._rows.get(plan.name, row_id)
        return None if values is None else plan.types.load(values)

    def select(self, plan: EntityPlan, selection: Selection) -> list[Any]:
        """The selected rows."""
        load = plan.types.load
        return [load(values) for values in self._rows.select(plan.name, selection)]

    def count(self, plan: EntityPlan, selection: Selection) -> int:
        """How many rows match."""
        return self._rows.count(plan.name, selection)

    def aggregate(self, plan: EntityPlan, selection: Selection, aggregate: Aggregate) -> list[dict[str, Any]]:
        """The groups of the selected rows. Raises QUERY_FAILED for more than MAX_GROUPS."""
        rows, count = self._rows.aggregate_json(plan.name, selection, aggregate, MAX_GROUPS + 1)
        groups: list[dict[str, Any]] = msgspec.json.decode(checked_groups(rows, count, MAX_GROUPS))
        return groups


class Batch:
    """What the requests of one group commit share: the session, the time, and what they did. `writers` tells whose
    changes are whose: (caller, first, end); `records` is what else goes into the audit log, `after` what is called once
    all of it is committed."""

    __slots__ = (
        "after",
        "board",
        "changes",
        "ids",
        "now",
        "now_text",
        "op_ids",
        "ops",
        "plans",
        "records",
        "session",
        "writers",
    )

    def __init__(self, session: WriteSession, plans: Plans, ids: RowIds, now: float, board: Board = QUIET) -> None:
        self.board = board
        self.session = session
        self.plans = plans
        self.ids = ids
        self.now = datetime.fromtimestamp(now, UTC)
        self.now_text = self.now.isoformat(timespec="milliseconds")[:23] + "Z"
        self.changes: list[Change] = []
        self.ops: list[tuple[str, str, Change | OpRecord]] = []
        self.writers: list[tuple[Caller, int, int]] = []
        self.records: dict[str, list[Record]] = {READ: [], OPERATOR: [], AUTH: []}
        self.op_ids: dict[tuple[str, str], Change | OpRecord] = {}
        self.after: list[Callable[[], None]] = []

    def scope(self) -> Scope:
        """A part that either happens or leaves nothing behind, whatever it raises."""
        return Scope(self)


class Scope:
    """`with batch.scope():`, a savepoint and how far the batch had come. A class, because every mutation opens one and
    `contextlib.contextmanager` costs three times as much."""

    __slots__ = ("_after", "_batch", "_changes", "_events", "_notes", "_ops")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __enter__(self) -> None:
        batch = self._batch
        self._changes, self._ops, self._after = len(batch.changes), len(batch.ops), len(batch.after)
        self._notes, self._events = len(batch.records[OPERATOR]), len(batch.records[AUTH])
        batch.session.savepoint()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._undo()
            return
        try:
            self._batch.session.release()
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        batch = self._batch
        batch.session.undo()
        del batch.changes[self._changes :]
        for principal, op_id, _ in batch.ops[self._ops :]:
            del batch.op_ids[principal, op_id]
        del batch.ops[self._ops :]
        del batch.records[OPERATOR][self._notes :]
        del batch.records[AUTH][self._events :]
        del batch.after[self._after :]


class Transaction(RowAccess):
    """One request's writes."""

    __slots__ = ("_batch", "_enforce", "authority", "caller", "session")

    def __init__(self, batch: Batch, caller: Caller, authority: Authority) -> None:
        self._batch = batch
        self._rows = self.session = batch.session
        self.plans = batch.plans
        self.caller = caller
        self.authority = authority
        self._enforce = authority is Authority.CALLER and not caller.identity.is_admin

    @property
    def changes(self) -> list[Change]:
        """Changes of the whole batch so far; a request's own are those above the length it began at."""
        return self._batch.changes

    @property
    def now(self) -> datetime:
        """The time of this batch."""
        return self._batch.now

    def insert(self, plan: EntityPlan, row: Any) -> Change:
        """Insert a validated row, stamped and checked. Raises INSERT_FAILED, OPTIMISTIC_ID_CONFLICT, POLICY_DENIED,
        OWNER_REQUIRED, OWNER_MISMATCH, TENANT_REQUIRED, TENANT_MISMATCH, INVALID_COLUMN; like every write also
        MAINTENANCE, and what the entity's stages raise."""
        if plan.stages:
            with self._batch.scope():
                return self._insert(plan, row)
        return self._insert(plan, row)

    def update(self, plan: EntityPlan, row_id: str, patch: dict[str, Any]) -> Change | None:
        """Set validated fields of a row; None when the patch is empty. Raises NOT_FOUND, READONLY_FIELD, POLICY_DENIED,
        UPDATE_FAILED, INVALID_COLUMN."""
        followers = self._followers(plan, row_id)
        if plan.stages or followers:
            with self._batch.scope():
                return self._update(plan, row_id, patch, followers)
        return self._update(plan, row_id, patch, followers)

    def edit(self, plan: EntityPlan, row_id: str, patch: dict[str, Any], size: int) -> Change:
        """An update that an edit of the row's document makes, of `size` bytes: recorded also where it sets no field of
        the row itself. Raises what `update` raises."""
        with self._batch.scope():
            old, new = self._updated(plan, row_id, patch, size)
            return self._apply_update(plan, old, new, patch, plan.followers)

    def delete(self, plan: EntityPlan, row_id: str) -> Change:
        """Delete a row, or do what a stage does instead. Raises NOT_FOUND, POLICY_DENIED, DELETE_FAILED."""
        followers = self._followers(plan, row_id)
        if plan.stages or followers:
            with self._batch.scope():
                return self._delete(plan, row_id, followers)
        return self._delete(plan, row_id, followers)

    def _followers(self, plan: EntityPlan, row_id: str) -> Sequence[Follower]:
        return [follower for follower in plan.followers if follower.follows(self, plan, row_id)]

    def _insert(self, plan: EntityPlan, row: Any) -> Change:
        batch = self._batch
        self._admit(plan)
        if plan.hidden:
            if self._enforce:
                self._refuse_hidden(plan, [name for name in plan.hidden if getattr(row, name) is not None])
            for name, default in plan.types.hidden_defaults:
                if getattr(row, name) is None:
                    setattr(row, name, default)
        if row.id is None:
            row.id = batch.ids.next()
        for name in plan.stamped_now:
            if getattr(row, name) is None:
                setattr(row, name, batch.now_text)
        if plan.stamped_auth:
            self._stamp_caller(plan, row)
        if plan.tenant_field is not None:
            self._stamp_tenant(plan, plan.tenant_field, row)
        for stage in plan.stages:
            stage.inserting(self, plan, row)
        if self._enforce:
            self._check(plan.policy.insert, row)
        batch.session.insert(plan.name, plan.types.dump(row))
        return self._written(plan, Change(plan.types, plan.name, row.id, "insert", row, plan.types.encode(row)))

    def _update(
        self, plan: EntityPlan, row_id: str, patch: dict[str, Any], followers: Sequence[Follower]
    ) -> Change | None:
        old, new = self._updated(plan, row_id, patch)
        return self._apply_update(plan, old, new, patch, followers) if patch else None

    def _updated(
        self, plan: EntityPlan, row_id: str, patch: dict[str, Any], edit_size: int | None = None
    ) -> tuple[Any, Any]:
        """The row before and after an update that is allowed, by an edit of its document where that has a size."""
        self._admit(plan)
        old = self.get(plan, row_id)
        if old is None:
            raise self._missing(plan.policy.update)
        if self._enforce:
            if plan.hidden:
                self._refuse_hidden(plan, [name for name in plan.hidden if name in patch])
            if plan.readonly and (fixed := plan.readonly.intersection(patch)):
                raise PylonError("READONLY_FIELD", f"{plan.name}.{min(fixed)} is readonly")
        for stage in plan.stages:
            stage.updating(self, plan, old, patch)
        new = _patched(old, patch)
        if self._enforce:
            self._check(plan.policy.update, _judged(old, edit_size), new)
        return old, new

    def _apply_update(
        self, plan: EntityPlan, old: Any, new: Any, patch: dict[str, Any], followers: Sequence[Follower]
    ) -> Change:
        types, row_id = plan.types, old.id
        if patch:
            self.session.update(plan.name, row_id, types.dump_patch(row_id, patch))
        before, after = types.encode(old), types.encode(new)
        change = Change(types, plan.name, row_id, "update", new, after, old, before, fields=tuple(patch))
        return self._written(plan, change, followers)

    def _delete(self, plan: EntityPlan, row_id: str, followers: Sequence[Follower]) -> Change:
        self._admit(plan)
        old = self.get(plan, row_id)
        if old is None:
            raise self._missing(plan.policy.delete)
        instead: dict[str, Any] = {}
        for stage in plan.stages:
            instead |= stage.deleting(self, plan, old) or {}
        if self._enforce:
            self._check(plan.policy.delete, old)
        if instead:
            return self._apply_update(plan, old, _patched(old, instead), instead, followers)
        self.session.delete(plan.name, row_id)
        data = plan.types.encode(old)
        change = Change(plan.types, plan.name, row_id, "delete", old, data, prev=data)
        return self._written(plan, change, followers)

    def _written(self, plan: EntityPlan, change: Change, followers: Sequence[Follower] = ()) -> Change:
        self._batch.changes.append(change)
        for follower in followers:
            follower.written(self, plan, change)
        for stage in plan.stages:
            stage.written(self, plan, change)
        return change

    def replayed(self, principal: str, op_id: str) -> Change | OpRecord | None:
        """What this principal's op-id wrote already, in an earlier commit or earlier in this batch."""
        return self._batch.op_ids.get((principal, op_id)) or self.session.op(principal, op_id)

    def remember(self, principal: str, op_id: str, change: Change | OpRecord) -> None:
        """Store the op-id with the write it made, in the same commit."""
        self._batch.op_ids[principal, op_id] = change
        self._batch.ops.append((principal, op_id, change))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this on the event loop once what this request did is committed and published, before it is answered;
        never if it is undone."""
        self._batch.after.append(call)

    def may_replicate(self, plan: EntityPlan, row: Any, reader: Identity) -> bool:
        """Whether this row is among those that replicate to a reader: by the read policy and the sync scope."""
        rules = (plan.policy.read,) if plan.scope is None else (plan.policy.read, plan.scope)
        return reader.is_admin or all(
            rule.allows(reader, row, now=self._batch.now, exists=self._exists) for rule in rules
        )

    def may_read(self, plan: EntityPlan, row: Any) -> bool:
        """Whether whoever makes these writes may read this row; server code may."""
        rule = plan.policy.read
        return not self._enforce or rule.allows(self.caller.identity, row, now=self._batch.now, exists=self._exists)

    def trusted(self) -> Transaction:
        """The same transaction with server code's rights: for writes that follow from one that was allowed."""
        return Transaction(self._batch, self.caller, Authority.TRUSTED)

    def to_edit(self, plan: EntityPlan, row_id: str, size: int) -> Any:
        """The row as it is, for an edit of its document by so many bytes; what the rule says of the row after it is
        left to `edit`. Raises NOT_FOUND, POLICY_DENIED, MAINTENANCE."""
        self._admit(plan)
        old = self.get(plan, row_id)
        if old is None:
            raise self._missing(plan.policy.update)
        if not plan.policy.update.reads_new:
            self.judge_update(plan, old, size)
        return old

    def judge_update(self, plan: EntityPlan, row: Any, edit_size: int | None = None) -> None:
        """Raise POLICY_DENIED unless the caller may update this row and leave it as it is; by an edit of its document
        where that has a size."""
        if self._enforce:
            self._check(plan.policy.update, _judged(row, edit_size), row)

    def note(self, action: str, target: str = "", **details: Detail) -> None:
        """Record an operator's action in the audit log, in this commit."""
        self._batch.records[OPERATOR].append(of_action(self.caller, action, target, details))

    def record_auth(self, event: Record) -> None:
        """Record what happened to an account or session, in this commit."""
        self._batch.records[AUTH].append(event)

    def record_reads(self, shown: Sequence[Record]) -> None:
        """Store records of rows that were shown, in this commit."""
        self._batch.records[READ] += shown

    def _admit(self, plan: EntityPlan) -> None:
        board = self._batch.board
        if not board.is_quiet:
            board.check_entity(plan.name, self.caller.identity, writing=True)

    def _check(self, rule: Rule, row: Any, new: Any | None = None) -> None:
        if not rule.allows(self.caller.identity, row, new, now=self._batch.now, exists=self._exists):
            raise self.plans.denied(rule)

    def _exists(self, entity: str, conditions: Sequence[tuple[str, Any]]) -> bool:
        return self._batch.session.exists(entity, conditions)

    def _missing(self, rule: Rule) -> PylonError:
        # A rule that reads the row answers alike for a row that isn't there and one that may not be touched.
        if self._enforce and (rule.reads_row or not rule.allows(self.caller.identity, None, now=self._batch.now)):
            return self.plans.denied(rule)
        return PylonError("NOT_FOUND", "Row not found")

    def _refuse_hidden(self, plan: EntityPlan, names: list[str]) -> None:
        if names:
            raise plan.types.unknown_column(names[0])

    def _stamp_caller(self, plan: EntityPlan, row: Any) -> None:
        identity = self.caller.identity
        for name in plan.stamped_auth:
            value = getattr(row, name)
            if value is None or value == "":
                if identity.user_id is None and self._enforce and name in plan.owner:
                    raise PylonError("OWNER_REQUIRED", f"{plan.name}.{name} is stamped with the caller: sign in first")
                setattr(row, name, identity.user_id)
            elif self._enforce and name in plan.owner and value != identity.user_id:
                if identity.user_id is None:
                    raise PylonError("OWNER_REQUIRED", f"{plan.name}.{name} is stamped with the caller: sign in first")
                raise PylonError("OWNER_MISMATCH", f"{plan.name}.{name} must be the caller")

    def _stamp_tenant(self, plan: EntityPlan, field: str, row: Any) -> None:
        tenant, named = self.caller.identity.tenant_id, getattr(row, field)
        if self._enforce:
            if tenant is None:
                raise PylonError(
                    "TENANT_REQUIRED",
                    f'Entity "{plan.name}" is tenant-scoped; the caller has no active tenant. '
                    "Select an organization before writing.",
                )
            if named not in (None, "", tenant):
                raise PylonError("TENANT_MISMATCH", f"{plan.name}.{field} must be the caller's active tenant")
        if named in (None, ""):
            setattr(row, field, tenant)


def _judged(row: Any, edit_size: int | None) -> Any:
    return row if edit_size is None else EditedRow(row, edit_size)


def _patched(row: Any, patch: dict[str, Any]) -> Any:
    new = copy.copy(row)
    for name, value in patch.items():
        setattr(new, name, value)
    return new
