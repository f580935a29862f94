"""The pages without JavaScript, and what a stranger might try with them."""

# ruff: noqa: N815 - fields have the names that clients know

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyotp
import pytest

from pylon import App, Auth, Entity
from pylon.testing.kit import TestApp
from tests.pages.visitor import Visitor

PASSWORD = "correct horse battery"

app = App("Harbour")


class User(Entity, crdt=False):
    email: str
    displayName: str | None = None
    emailVerified: datetime | None = None
    createdAt: datetime | None = None
    passwordHash: str | None = None
    totpSecret: str | None = None
    totpVerified: datetime | None = None

    class Policy:
        read = "auth.userId == data.id"


@pytest.fixture(scope="module")
def t() -> Iterator[TestApp]:
    with app.test(env={"PYLON_DISABLE_HIBP": "1"}) as running:
        yield running


def signed_up(t: TestApp, email: str) -> Visitor:
    visitor = Visitor(t).get("/auth/sign-up?return_to=/auth/account")
    return visitor.fill("/auth/sign-up", name="Ada", email=email, password=PASSWORD)


def test_an_account_is_made_proven_and_shown(t: TestApp) -> None:
    visitor = signed_up(t, "ada@example.com")
    assert "Confirm your address" in visitor.page
    visitor.fill("/auth/verify", code=visitor.note)
    assert visitor.path == "/auth/account"
    assert "ada@example.com" in visitor.page
    assert "this browser" in visitor.page
    visitor.fill("/auth/sign-out")
    assert visitor.path.startswith("/auth/sign-in")
    assert "ada@example.com" not in visitor.get("/auth/account").page


def test_a_password_lets_in_and_a_wrong_one_says_so(t: TestApp) -> None:
    signed_up(t, "ben@example.com")
    visitor = Visitor(t).get("/auth/sign-in?return_to=/auth/account")
    visitor.fill("/auth/sign-in", email="ben@example.com", password="not the password")
    assert (visitor.status, visitor.error) == (401, "Address and password don't fit each other.")
    assert 'value="ben@example.com"' in visitor.page
    visitor.fill("/auth/sign-in", email="ben@example.com", password=PASSWORD)
    assert visitor.path == "/auth/account"
    unknown = Visitor(t).post("/auth/sign-in", email="nobody@example.com", password=PASSWORD)
    assert (unknown.status, unknown.error) == (401, "Address and password don't fit each other.")


def test_a_code_by_mail_lets_in(t: TestApp) -> None:
    visitor = Visitor(t).get("/auth/code?return_to=/auth/account").fill("/auth/code", email="cyd@example.com")
    code = visitor.note
    assert visitor.fill("/auth/code/enter", code="000000" if code != "000000" else "111111").status == 401
    visitor.fill("/auth/code/enter", code=code)
    assert visitor.path == "/auth/account"


def test_the_second_factor_is_set_up_asked_for_and_replaced_by_a_backup_code(t: TestApp) -> None:
    visitor = signed_up(t, "dan@example.com")
    visitor.get("/auth/account").post("/auth/account", action="totp-enroll")
    secret = visitor.page.partition("key by hand: ")[2].partition("<")[0].strip()
    assert 'src="data:image/svg' in visitor.page
    visitor.post("/auth/account", action="totp-verify", code=_code(t, secret))
    codes = visitor.page.split("<code>")[1:]
    backup = codes[0].partition("<")[0]
    again = Visitor(t).get("/auth/sign-in?return_to=/auth/account")
    again.fill("/auth/sign-in", email="dan@example.com", password=PASSWORD)
    assert again.path.startswith("/auth/second-factor")
    assert not any(name.endswith("_session") for name in again.cookies)
    assert again.fill("/auth/second-factor", code="000000").status == 401
    again.fill("/auth/second-factor", code=backup)
    assert again.path == "/auth/account"


def _code(t: TestApp, secret: str) -> str:
    return pyotp.TOTP(secret.replace(" ", "")).at(int(t.clock()))


def test_a_session_elsewhere_can_be_ended(t: TestApp) -> None:
    here = signed_up(t, "eve@example.com").get("/auth/account")
    there = Visitor(t, agent="curl/8.0").post("/auth/sign-in", email="eve@example.com", password=PASSWORD)
    there.get("/auth/account")
    assert there.path == "/auth/account"
    here.get("/auth/account")
    session_id = here.page.partition('value="end-session"')[2].partition('name="id" value="')[2].partition('"')[0]
    here.post("/auth/account", action="end-session", id=session_id)
    assert here.path.startswith("/auth/account")
    assert there.get("/auth/account").path.startswith("/auth/sign-in")


def test_the_answer_to_a_forgotten_password_is_the_same_for_everybody(t: TestApp) -> None:
    signed_up(t, "fay@example.com")
    pages = {
        Visitor(t).get("/auth/reset").fill("/auth/reset", email=email).page.replace(email, "")
        for email in ("fay@example.com", "nobody@example.com")
    }
    assert len(pages) == 1


def test_what_is_typed_comes_back_as_text(t: TestApp) -> None:
    evil = '"><script>alert(1)</script>@x.co'
    for path, fields in (
        ("/auth/sign-in", {"email": evil, "password": "x"}),
        ("/auth/sign-up", {"email": evil, "name": evil, "password": "short"}),
        ("/auth/code", {"email": evil}),
        ("/auth/reset", {"email": evil}),
        ("/auth/code/enter", {"email": evil, "code": "1"}),
    ):
        visitor = Visitor(t).post(path, **fields)
        assert "<script>alert" not in visitor.page, path
    for path in (
        "/auth/sign-in?oauth_error=X&oauth_error_message=<script>alert(1)</script>",
        "/reset-password?token=<script>",
    ):
        assert "<script>a" not in Visitor(t).get(path).page


def test_nobody_is_led_to_a_stranger(t: TestApp) -> None:
    signed_up(t, "tia@example.com")
    for target in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\thttps://evil",
    ):
        visitor = Visitor(t).get("/auth/sign-in")
        page = visitor.get(f"/auth/sign-in?return_to={target}").page
        assert 'name="return_to" value="/"' in page, target
        signed = Visitor(t).post("/auth/sign-in", email="tia@example.com", password=PASSWORD, return_to=target)
        assert signed.path == "/"


def test_who_needs_a_second_factor_is_led_to_setting_one_up_and_then_on() -> None:
    strict = App("Strict", entities=[User], auth=Auth(second_factor="required"))
    with strict.test(env={"PYLON_DISABLE_HIBP": "1"}) as running:
        visitor = signed_up(running, "ida@example.com")
        visitor.fill("/auth/verify", code=visitor.note)
        where = "/auth/second-factor/set-up"
        assert visitor.path.startswith(where)
        assert visitor.post("/auth/account", action="create-key", name="ci").path.startswith(where)
        visitor.fill(where)
        secret = re.findall(r"by hand: (\w+)", visitor.page)[0]
        assert "data:image/svg+xml" in visitor.page
        assert visitor.post(where, action="verify", code="000000").status == 401
        assert "That is not the code" in visitor.error
        held = dict(visitor.cookies)
        visitor.fill(where, code=pyotp.TOTP(secret).now())
        assert len(re.findall(r"<code>[A-Z0-9]{4}-[A-Z0-9]{4}</code>", visitor.page)) == 10
        assert visitor.cookies != held
        assert visitor.get("/auth/account").path == "/auth/account"
        assert visitor.get(f"{where}?return_to=/auth/account").path == "/auth/account"


def test_a_page_of_another_origin_can_send_no_form(t: TestApp) -> None:
    with app.test(env={"PYLON_DEV_MODE": "0", "PYLON_ADMIN_TOKEN": "x" * 32, "PYLON_COOKIE_SECURE": "0"}) as strict:
        visitor = Visitor(strict).post("/auth/sign-in", "https://evil.example", email="a@b.co", password="x")
        assert visitor.status == 403
        assert visitor.cookies == {}


def test_pages_allow_no_foreign_script_and_are_not_kept(t: TestApp) -> None:
    answer = t.anonymous().request("GET", "/auth/sign-in")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert b"<style" not in answer.body
    assert b"onclick" not in answer.body


def test_the_account_page_does_what_its_forms_say_and_nothing_else(t: TestApp) -> None:
    visitor = signed_up(t, "gus@example.com")
    assert visitor.post("/auth/account", action="drop-everything").status == 400
    assert visitor.post("/auth/account", action="end-session", id="../../admin/tokens").status in (400, 404)
    assert Visitor(t).post("/auth/account", action="sign-out-everywhere").path.startswith("/auth/sign-in")


def test_pages_can_be_switched_off() -> None:
    with app.test(env={"PYLON_AUTH_PAGES": "0"}) as bare:
        assert bare.anonymous().request("GET", "/auth/sign-in").status == 404
        assert bare.anonymous().request("GET", "/reset-password").status == 404


def test_an_app_says_and_shows_it_its_own_way(tmp_path: Path) -> None:
    from pylon.loading import find_entry, load

    (tmp_path / "app.py").write_text(
        "from pylon import App, Entity\n\napp = App('own')\n\n\nclass User(Entity, crdt=False):\n    email: str\n"
        "\n    class Policy:\n        read = 'true'\n"
    )
    (tmp_path / "web").mkdir()
    own = tmp_path / "auth"
    own.mkdir()
    (own / "style.css").write_text(":root { --accent: hotpink }")
    (own / "words.json").write_text(json.dumps({"sign_in": "Come in", "de": {"sign_in": "Anmelden"}}))
    (own / "reset.html").write_text("<p>{{ t('sign_in') }} {{ email }}</p>")
    with TestApp(load(find_entry(None, tmp_path))) as t:
        assert "<h1>Come in</h1>" in Visitor(t).get("/auth/sign-in").page
        assert "<h1>Anmelden</h1>" in Visitor(t, language="de-AT,de;q=0.9").get("/auth/sign-in").page
        assert "/auth/own.css" in Visitor(t).get("/auth/sign-in").page
        assert "hotpink" in Visitor(t).get("/auth/own.css").page
        assert Visitor(t).get("/auth/reset").page == "<p>Come in </p>"
