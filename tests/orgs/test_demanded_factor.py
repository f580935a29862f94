"""An organisation that demands a second factor of its members."""

from __future__ import annotations

import time

import pyotp

from tests.orgs.kit import House, Person, new_org, open_house

MISSING = (403, "SECOND_FACTOR_MISSING")
DEMAND = {"secondFactorRequired": True}


async def show_factor(person: Person) -> None:
    """Set an app up."""
    made = await person.json("POST", "/api/auth/totp/enroll")
    code = pyotp.TOTP(made["secret"]).at(int(time.time()) - 30)
    told = await person.json("POST", "/api/auth/totp/verify", {"code": code})
    person.token = told.get("token", person.token)


async def strict_org(house: House) -> tuple[Person, Person, str]:
    """(owner, member, organisation); the owner has a second factor, the member is at work in it."""
    ann, ben = await house.person("ann"), await house.person("ben")
    org = await new_org(ann)
    await house.join(ann, org, ben, "admin")
    await ben.json("POST", "/api/auth/select-org", {"orgId": org})
    await show_factor(ann)
    return ann, ben, org


async def test_an_owner_who_shows_a_second_factor_demands_one_of_every_member() -> None:
    async with open_house() as house:
        ann, ben, org = await strict_org(house)
        assert await ben.code("PATCH", f"/api/auth/orgs/{org}", DEMAND) == MISSING
        await show_factor(ben)
        assert await ben.code("PATCH", f"/api/auth/orgs/{org}", DEMAND) == (403, "FORBIDDEN")
        assert await ann.json("PATCH", f"/api/auth/orgs/{org}", DEMAND) == {"id": org, **DEMAND}
        [shown] = await ann.json("GET", "/api/auth/orgs")
        assert shown["second_factor_required"]
        assert await ann.code("PATCH", f"/api/auth/orgs/{org}", {"secondFactorRequired": "no"}) == (400, "INVALID_DATA")


async def test_a_member_without_one_is_out_of_the_organisation_at_once_and_back_with_one() -> None:
    async with open_house() as house:
        ann, ben, org = await strict_org(house)
        key = house.server.sessions.resolve(ben.token).key
        assert key is not None
        assert (await ben("GET", "/api/entities/Task")).status_code == 200
        await ann.json("PATCH", f"/api/auth/orgs/{org}", DEMAND)
        assert await ben.code("GET", "/api/entities/Task") == MISSING
        assert house.server.identity.gates.current(key).identity.user_id is None
        # Elsewhere it goes on as before, and comes back with a second factor alone.
        assert await ben.json("POST", "/api/auth/select-org", {"orgId": None}) == {"tenantId": None}
        assert (await ben("GET", "/api/entities/Task")).status_code == 200
        assert await ben.code("POST", "/api/auth/select-org", {"orgId": org}) == MISSING
        assert await ben.code("GET", f"/api/auth/orgs/{org}/members") == MISSING
        await show_factor(ben)
        assert await ben.json("POST", "/api/auth/select-org", {"orgId": org}) == {"tenantId": org}
        assert await ben.role() == ["admin"]


async def test_a_held_member_sets_one_up_without_leaving() -> None:
    async with open_house() as house:
        ann, ben, org = await strict_org(house)
        await ann.json("PATCH", f"/api/auth/orgs/{org}", DEMAND)
        await show_factor(ben)
        assert (await ben.tenant(), await ben.role()) == (org, ["admin"])


async def test_no_door_lifts_the_demand_or_uses_a_role_without_one() -> None:
    async with open_house() as house:
        ann, ben, org = await strict_org(house)
        await ann.json("PATCH", f"/api/auth/orgs/{org}", DEMAND)
        await ben.json("POST", "/api/auth/select-org", {"orgId": None})
        lift = {"secondFactorRequired": False}
        assert await ben.code("PATCH", f"/api/entities/Org/{org}", lift) == (403, "FORBIDDEN")
        assert await ann.code("PATCH", f"/api/entities/Org/{org}", lift) == (400, "READONLY_FIELD")
        eve = await house.person("eve")
        row = {"orgId": org, "userId": eve.id, "role": "admin"}
        assert await ben.code("POST", "/api/entities/OrgMember", row) == (403, "FORBIDDEN")
        assert await ben.code("POST", f"/api/auth/orgs/{org}/invites", {"email": eve.email}) == MISSING
        made = {"name": "Mine", "secondFactorRequired": True}
        assert await ben.code("POST", "/api/entities/Org", made) == (400, "READONLY_FIELD")
