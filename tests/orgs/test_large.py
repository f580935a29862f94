"""What takes many transactions: erasing a user with many rows, removing an organisation with many members. None holds
the writer for long, and a crash in the middle stops neither."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from pylon.auth.organisations import removal
from pylon.auth.sign_in import Proof
from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.testing.identity import somebody
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually
from tests.orgs.kit import House, Person, new_org, open_house

ROWS = 12_000


async def fill(house: House, entity: str, rows: list[dict[str, Any]]) -> None:
    def add(tx: Any) -> None:
        plan = tx.plans[entity]
        for values in rows:
            tx.insert(plan, plan.types.convert_insert(values))

    await house.server.engine.run(SYSTEM, add, authority=Authority.TRUSTED)


async def count(house: House, entity: str) -> int:
    return int((await house.admin().json("POST", f"/api/aggregate/{entity}", {"count": "*"}))["rows"][0]["count"])


async def test_a_purge_that_is_killed_goes_on_with_the_next_start_and_counts_every_row(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ann = await house.person("ann")
        await fill(house, "Comment", [{"page": "p", "createdBy": ann.id, "text": str(n)} for n in range(ROWS)])
    with ServerProcess(Path(__file__).with_name("app.py"), tmp_path) as server:

        def left(entity: str) -> int:
            with sqlite3.connect(f"file:{tmp_path}/pylon.db?mode=ro", uri=True) as connection:
                return int(connection.execute(f'SELECT count(*) FROM "{entity}"').fetchone()[0])

        def purge() -> None:
            with contextlib.suppress(OSError):  # it is killed meanwhile
                server.request("DELETE", f"/api/admin/users/{ann.id}/purge", token=ADMIN_TOKEN)

        asking = threading.Thread(target=purge)
        asking.start()
        eventually(lambda: left("Comment") < ROWS)
        server.kill()
        asking.join()
        assert 0 < left("Comment") < ROWS
        assert left("User") == 1
        server.start()
        eventually(lambda: left("User") == 0)
        assert left("Comment") == 0
        _, said = server.request("GET", "/api/admin/audit?kind=auth&action=account_delete", token=ADMIN_TOKEN)
        [event] = said["entries"]
        assert (event["details"]["rows"], event["ip"]) == (ROWS + 1, "127.0.0.1")
        assert server.request("DELETE", f"/api/admin/users/{ann.id}/purge", token=ADMIN_TOKEN)[1]["rows_deleted"] == 0


async def test_nobody_signs_in_to_an_account_that_is_being_erased() -> None:
    async with open_house() as house:
        ann = await house.person("ann")
        engine = house.server.engine
        await house.server.identity.unfinished.stop()
        await engine.run(
            SYSTEM, lambda tx: tx.session.put_record("erasure", ann.id, b"{}"), authority=Authority.TRUSTED
        )
        with pytest.raises(PylonError, match="being deleted"):
            await house.server.identity.sign_in.complete(somebody(), Proof(user_id=ann.id, method="password"))


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "AT_ONCE", 5)
    monkeypatch.setattr(removal, "PORTION", 3)


@pytest.mark.usefixtures("few_at_once")
async def test_a_large_organisation_is_nobodys_at_once_and_its_members_go_in_portions(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.server.identity.unfinished.stop()  # as if it were killed before the first portion
        ann, ben = await house.person("ann"), await house.person("ben")
        org, other = await new_org(ann), await new_org(ben)
        await house.join(ann, org, ben)
        await fill(house, "OrgMember", [{"orgId": org, "userId": f"u{n}", "role": "member"} for n in range(20)])
        await ben.json("POST", "/api/auth/select-org", {"orgId": org})
        assert await ann.json("DELETE", f"/api/auth/orgs/{org}") == {"deleted": True}
        assert (await ben.tenant(), await ben.role()) == (None, [])
        assert await ben.code("GET", f"/api/auth/orgs/{org}/members") == (404, "ORG_NOT_FOUND")
        assert [one["id"] for one in await ben.json("GET", "/api/auth/orgs")] == [other]
        assert await count(house, "OrgMember") == 23
    async with open_house(tmp_path) as house:
        for _ in range(200):
            if await count(house, "OrgMember") == 1:
                break
            await house.server.engine.run(SYSTEM, lambda tx: None, authority=Authority.TRUSTED)
        assert await count(house, "OrgMember") == 1
        again = Person(house, ben.id, ben.email, ben.token)
        assert await again.tenant() is None
