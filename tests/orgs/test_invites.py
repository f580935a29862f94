"""Invitations: by mail alone, for one address, once, and no longer than the inviter may give what they give."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.signals.redaction import redact, redact_path
from tests.conftest import ADMINISTRATOR
from tests.orgs.kit import House, Person, new_org, open_house


async def expire(house: House, org: str) -> None:
    """Let every invitation of an organisation be past its time."""

    def work(tx: object) -> None:
        rows = house.server.identity.registry.get("orgs").rows
        for row in list(rows.invites(tx, orgId=org)):
            rows.update(tx, rows.invite, row.id, {"expiresAt": "2020-01-01T00:00:00Z"})

    await house.server.engine.run(SYSTEM, work, authority=Authority.TRUSTED)


async def accept(who: Person, token: str) -> tuple[int, str]:
    return await who.code("POST", f"/api/auth/invites/{token}/accept")


async def test_an_invitation_reaches_the_invited_alone_and_the_database_holds_no_token(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        made = await ann.json("POST", f"/api/auth/orgs/{org}/invites", {"email": " BEN@example.com "})
        assert (made["email"], made["role"], made["token"], made["accept_url"]) == (ben.email, "member", None, None)
        letter = await house.letter()
        assert house.mail.letters[-1].to == ben.email
        assert "Acme" in house.mail.letters[-1].subject
        token = letter.partition("/api/auth/invites/")[2].split()[0]
        assert len(token) == 32
        [shown] = await ann.json("GET", f"/api/auth/orgs/{org}/invites")
        assert (shown["token_prefix"], shown["invited_by"], shown["id"]) == (token[:8], ann.id, made["id"])
        offer = (await house.http.get(f"/api/auth/invites/{token}")).json()
        assert (offer["org_name"], offer["email"], offer["role"]) == ("Acme", ben.email, "member")
        await ann.json("POST", "/api/auth/select-org", {"orgId": org})
        [row] = (await ann.json("GET", "/api/entities/OrgInvite"))["data"]
        assert "tokenHash" not in row
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("pylon.db*"))  # noqa: ASYNC240
    assert token.encode() not in stored


def test_no_log_line_holds_the_token_of_an_invitation() -> None:
    assert redact_path("POST /api/auth/invites/sJ3_x-9aaaaaaaa/accept 200") == "POST /api/auth/invites/***/accept 200"
    assert redact("GET https://x.example/api/auth/invites/sJ3") == "GET https://x.example/api/auth/invites/***"


async def test_only_the_invited_address_may_accept_and_only_once() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        org = await new_org(ann)
        token = await house.invited(ann, org, ben)
        assert await accept(cid, token) == (400, "WRONG_EMAIL")
        assert await accept(cid, "x" * 32) == (400, "INVITE_NOT_FOUND")
        answers = await asyncio.gather(*[ben("POST", f"/api/auth/invites/{token}/accept") for _ in range(3)])
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
        assert await accept(ben, token) == (400, "ALREADY_ACCEPTED")
        sent = {"email": ben.email}
        assert await ann.code("POST", f"/api/auth/orgs/{org}/invites", sent) == (400, "ALREADY_MEMBER")
        await house.server.engine.update(ADMINISTRATOR, "User", cid.id, b'{"email":null}')
        other = await new_org(ann, "Other")
        assert await accept(cid, await house.invited(ann, other, ben)) == (400, "NO_EMAIL")


async def test_an_invitation_ends_by_time_by_hand_and_by_a_newer_one() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        old = await house.invited(ann, org, ben)
        new = await house.invited(ann, org, ben, "billing")
        assert await accept(ben, old) == (400, "INVITE_NOT_FOUND")
        await expire(house, org)
        assert await accept(ben, new) == (400, "INVITE_EXPIRED")
        assert await ann.json("GET", f"/api/auth/orgs/{org}/invites") == []
        token = await house.invited(ann, org, ben)
        [shown] = await ann.json("GET", f"/api/auth/orgs/{org}/invites")
        gone = f"/api/auth/orgs/{org}/invites/{shown['id']}"
        assert await ann.json("DELETE", gone) == {"revoked": True}
        assert await ann.code("DELETE", gone) == (404, "NOT_FOUND")
        assert await accept(ben, token) == (400, "INVITE_NOT_FOUND")


async def test_what_an_inviter_may_no_longer_give_is_no_good() -> None:
    async with open_house() as house:
        ann, ben, cid = [await house.person(name) for name in ("ann", "ben", "cid")]
        org = await new_org(ann)
        await house.join(ann, org, ben, "owner")
        token = await house.invited(ben, org, cid, "owner")
        await ann.json("PUT", f"/api/auth/orgs/{org}/members/{ben.id}", {"role": "admin"})
        assert await accept(cid, token) == (400, "INVITE_NOT_FOUND")


async def test_members_neither_invite_nor_see_invitations() -> None:
    async with open_house() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben, "billing")
        assert await ben.code("POST", f"/api/auth/orgs/{org}/invites", {"email": "x@example.com"}) == (403, "FORBIDDEN")
        assert await ben.code("GET", f"/api/auth/orgs/{org}/invites") == (403, "FORBIDDEN")
        assert await ben.code("DELETE", f"/api/auth/orgs/{org}/invites/x") == (403, "FORBIDDEN")
        assert await ann.code("POST", f"/api/auth/orgs/{org}/invites", {"email": "x"}) == (400, "INVALID_EMAIL")
        sent = {"email": "x@example.com", "role": "king"}
        assert await ann.code("POST", f"/api/auth/orgs/{org}/invites", sent) == (400, "BAD_ROLE")


async def test_one_address_is_not_flooded_with_invitations() -> None:
    async with open_house(env={"PYLON_AUTH_SEND_ACCOUNT_PER_HOUR": "2"}) as house:
        ann = await house.person("ann")
        org = await new_org(ann)
        sent = {"email": "victim@example.com"}
        for _ in range(2):
            await ann.json("POST", f"/api/auth/orgs/{org}/invites", sent)
        answer = await ann("POST", f"/api/auth/orgs/{org}/invites", sent)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert "retry-after" in answer.headers


async def test_a_mail_leads_to_the_apps_own_page_where_one_is_set() -> None:
    async with open_house(env={"PYLON_INVITE_URL": "https://app.example.com/join"}) as house:
        ann = await house.person("ann")
        org = await new_org(ann)
        await ann.json("POST", f"/api/auth/orgs/{org}/invites", {"email": "x@example.com"})
        assert "https://app.example.com/join?token=" in await house.letter()


async def test_without_mail_nobody_is_invited_in_production_and_the_link_is_shown_in_dev_mode() -> None:
    async with open_house() as house:
        ann = await house.person("ann")
        org = await new_org(ann)
        house.server.identity.outbox._transport = None
        sent = {"email": "x@example.com"}
        assert (await ann.code("POST", f"/api/auth/orgs/{org}/invites", sent))[1] == "MAIL_NOT_CONFIGURED"
    async with open_house(env={"PYLON_DEV_MODE": "1"}) as house:
        ann = await house.person("ann")
        org = await new_org(ann)
        made = await ann.json("POST", f"/api/auth/orgs/{org}/invites", sent)
        assert made["accept_url"].endswith(made["token"])
