"""Organisations over HTTP: making, naming, roles, transfer, leaving, deleting, and the active one."""

from __future__ import annotations

import asyncio

import pytest

from pylon import App, Entity
from pylon.engine.limits.switch import Scope
from pylon.testing.app import sign_in
from tests.conftest import ADMINISTRATOR
from tests.orgs.kit import House, Person, new_org, open_house


async def test_who_makes_an_organisation_owns_it_and_others_do_not_see_it() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        made = await ann.json("POST", "/api/auth/orgs", {"name": " Acme "})
        org = made["id"]
        assert (made["name"], made["role"]) == ("Acme", "owner")
        assert await ann.json("GET", f"/api/auth/orgs/{org}") == made
        assert await ann.json("GET", "/api/auth/orgs") == [made]
        assert await ben.json("GET", "/api/auth/orgs") == []
        assert await ann.json("PATCH", f"/api/auth/orgs/{org}", {"name": "Acme 2"}) == {"id": org, "name": "Acme 2"}
        for path in ("", "/members", "/invites"):
            there = await ben("GET", f"/api/auth/orgs/{org}{path}")
            nowhere = await ben("GET", f"/api/auth/orgs/none{path}")
            assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)
            assert there.json()["error"]["code"] == "ORG_NOT_FOUND"
        assert await ann.code("POST", "/api/auth/orgs", {"name": "  "}) == (400, "MISSING_NAME")
        assert await ann.code("PATCH", f"/api/auth/orgs/{org}", {"name": ""}) == (400, "INVALID_NAME")


async def test_members_are_listed_with_what_their_rows_say() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben, "billing")
        members = {m["user_id"]: m for m in await ben.json("GET", f"/api/auth/orgs/{org}/members")}
        shown = members[ben.id]
        assert shown.pop("joined_at") > 1_700_000_000
        assert shown == {
            "user_id": ben.id,
            "role": "billing",
            "email": "ben@example.com",
            "name": "ben",
            "avatar_url": None,
        }


async def test_an_admin_manages_members_and_never_owners() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        org = await new_org(ann)
        await house.join(ann, org, ben, "admin")
        await house.join(ben, org, cid)
        members = f"/api/auth/orgs/{org}/members"
        assert await ben.json("PUT", f"{members}/{cid.id}", {"role": "billing"}) == {"role": "billing", "updated": True}
        for who, role in ((cid, "owner"), (ben, "owner"), (ann, "member"), (ann, "admin")):
            assert await ben.code("PUT", f"{members}/{who.id}", {"role": role}) == (403, "FORBIDDEN")
        assert await ben.code("DELETE", f"{members}/{ann.id}") == (403, "FORBIDDEN")
        asked = {"email": "x@example.com", "role": "owner"}
        assert await ben.code("POST", f"/api/auth/orgs/{org}/invites", asked) == (403, "FORBIDDEN")
        assert await ben.code("DELETE", f"/api/auth/orgs/{org}") == (403, "FORBIDDEN")
        assert await cid.code("DELETE", f"{members}/{ben.id}") == (403, "FORBIDDEN")
        assert await ann.code("PUT", f"{members}/{cid.id}", {"role": "king"}) == (400, "BAD_ROLE")
        assert await ann.code("PUT", f"{members}/nobody", {"role": "admin"}) == (404, "NOT_A_MEMBER")


async def test_no_other_door_gives_what_the_rules_refuse() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben, "admin")
        await ben.json("POST", "/api/auth/select-org", {"orgId": org})
        rows = {row["userId"]: row["id"] for row in (await ben.json("GET", "/api/entities/OrgMember"))["data"]}
        mine, hers = f"/api/entities/OrgMember/{rows[ben.id]}", f"/api/entities/OrgMember/{rows[ann.id]}"
        assert await ben.code("PATCH", mine, {"role": "owner"}) == (403, "FORBIDDEN")
        assert await ben.code("PATCH", hers, {"role": "member"}) == (403, "FORBIDDEN")
        assert await ben.code("DELETE", hers) == (403, "FORBIDDEN")
        assert await ann.code("DELETE", hers) == (400, "LAST_OWNER")
        assert await house.admin().code("DELETE", hers) == (400, "LAST_OWNER")
        assert await ben.code("DELETE", f"/api/entities/Org/{org}") == (403, "FORBIDDEN")
        added = {"orgId": org, "userId": "u2", "role": "owner"}
        assert await ben.code("POST", "/api/entities/OrgMember", added) == (403, "FORBIDDEN")
        cid = await house.person("cid")
        assert await cid.code("POST", "/api/entities/OrgMember", {**added, "userId": cid.id}) == (403, "FORBIDDEN")
        assert (await ann.json("POST", "/api/entities/Org", {"name": "By row"}))["id"] in {
            found["id"] for found in await ann.json("GET", "/api/auth/orgs") if found["role"] == "owner"
        }


async def test_an_organisation_is_handed_over_and_left() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben)
        members = f"/api/auth/orgs/{org}/members"
        assert await ann.code("DELETE", f"{members}/{ann.id}") == (400, "LAST_OWNER")
        assert await ann.code("PUT", f"{members}/{ann.id}", {"role": "admin"}) == (400, "LAST_OWNER")
        assert await ben.code("POST", f"/api/auth/orgs/{org}/transfer", {"user_id": ben.id}) == (403, "FORBIDDEN")
        await ann.json("POST", f"/api/auth/orgs/{org}/transfer", {"user_id": ben.id})
        roles = {m["user_id"]: m["role"] for m in await ann.json("GET", members)}
        assert roles == {ann.id: "admin", ben.id: "owner"}
        assert await ann.json("DELETE", f"{members}/{ann.id}") == {"removed": True}
        assert await ann.code("GET", members) == (404, "ORG_NOT_FOUND")


async def test_of_two_owners_who_leave_at_once_one_stays() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben, "owner")
        leaving = [who("DELETE", f"/api/auth/orgs/{org}/members/{who.id}") for who in (ann, ben)]
        answers = await asyncio.gather(*leaving)
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        refused = next(answer for answer in answers if answer.status_code == 400)
        assert refused.json()["error"]["code"] == "LAST_OWNER"


async def test_a_role_is_that_of_now_and_who_is_removed_is_out_with_the_next_request() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben)
        assert await ben.json("POST", "/api/auth/select-org", {"orgId": org}) == {"tenantId": org}
        assert (await ben.tenant(), await ben.role()) == (org, ["member"])
        await ben.json("POST", "/api/entities/Task", {"title": "shared"})
        await ann.json("PUT", f"/api/auth/orgs/{org}/members/{ben.id}", {"role": "billing"})
        assert await ben.role() == ["billing"]
        await ann.json("DELETE", f"/api/auth/orgs/{org}/members/{ben.id}")
        assert (await ben.tenant(), await ben.role()) == (None, [])
        assert (await ben.json("GET", "/api/entities/Task"))["data"] == []
        assert await ben.code("POST", "/api/auth/select-org", {"orgId": org}) == (403, "NOT_A_MEMBER")
        await house.join(ann, org, ben)
        assert await ben.tenant() is None  # a session does not come back into an organisation by itself


async def test_a_deleted_organisation_leaves_nothing() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        org = await new_org(ann)
        await house.join(ann, org, ben)
        token = await house.invited(ann, org, cid)
        await ben.json("POST", "/api/auth/select-org", {"orgId": org})
        assert await ann.json("DELETE", f"/api/auth/orgs/{org}") == {"deleted": True}
        assert await ben.tenant() is None
        assert await cid.code("POST", f"/api/auth/invites/{token}/accept") == (400, "INVITE_NOT_FOUND")
        for entity in ("Org", "OrgMember", "OrgInvite"):
            assert (await house.admin().json("GET", f"/api/entities/{entity}"))["data"] == []


@pytest.mark.parametrize("body", [{}, {"orgId": 1}, {"org": "x"}])
async def test_select_org_wants_an_id_or_null(body: dict[str, object]) -> None:
    async with open_house() as house:
        ann = await house.person("ann")
        assert await ann.code("POST", "/api/auth/select-org", body) == (400, "MISSING_ORG_ID")
        org = await new_org(ann)
        await ann.json("POST", "/api/auth/select-org", {"orgId": org})
        assert await ann.json("POST", "/api/auth/select-org", {"orgId": ""}) == {"tenantId": None}
        assert await ann.tenant() is None


async def test_guests_admins_and_nobody_have_no_organisations() -> None:
    async with open_house() as house:
        ann = await house.person("ann")
        guest = await sign_in_guest(house)
        for who in (guest, house.admin()):
            assert await who.code("POST", "/api/auth/orgs", {"name": "x"}) == (401, "AUTH_REQUIRED")
            assert await who.code("POST", "/api/auth/select-org", {"orgId": None}) == (401, "UNAUTHENTICATED")
            assert await who.code("POST", "/api/auth/invites/x/accept") == (401, "AUTH_REQUIRED")
        ann.token = ""
        assert await ann.code("GET", "/api/auth/orgs") == (401, "AUTH_REQUIRED")


async def sign_in_guest(house: House) -> Person:
    """A guest."""
    who = await house.person("guest")
    who.token = (await house.http.post("/api/auth/guest")).json()["token"]
    return who


async def test_an_app_without_the_entities_is_told_what_to_declare() -> None:
    class Alone(Entity, crdt=False):
        email: str

        class Policy:
            allow = "false"

    app = App("alone", entities=[Alone])
    async with open_house(app=app) as house:
        who = Person(house, "u1", "", await sign_in(house.server, "u1"))
        answer = await who("POST", "/api/auth/orgs", {"name": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ORG_CREATE_FAILED")
        assert "OrgMember with orgId, userId, role" in answer.json()["error"]["hint"]
        assert await who.code("GET", "/api/auth/orgs") == (501, "ORG_NOT_CONFIGURED")


async def test_a_switch_turns_organisations_off() -> None:
    async with open_house() as house:
        ann = await house.person("ann")
        await house.server.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "orgs", reason="incident")
        assert (await ann("GET", "/api/auth/orgs")).status_code == 503
