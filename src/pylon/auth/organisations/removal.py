"""What is left of an organisation that is gone: its members and invitations, in its own transaction where they are few,
else portion by portion, also after a crash. Without its row an organisation is nobody's tenant, whatever is left."""

from __future__ import annotations

from pylon.auth.organisations.rows import OrgRows
from pylon.auth.unfinished import Unfinished
from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change

KIND = "org-removal"
AT_ONCE = 500
"""Members and invitations that go with their organisation: some tens of milliseconds of the writer."""
PORTION = 200


class Removal:
    """The removing, for one server."""

    def __init__(self, engine: Engine, rows: OrgRows, unfinished: Unfinished) -> None:
        self._engine = engine
        self._rows = rows
        self._unfinished = unfinished
        unfinished.add(KIND, self._finish)
        engine.subscribe(self._look)

    def of(self, tx: Transaction, org_id: str) -> None:
        """Remove what belongs to an organisation whose row goes in this transaction, or note that it is to be done."""
        rows = self._rows
        if rows.count_members(tx, orgId=org_id) + rows.count_invites(tx, org_id) > AT_ONCE:
            tx.session.put_record(KIND, org_id, b"{}")
            return
        while self._some(tx, org_id):
            pass

    def _look(self, changes: list[Change]) -> None:
        if any(change.kind == "delete" and change.entity == self._rows.org.name for change in changes):
            self._unfinished.wake()

    async def _finish(self, org_id: str) -> None:
        def portion(tx: Transaction) -> bool:
            if self._some(tx, org_id):
                return True
            tx.session.delete_record(KIND, org_id)
            return False

        while (await self._engine.run(SYSTEM, portion, authority=Authority.TRUSTED)).value:
            pass

    def _some(self, tx: Transaction, org_id: str) -> int:
        """Remove a portion; how many there were."""
        rows, done = self._rows, 0
        for plan, found in ((rows.member, rows.members(tx, org_id)), (rows.invite, rows.invites(tx, orgId=org_id))):
            for row in found:
                if done == PORTION:
                    return done
                tx.delete(plan, row.id)
                done += 1
        return done
