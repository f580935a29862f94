"""Everything of a user leaves with it, or is told of: what is exported, what is erased, what others keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loro import ExportMode, LoroDoc

from pylon.auth.forgetting import KEYS_OF_A_USER
from pylon.auth.privacy.export import TABLES
from pylon.auth.privacy.references import Fate, references
from pylon.engine.caller import SYSTEM
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority
from pylon.store.identity import ApiKeyRecord, PasskeyRecord, SessionRecord
from tests.orgs.app import app
from tests.orgs.kit import House, Person, new_org, open_house


async def settle(house: House) -> Person:
    """Ann, with traces everywhere, beside Ben, whose rows name her too."""
    ann, ben = await house.person("ann"), await house.person("ben")
    page = await ann.json("POST", "/api/entities/Page", {"body": "hers"})
    theirs = await ben.json("POST", "/api/entities/Page", {"body": "his"})
    await house.admin().json("PATCH", f"/api/entities/Page/{theirs['id']}", {"reviewer": ann.id})
    await ann.json("POST", "/api/entities/Comment", {"page": theirs["id"], "text": "hers"})
    await ben.json("POST", "/api/entities/Comment", {"page": page["id"], "text": "his"})
    await ann.json("POST", "/api/entities/Ticket", {"title": "broken", "opener": ann.id})
    drawn = LoroDoc()  # type: ignore[no-untyped-call]
    drawn.get_map("row").insert("body", "drawn together")
    drawn.commit()
    update = drawn.export(ExportMode.Snapshot()).hex()
    await ann.json("POST", f"/api/crdt/Page/{page['id']}", {"update": update})
    pushed = {"op_id": "op1", "entity": "Ticket", "kind": "insert", "row_id": "tmp_1", "data": {"title": "offline"}}
    await ann.json("POST", "/api/sync/push", {"client_id": "c1", "changes": [pushed]})

    def give(tx: Any) -> None:
        key = ApiKeyRecord(id="key_1", user_id=ann.id, hash=b"key-hash", prefix="pk.1", name="ci", created_at=1)
        tx.session.identity.put(key)
        tx.session.identity.put(
            PasskeyRecord(
                id="p1", user_id=ann.id, credential_id=b"c", public_key=b"k", sign_count=0, name="phone", created_at=1
            )
        )
        tx.session.add_usage([("2026-11", "writes", ann.id, 5)])

    await house.server.engine.run(SYSTEM, give, authority=Authority.TRUSTED)
    return ann


async def rows(house: House, entity: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.admin().json("GET", f"/api/entities/{entity}"))["data"]
    return found


def line(report: dict[str, Any], store: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in report["report"] if entry["store"] == store)
    return found


def test_each_reference_has_its_fate() -> None:
    found = {f"{r.entity}.{r.field}": r.fate for r in references(Plans(app.spec()))}
    assert found == {
        "Org.createdBy": Fate.CLEAR,
        "OrgMember.userId": Fate.DELETE,
        "OrgInvite.invitedBy": Fate.DELETE,
        "Page.author": Fate.DELETE,
        "Page.reviewer": Fate.CLEAR,
        "Comment.createdBy": Fate.DELETE,
        "Ticket.opener": Fate.CLEAR,
    }


def test_every_table_of_what_users_sign_in_with_is_exported() -> None:
    assert {SessionRecord, *KEYS_OF_A_USER} <= TABLES.keys()
    shown = {name for _, names in TABLES.values() for name in names}
    assert not shown & {"key", "hash", "secret", "access_token", "refresh_token", "id_token", "public_key", "sealed"}


async def test_an_operator_exports_everything_without_secrets() -> None:
    async with open_house() as house:
        ann = await settle(house)
        for method in ("GET", "POST"):
            found = await house.admin().json(method, f"/api/admin/users/{ann.id}/export")
            assert [row["email"] for row in found["entities"]["User"]] == [ann.email]
            assert len(found["entities"]["Page"]) == 2
            assert [row["text"] for row in found["entities"]["Comment"]] == ["hers"]
            assert [key["name"] for key in found["stores"]["api_keys"]] == ["ci"]
            assert found["stores"]["passkeys"][0]["name"] == "phone"
            assert found["stores"]["sessions"][0]["id"].startswith("ses_")
            assert found["counts"]["Page"] == 2
            assert "secret-hash" not in str(found)
            assert "key-hash" not in str(found)
        assert (await house.server.identity.events.search(user=ann.id))[0]["action"] == "account_export"
        assert await ann.code("GET", f"/api/admin/users/{ann.id}/export") == (403, "FORBIDDEN")


async def test_a_user_takes_along_what_it_may_read_and_nothing_of_others() -> None:
    async with open_house() as house:
        ann = await settle(house)
        found = await ann.json("GET", "/api/auth/account/export")
        assert [row["author"] for row in found["entities"]["Page"]] == [ann.id]  # Ben's is not hers to read
        assert found["stores"]["api_keys"][0]["name"] == "ci"
        assert found["user_id"] == ann.id


async def test_a_purge_erases_every_trace_through_the_write_path_and_says_what_stays() -> None:
    async with open_house() as house:
        ann = await settle(house)
        before = {row["id"] for row in await rows(house, "Page")}
        report = await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
        assert (report["user_id"], report["errors"], report["sessions_revoked"]) == (ann.id, [], 1)
        assert report["rows_deleted"] == 3  # her row, her page, her comment
        assert [row["email"] for row in await rows(house, "User")] == ["ben@example.com"]
        [kept] = await rows(house, "Page")
        assert (kept["body"], kept["reviewer"]) == ("his", None)
        assert {ticket["opener"] for ticket in await rows(house, "Ticket")} == {None}
        assert [row["text"] for row in await rows(house, "Comment")] == ["his"]
        assert (await ann.json("GET", "/api/auth/me"))["user_id"] is None
        assert line(report, "Page.author")["deleted"] == 1
        assert line(report, "Page.reviewer")["cleared"] == 1
        assert line(report, "shared documents")["deleted"] == 1
        assert line(report, "API keys")["deleted"] == 1
        assert line(report, "passkeys, factors, devices and codes")["deleted"] == 1
        assert line(report, "op-ids")["deleted"] >= 1
        assert line(report, "usage")["deleted"] >= 1
        assert "restore" in line(report, "backups and archive")["why"]
        changes = (await house.admin().json("GET", "/api/sync/pull?since=1"))["changes"]
        gone = {change["row_id"] for change in changes if change["kind"] == "delete"}
        assert len(gone & before) == 1
        found = await house.admin().json("GET", f"/api/admin/users/{ann.id}/export")
        assert not any(found["entities"].values())
        assert {name for name, held in found["stores"].items() if held} == {"events"}


async def test_the_audit_chain_is_whole_after_a_purge_and_holds_no_address_of_the_user() -> None:
    async with open_house() as house:
        ann = await settle(house)
        await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
        verdict = await house.admin().json("GET", "/api/admin/audit/verify")
        assert verdict["ok"], verdict
        entries = await house.admin().json("GET", f"/api/admin/audit?user={ann.id}&kind=write,auth&limit=100")
        assert entries["entries"]
        assert ann.email not in str(entries)
        event = (await house.server.identity.events.search(user=ann.id))[0]
        assert (event["action"], event["actor_id"], event["success"]) == ("account_delete", "__admin__", True)


async def test_a_purge_again_and_one_of_nobody_find_nothing() -> None:
    async with open_house() as house:
        ann = await settle(house)
        await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
        for user in (ann.id, "nobody"):
            report = await house.admin().json("DELETE", f"/api/admin/users/{user}/purge")
            assert (report["rows_deleted"], report["sessions_revoked"], report["errors"]) == (0, 0, [])
        path = "/api/admin/users/__admin__/purge"
        assert await house.admin().code("DELETE", path) == (400, "MISSING_USER_ID")
        assert await ann.code("DELETE", f"/api/admin/users/{ann.id}/purge") == (403, "FORBIDDEN")


async def test_organisations_of_a_purged_user_go_to_others_or_with_it() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        shared, alone = await new_org(ann, "Shared"), await new_org(ann, "Alone")
        await house.join(ann, shared, cid)
        await house.join(ann, shared, ben, "admin")
        await house.invited(ann, shared, await house.person("dan"))
        await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
        assert [org["id"] for org in await rows(house, "Org")] == [shared]
        members = {m["user_id"]: m["role"] for m in await ben.json("GET", f"/api/auth/orgs/{shared}/members")}
        assert members == {ben.id: "owner", cid.id: "member"}
        assert await ben.json("GET", f"/api/auth/orgs/{shared}/invites") == []
        assert alone not in members


async def test_a_user_deletes_its_own_account() -> None:
    async with open_house() as house:
        ann = await settle(house)
        answer = await ann("DELETE", "/api/auth/account", None, Cookie="__Host-orgs_session=x")
        found = answer.json()
        assert (found["deleted"], found["revoked_sessions"], found["revoked_api_keys"]) == (True, 1, 1)
        assert found["unlinked_accounts"] == 0
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert [row["email"] for row in await rows(house, "User")] == ["ben@example.com"]
        assert [row["who"] for row in await rows(house, "Farewell")] == [ann.id]
        assert await ann.code("DELETE", "/api/auth/account") == (401, "AUTH_REQUIRED")


async def test_the_apps_refusal_keeps_the_account() -> None:
    async with open_house() as house:
        ann = await settle(house)
        page = (await rows(house, "Page"))[0]["id"]
        await ann.json("POST", "/api/entities/Comment", {"page": page, "text": "keep me"})
        answer = await ann("DELETE", "/api/auth/account")
        assert answer.status_code == 409
        problem = answer.json()["error"]
        assert (problem["code"], problem["cause"]) == ("ACCOUNT_DELETE_HOOK_FAILED", "NOT_YET")
        assert (await ann.json("GET", "/api/auth/me"))["user_id"] == ann.id
        assert await rows(house, "Farewell") == []


async def test_the_only_owner_of_others_organisation_hands_it_over_first() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben)
        answer = await ann("DELETE", "/api/auth/account")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "LAST_OWNER")
        assert answer.json()["error"]["orgs"] == [org]
        assert await rows(house, "Farewell") == []
        await ann.json("POST", f"/api/auth/orgs/{org}/transfer", {"user_id": ben.id})
        assert (await ann.json("DELETE", "/api/auth/account"))["deleted"] is True


async def test_an_old_session_neither_deletes_nor_exports_an_account() -> None:
    async with open_house() as house:
        ann = await house.person("ann")

        def age(tx: Any) -> None:
            tx.session.identity.change(SessionRecord, {"authenticated_at": 1}, user_id=ann.id)

        await house.server.engine.run(SYSTEM, age, authority=Authority.TRUSTED)
        assert await ann.code("DELETE", "/api/auth/account") == (403, "REAUTHENTICATION_REQUIRED")
        assert await ann.code("GET", "/api/auth/account/export") == (403, "REAUTHENTICATION_REQUIRED")
        assert await house.admin().code("DELETE", "/api/auth/account") == (401, "AUTH_REQUIRED")


async def test_a_guest_is_erased_like_anybody() -> None:
    async with open_house() as house:
        token = (await house.http.post("/api/auth/guest")).json()["token"]
        guest = Person(house, "", "", token)
        assert (await guest.json("DELETE", "/api/auth/account"))["deleted"] is True
        assert (await guest.json("GET", "/api/auth/me"))["user_id"] is None


@pytest.mark.parametrize("count", [0, 450])
async def test_rows_go_in_portions_and_none_is_forgotten(count: int) -> None:
    async with open_house() as house:
        ann = await house.person("ann")

        def fill(tx: Any) -> None:
            plan = tx.plans["Comment"]
            for number in range(count):
                values = {"page": "p", "createdBy": ann.id, "text": str(number)}
                tx.insert(plan, plan.types.convert_insert(values))

        await house.server.engine.run(SYSTEM, fill, authority=Authority.TRUSTED)
        found = await house.admin().json("GET", f"/api/admin/users/{ann.id}/export")
        assert found["counts"]["Comment"] == count
        report = await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
        assert line(report, "Comment.createdBy")["deleted"] == count


async def test_what_was_purged_is_gone_after_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ann = await settle(house)
        await house.admin().json("DELETE", f"/api/admin/users/{ann.id}/purge")
    async with open_house(tmp_path) as house:
        again = Person(house, ann.id, ann.email, ann.token)
        assert (await again.json("GET", "/api/auth/me"))["user_id"] is None
        assert [row["email"] for row in await rows(house, "User")] == ["ben@example.com"]
