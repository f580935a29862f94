"""What happened to accounts and organisations: who sees it, and that every event has a place that emits it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pylon.auth
from pylon.auth.events import Event
from tests.orgs.kit import Person, new_org, open_house


def test_every_event_has_a_place_that_emits_it() -> None:
    source = Path(pylon.auth.__file__).parents[1]
    files = [path for room in ("auth", "web") for path in (source / room).rglob("*.py") if path.name != "events.py"]
    emitted = set(re.findall(r"Event\.([A-Z_]+)", "\n".join(path.read_text() for path in files)))
    assert {event.name for event in Event} - emitted == set()


async def events(who: Person, path: str = "/api/auth/audit") -> list[dict[str, Any]]:
    """What somebody sees, oldest first."""
    return list(reversed(await who.json("GET", path)))


async def test_everything_that_happens_in_an_organisation_is_told_to_its_managers() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        org, other = await new_org(ann), await new_org(cid, "Other")
        await house.join(ann, org, ben)
        members = f"/api/auth/orgs/{org}/members"
        await ann.json("PATCH", f"/api/auth/orgs/{org}", {"name": "New"})
        await ann.json("PUT", f"{members}/{ben.id}", {"role": "admin"})
        await ben.json("POST", "/api/auth/select-org", {"orgId": org})
        await ann.json("POST", f"/api/auth/orgs/{org}/invites", {"email": "x@example.com"})
        [invite] = await ann.json("GET", f"/api/auth/orgs/{org}/invites")
        await ann.json("DELETE", f"/api/auth/orgs/{org}/invites/{invite['id']}")
        seen = await events(ben, "/api/auth/audit/tenant")
        assert [event["action"] for event in seen] == [
            "org_create",
            "org_invite_send",
            "org_invite_accept",
            "org_update",
            "org_role_change",
            "org_select",
            "org_invite_send",
            "org_invite_revoke",
        ]
        assert {event["tenant_id"] for event in seen} == {org}
        change = seen[4]
        assert (change["user_id"], change["actor_id"]) == (ben.id, ann.id)
        assert change["metadata"] == {"role": "admin", "before": "member"}
        assert all(event["ip"] and event["request_id"] and event["user_agent"] for event in seen)
        assert "x@example.com" not in str(seen)
        await ann.json("DELETE", f"{members}/{ben.id}")
        assert await ben.code("GET", "/api/auth/audit/tenant") == (400, "NO_ACTIVE_TENANT")
        everything = await events(house.admin(), f"/api/auth/audit?tenant={org}")
        assert everything[-1]["action"] == "org_member_remove"
        assert {event["tenant_id"] for event in await events(house.admin(), "/api/auth/audit")} >= {org, other}


async def test_members_see_their_own_events_and_not_the_organisations() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben)
        await ben.json("POST", "/api/auth/select-org", {"orgId": org})
        assert await ben.code("GET", "/api/auth/audit/tenant") == (403, "FORBIDDEN")
        assert [event["action"] for event in await events(ben)] == ["org_invite_accept", "org_select"]
        assert [event["action"] for event in await events(ben, f"/api/auth/audit?user={ann.id}")] == [
            "org_invite_accept",
            "org_select",
        ]
