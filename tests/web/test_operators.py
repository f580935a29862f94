"""Operators with a name and a password: how they come in, what they may, how it ends, and what the audit log says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest

from pylon.testing.process import ADMIN_TOKEN
from tests.auth.factors import APP, Door, code_of, eventually, open_house

PASSWORD = "correct horse battery"
OWN_PAGE = {"X_Pylon_Studio": "1", "Sec_Fetch_Site": "same-origin"}
WRONG = (401, "UNAUTHORIZED")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_house(env={"PYLON_DISABLE_HIBP": "1"}, app=APP) as opened:
        yield opened


async def create(door: Door, name: str = "ann", **also: Any) -> dict[str, Any]:
    sent = {"username": name, "password": PASSWORD, **also}
    answer = await door("POST", "/api/admin/operators", sent, token=ADMIN_TOKEN)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def enter(door: Door, name: str = "ann", password: str = PASSWORD, code: str = "") -> httpx.Response:
    sent = {"username": name, "password": password, "code": code}
    return await door("POST", "/studio/session", sent, **OWN_PAGE)


async def ask(door: Door, answer: httpx.Response, method: str, path: str, body: Any = None) -> httpx.Response:
    """As the browser that got this answer."""
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return await door(method, path, body, Cookie=cookie, **OWN_PAGE)


async def test_an_operator_signs_in_by_name_and_is_named_in_the_audit_log(door: Door) -> None:
    made = await create(door)
    assert (made["username"], made["userId"], made["secondFactor"]) == ("ann", "op_pylon_ann", False)
    opened = await enter(door)
    assert opened.json()["operator"]["name"] == "ann"
    assert (await ask(door, opened, "GET", "/api/admin/overview")).status_code == 200
    assert (await ask(door, opened, "PUT", "/api/admin/switches", {})).status_code != 403
    assert (await ask(door, opened, "POST", "/api/admin/tokens", {"label": "hers"})).status_code == 201
    said = (await door("GET", "/api/admin/audit?action=token.create", token=ADMIN_TOKEN)).json()["entries"]
    assert [entry["user"] for entry in said] == ["op_pylon_ann"]
    said = (await door("GET", "/api/admin/audit?action=operator.use", token=ADMIN_TOKEN)).json()["entries"]
    assert {entry["user"] for entry in said} == {"op_pylon_ann"}


async def test_what_a_token_reads_is_recorded_by_route_and_without_the_values_of_a_path(door: Door) -> None:
    for value in ("a@example.com", "b@example.com"):
        await door("GET", f"/api/lookup/User/email/{value}", token=ADMIN_TOKEN)

    async def used() -> list[str]:
        said = await door("GET", "/api/admin/audit?action=token.use", token=ADMIN_TOKEN)
        return [entry["details"]["route"] for entry in said.json()["entries"]]

    async def are_all_there() -> bool:
        return {"GET /api/lookup/{entity}/{field}/{value:path}", "GET /api/admin/audit"} <= set(await used())

    await eventually(are_all_there)
    assert len(await used()) == 2


async def test_each_use_of_a_token_is_counted_until_it_is_recorded(door: Door) -> None:
    route = "GET /api/admin/tokens"

    async def uses() -> list[int]:
        said = await door("GET", "/api/admin/audit?action=token.use", token=ADMIN_TOKEN)
        found = [entry["details"] for entry in said.json()["entries"]]
        return [each["uses"] for each in reversed(found) if each["route"] == route]

    async def is_told_of_the_first() -> bool:
        return await uses() == [1]

    for _ in range(5):
        await door("GET", "/api/admin/tokens", token=ADMIN_TOKEN)
    await eventually(is_told_of_the_first)
    for recorded in ([1, 4], [1, 4]):
        await door.server.admin_use.tell()
        assert await uses() == recorded


async def test_an_operators_cookie_opens_no_door_of_the_app(door: Door) -> None:
    await create(door)
    opened = await enter(door)
    assert (await ask(door, opened, "GET", "/api/auth/me")).json()["user_id"] is None


async def test_whatever_is_wrong_has_one_answer(door: Door) -> None:
    await create(door)
    await create(door, "eve", second_factor=True)
    for name, password, code in (
        ("ann", "wrong", ""),
        ("nobody", PASSWORD, ""),
        ("", "", ""),
        ("a" * 5000, PASSWORD, ""),
        ("eve", PASSWORD, ""),
        ("eve", PASSWORD, "000000"),
    ):
        answer = await enter(door, name, password, code)
        assert (code_of(answer), "set-cookie" in answer.headers) == (WRONG, False), name


async def test_an_authenticator_app_is_asked_for_and_its_code_is_good_once(door: Door) -> None:
    made = await create(door, second_factor=True)
    assert made["totp"]["url"].startswith("otpauth://totp/")
    code = pyotp.TOTP(made["totp"]["secret"]).now()
    assert (await enter(door, code=code)).status_code == 200
    assert code_of(await enter(door, code=code)) == WRONG


async def test_another_password_and_removal_end_the_sessions_at_once(door: Door) -> None:
    await create(door)
    first = await enter(door)
    other = "staple horse correct"
    changed = await door("PUT", "/api/admin/operators/ann/password", {"password": other}, token=ADMIN_TOKEN)
    assert changed.status_code == 200
    assert (await ask(door, first, "GET", "/api/admin/overview")).status_code == 403
    assert code_of(await enter(door)) == WRONG
    second = await enter(door, password=other)
    assert (await door("DELETE", "/api/admin/operators/ann", token=ADMIN_TOKEN)).json() == {"deleted": True}
    assert (await ask(door, second, "GET", "/api/admin/overview")).status_code == 403
    assert code_of(await door("DELETE", "/api/admin/operators/ann", token=ADMIN_TOKEN)) == (404, "OPERATOR_NOT_FOUND")


async def test_names_and_passwords_are_checked_and_a_name_is_given_once(door: Door) -> None:
    await create(door)
    for name, password, expected in (
        ("two words", PASSWORD, (400, "OPERATOR_INVALID")),
        ("ANN", PASSWORD, (409, "OPERATOR_INVALID")),
        ("bo", "short", (400, "WEAK_PASSWORD")),
        ("boris", "boris-2026-factors", (400, "WEAK_PASSWORD")),
    ):
        sent = {"username": name, "password": password}
        assert code_of(await door("POST", "/api/admin/operators", sent, token=ADMIN_TOKEN)) == expected
    listed = (await door("GET", "/api/admin/operators", token=ADMIN_TOKEN)).json()["operators"]
    assert [one["username"] for one in listed] == ["ann"]
    assert "argon2" not in str(listed)


async def test_guessing_at_a_name_waits(door: Door) -> None:
    await create(door)
    answers = [await enter(door, password="wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers[:4]] == [401] * 4
    assert answers[-1].status_code == 429
    assert (await enter(door)).status_code == 429, "the right password must not tell itself apart"


async def test_users_make_no_operators(door: Door) -> None:
    _, token = await door.new_user()
    for method, path in (
        ("GET", "/api/admin/operators"),
        ("POST", "/api/admin/operators"),
        ("PUT", "/api/admin/operators/ann/password"),
        ("DELETE", "/api/admin/operators/ann"),
    ):
        assert code_of(await door(method, path, {} if method != "GET" else None, token=token)) == (403, "FORBIDDEN")


async def test_many_who_create_one_name_at_once_make_one_operator(door: Door) -> None:
    sent = {"username": "ann", "password": PASSWORD}
    answers = await asyncio.gather(*(door("POST", "/api/admin/operators", sent, token=ADMIN_TOKEN) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
