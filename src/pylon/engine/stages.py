"""What takes part in the write path of an entity beside the row itself: rules that reach other rows, hooks of plugins,
documents that follow a row.

Every door's writes pass the stages, in the order in which they were added. An entity without any pays one comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylon.engine.plan import EntityPlan
    from pylon.engine.transaction import Transaction
    from pylon.model.change import Change


class Follower:
    """What is kept beside a row once there is reason to, such as its document. Most rows have none, and an insert never
    has: so it is asked at updates and deletes only, with one lookup, and a row that it doesn't follow costs no more."""

    def follows(self, transaction: Transaction, plan: EntityPlan, row_id: str) -> bool:
        """Whether it keeps something beside this row."""
        raise NotImplementedError

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Like a stage's `written`, for a row that it follows."""
        raise NotImplementedError


class Stage:
    """One participant; override what it takes part in. Runs on the writer thread, so it may not wait for anything, and
    whatever it raises undoes its request. Writes of its own go through the transaction that it is given."""

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        """A validated and stamped row, before the policy; it may be changed in place."""

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        """The row as it is and the fields that will be set, before the policy; the patch may be changed in place."""

    def deleting(self, transaction: Transaction, plan: EntityPlan, old: Any) -> dict[str, Any] | None:
        """The row as it is, before the policy. Validated fields to set instead keep the row: then the delete policy has
        decided about an update, which its readers see as a delete where it takes the row out of their sight."""

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """The policy allowed it, the row is written, and the change stands in the batch."""
