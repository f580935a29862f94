"""Faults of the older program that no other test names: routes, times and brands, and methods that are not built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pylon.auth.mail.kinds import SAMPLES, MailKind
from pylon.auth.mail.templates import Templates
from pylon.testing.process import ADMIN_TOKEN
from tests.auth.factors import ORIGIN, code_of, open_house
from tests.auth.test_totp_doors import enroll
from tests.orgs.kit import new_org
from tests.orgs.kit import open_house as open_orgs
from tests.orgs.test_privacy import rows as stored

PAGE = (Path(__file__).parents[2] / "docs/security/asvs.md").read_text("utf-8")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
PASSWORD = "correct horse battery"


def test_every_fault_of_the_older_program_has_a_row_of_its_own() -> None:
    section = PAGE.partition("## Faults of the older program")[2].partition("\n## ")[0]
    numbers = [int(number) for number in re.findall(r"^\| (\d+) ", section, re.MULTILINE)]
    assert sorted(numbers) == list(range(1, 28))


async def test_a_route_is_found_by_its_path_alone_put_is_allowed_and_the_scheme_is_read_in_any_letters() -> None:
    async with open_house() as door:
        assert (await door("GET", "/api/auth/me?x=1&y")).json()["user_id"] is None
        answer = await door.http.options(
            "/api/auth/orgs/x/members/y", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
        )
        assert "PUT" in answer.headers["access-control-allow-methods"]
        for scheme in ("Bearer", "bearer", "BEARER"):
            asked = await door("GET", "/api/auth/me", Authorization=f"{scheme} {ADMIN_TOKEN}")
            assert asked.json()["is_admin"], scheme


async def test_every_time_that_signing_in_writes_into_rows_is_iso_8601() -> None:
    async with open_house(env={"PYLON_DEV_MODE": "1", "PYLON_DISABLE_HIBP": "1"}) as door:

        async def row(token: str) -> dict[str, Any]:
            return dict((await door("GET", "/api/auth/session", token=token)).json()["user"])

        sent = (await door("POST", "/api/auth/magic/send", {"email": "ann@example.com"})).json()
        code = {"email": "ann@example.com", "code": sent["dev_code"]}
        by_code = (await door("POST", "/api/auth/magic/verify", code)).json()["token"]
        made = {"email": "bo@example.com", "password": PASSWORD}
        registered = (await door("POST", "/api/auth/password/register", made)).json()
        door.token = registered["token"]
        await door("POST", "/api/auth/email/verify", {"code": registered["dev_code"]})
        await enroll(door)
        sent = (await door("POST", "/api/auth/magic-link/send", {"email": "cy@example.com"}, token="")).json()
        by_link = (await door("POST", "/api/auth/magic-link/verify", {"token": sent["dev_token"]}, token="")).json()
        for token in (by_code, door.token, by_link["token"]):
            assert ISO.match((await row(token))["emailVerified"])
        assert ISO.match((await row(door.token))["totpVerified"])
    async with open_orgs() as house:
        ann, ben = await house.person("ann"), await house.person("ben")
        org = await new_org(ann)
        await house.join(ann, org, ben)
        rows = []
        for entity in ("Org", "OrgMember", "OrgInvite"):
            rows += await stored(house, entity)
        times = [row[name] for row in rows for name in row if name.endswith("At") and row[name]]
        assert len(times) == 6
        assert [time for time in times if not ISO.match(time)] == []


@pytest.mark.parametrize("kind", list(MailKind))
def test_no_letter_bears_another_name_than_the_apps(kind: MailKind) -> None:
    letter = Templates("Harbour").render(kind, SAMPLES[kind])
    text = f"{letter.subject}\n{letter.text}\n{letter.html}"
    assert "Harbour" in text
    assert "pylon" not in text.lower()


async def test_methods_that_are_not_built_have_no_door() -> None:
    async with open_house() as door:
        for method, path in (
            ("POST", "/api/auth/phone/send-code"),
            ("POST", "/api/auth/phone/verify"),
            ("GET", "/api/auth/siwe/nonce"),
            ("POST", "/api/auth/orgs/x/saml/acs"),
            ("POST", "/scim/v2/Users"),
            ("POST", "/oidc/token"),
        ):
            answer = await door(method, path, {} if method == "POST" else None)
            assert (answer.status_code, code_of(answer)[1]) == (404, "NOT_FOUND"), path
