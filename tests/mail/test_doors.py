"""Codes, links and passwords through HTTP of a real server in production, with a real mail server behind it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually
from tests.mail.servers import Inbox, smtp_server

APP = """
from pylon import App, Entity, field

class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    emailVerified: str | None = None
    passwordHash: str | None = None
    class Policy:
        read = "auth.userId == data.id"

class Post(Entity, crdt=False):
    title: str
    class Policy:
        allow = "auth.userId != null"

app = App("letters")

@app.query
def hello(ctx) -> str:
    return "hello"
"""
HOST = "https://app.example.com"
COOKIE = "__Host-letters_session"
PASSWORD = "correct horse battery"


class Site:
    """The server and its mail."""

    def __init__(self, server: ServerProcess, inbox: Inbox) -> None:
        self.server = server
        self.inbox = inbox

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """(status, body, headers); a dict goes as JSON, a text as it is; header names with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=15)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            data = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in (answer.headers["Content-Type"] or "")
            return answer.status, json.loads(text) if is_json and text else text, answer.headers
        finally:
            connection.close()

    def post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        status, answer, _ = self.call("POST", path, body, **headers)
        assert status == 200, answer
        return dict(answer)

    def letter(self, address: str, count: int = 1) -> EmailMessage:
        """The newest letter to an address, once there are so many."""

        def found() -> list[EmailMessage]:
            letters = [letter for letter in self.inbox.letters if address in letter["To"]]
            return letters if len(letters) >= count else []

        return eventually(found)[-1]

    def user(self, **fields: Any) -> tuple[str, str]:
        """(id, token) of a new user."""
        status, made = self.server.request("POST", "/api/entities/User", fields, token=ADMIN_TOKEN)
        assert status == 201, made
        return made["id"], self.server.token_of(made["id"])


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def code_in(letter: EmailMessage) -> str:
    found = re.search(r"^\s+(\d{6})\s*$", text_of(letter), re.MULTILINE)
    assert found is not None
    return found[1]


def link_in(letter: EmailMessage) -> str:
    found = re.search(r"^(https://\S+)$", text_of(letter).replace("\r", ""), re.MULTILINE)
    assert found is not None
    assert found[1].startswith(f"{HOST}/")
    parts = urlsplit(found[1])
    return f"{parts.path}?{parts.query}"


def cookies_of(headers: http.client.HTTPMessage) -> SimpleCookie:
    cookies = SimpleCookie()
    for value in headers.get_all("Set-Cookie") or []:
        cookies.load(value)
    return cookies


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("letters")
    (folder / "app.py").write_text(APP)
    steps = ("LOGIN_IP_PER_MIN", "SEND_IP_PER_MIN", "VERIFY_IP_PER_MIN", "REGISTER_IP_PER_MIN")
    with smtp_server() as (inbox, port):
        env = {
            "PYLON_DEV_MODE": "0",
            "PYLON_EMAIL_PROVIDER": "smtp",
            "PYLON_SMTP_HOST": "127.0.0.1",
            "PYLON_SMTP_PORT": str(port),
            "PYLON_SMTP_SECURITY": "off",
            "PYLON_EMAIL_FROM": "noreply@example.com",
            "PYLON_PUBLIC_URL": HOST,
            "PYLON_DASHBOARD_URL": "/home",
            "PYLON_DISABLE_HIBP": "1",
            "PYLON_REQUIRE_EMAIL_VERIFICATION": "1",
            **{f"PYLON_AUTH_{step}": "0" for step in steps},
        }
        with ServerProcess(folder / "app.py", folder / "data", env=env) as server:
            yield Site(server, inbox)


def test_a_code_from_the_letter_signs_in_and_no_answer_carries_it(site: Site) -> None:
    assert site.post("/api/auth/magic/send", {"email": "Ann@Example.com"}) == {"email": "ann@example.com", "sent": True}
    code = code_in(site.letter("ann@example.com"))
    granted = site.post("/api/auth/magic/verify", {"email": "ann@example.com", "code": code})
    assert granted.keys() == {"expires_at", "token", "user_id"}
    _, me, _ = site.call("GET", "/api/auth/me", Authorization=f"Bearer {granted['token']}")
    assert me["user_id"] == granted["user_id"]
    log = site.server.log()
    assert code not in log
    assert granted["token"] not in log


def test_who_looks_at_a_link_before_its_reader_uses_nothing_up(site: Site) -> None:
    assert site.post("/api/auth/magic-link/send", {"email": "lena@example.com"}) == {"sent": True}
    link = link_in(site.letter("lena@example.com"))
    for method in ("GET", "HEAD", "GET"):  # scanners, previews
        status, page, headers = site.call(method, link)
        assert status == 200
        assert not headers.get_all("Set-Cookie")
        assert "script" not in headers["Content-Security-Policy"].replace("default-src 'none'", "")
        assert headers["Cache-Control"] == "no-store"
    assert "le***@example.com" in page
    form = urlencode({"token": link.partition("token=")[2]})
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    assert site.call("POST", "/api/auth/magic-link/verify", form, Origin="https://evil.example", **kind)[0] == 403
    status, _, headers = site.call(
        "POST", "/api/auth/magic-link/verify", form, Origin=HOST, Host="app.example.com", **kind
    )
    assert (status, headers["Location"], headers["Referrer-Policy"]) == (303, "/home", "no-referrer")
    session = cookies_of(headers)[COOKIE].value
    assert site.call("GET", "/api/auth/me", Cookie=f"{COOKIE}={session}")[1]["user_id"]
    status, answer, _ = site.call("GET", link)
    assert (status, answer["error"]["code"]) == (401, "INVALID_TOKEN")


def test_the_browser_that_asked_is_signed_in_by_the_click_alone(site: Site) -> None:
    _, _, headers = site.call(
        "POST", "/api/auth/magic-link/send", {"email": "tom@example.com"}, Origin=HOST, Host="app.example.com"
    )
    held = f"pylon_link={cookies_of(headers)['pylon_link'].value}"
    link = link_in(site.letter("tom@example.com"))
    assert site.call("GET", link, Cookie=held, Sec_Purpose="prefetch;prerender")[0] == 200
    status, _, headers = site.call("GET", link, Cookie=held)
    assert (status, headers["Location"]) == (303, "/home")
    assert cookies_of(headers)[COOKIE]["httponly"]


def test_registering_answers_alike_with_and_without_an_account(site: Site) -> None:
    wanted = {"email": "rosa@example.com", "password": PASSWORD}
    first = site.call("POST", "/api/auth/password/register", wanted)[:2]
    assert first == (200, {"sent": True, "verification_required": True})
    code = code_in(site.letter("rosa@example.com"))
    granted = site.post("/api/auth/password/register", {**wanted, "code": code})
    assert granted["user_id"]
    site.user(email="known@example.com")
    assert site.call("POST", "/api/auth/password/register", {**wanted, "email": "known@example.com"})[:2] == first
    assert site.post("/api/auth/password/login", wanted)["user_id"] == granted["user_id"]
    _, mine, _ = site.call("GET", "/api/auth/session", Authorization=f"Bearer {granted['token']}")
    assert "passwordHash" not in mine["user"]


def test_a_reset_link_leads_to_the_configured_server_whatever_host_the_request_names(site: Site) -> None:
    user, _ = site.user(email="oskar@example.com", emailVerified="2026-01-01T00:00:00Z")
    for address in ("oskar@example.com", "nobody@example.com"):
        answer = site.post(
            "/api/auth/password/reset/request", {"email": address}, Host="evil.example", X_Forwarded_Host="evil.example"
        )
        assert answer == {"sent": True}
    link = link_in(site.letter("oskar@example.com"))
    assert link.startswith("/reset-password?token=")
    body = {"token": link.partition("token=")[2], "newPassword": PASSWORD}
    done = site.post("/api/auth/password/reset/complete", body)
    assert (done["reset"], done["user_id"]) == (True, user)
    assert not any("nobody@" in letter["To"] for letter in site.inbox.letters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/entities/Post"),
        ("POST", "/api/entities/Post"),
        ("POST", "/api/query/Post"),
        ("POST", "/api/fn/hello"),
        ("GET", "/api/sync/pull?since=0"),
        ("POST", "/api/sync/push"),
        ("POST", "/api/transact"),
        ("GET", "/api/auth/orgs"),
        ("POST", "/api/auth/api-keys"),
        ("POST", "/api/auth/jwt"),
        ("POST", "/api/auth/totp/enroll"),
        ("POST", "/api/auth/select-org"),
        ("GET", "/api/sync/events"),
        ("GET", "/api/something/of/a/later/release"),
    ],
)
def test_who_has_not_proved_the_address_may_do_nothing_else(site: Site, method: str, path: str) -> None:
    token = getattr(site, "unproved", None)
    if token is None:
        _, token = site.user(email="unproved@example.com")
        site.unproved = token  # type: ignore[attr-defined]
    status, answer, _ = site.call(method, path, {} if method == "POST" else None, Authorization=f"Bearer {token}")
    assert (status, answer["error"]["code"]) == (403, "EMAIL_NOT_VERIFIED")
    assert "send-verification" in answer["error"]["hint"]


def test_proving_the_address_opens_everything_and_sockets_too(site: Site) -> None:
    _, token = site.user(email="proving@example.com")
    bearer = {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{site.server.port}/api/sync/ws"
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=bearer):
        pass
    assert refused.value.response.status_code == 403
    assert site.call("GET", "/api/auth/me", **bearer)[0] == 200
    site.post("/api/auth/email/send-verification", {}, **bearer)
    code = code_in(site.letter("proving@example.com"))
    assert site.post("/api/auth/email/verify", {"code": code}, **bearer)["verified"] is True
    assert site.call("GET", "/api/entities/Post", **bearer)[0] == 200
    with connect(url, additional_headers=bearer):
        pass


def test_a_letter_that_was_promised_is_sent_after_a_kill(site: Site) -> None:
    site.inbox.answers = ["451 come again"]
    site.post("/api/auth/magic/send", {"email": "late@example.com"})

    def waiting() -> list[dict[str, Any]]:
        _, report = site.server.request("GET", "/api/admin/mail?state=waiting", token=ADMIN_TOKEN)
        return [letter for letter in report["mail"] if letter["error"]]

    [letter] = eventually(waiting)
    assert (letter["recipient"], letter["error"]) == ("la***@example.com", "SMTP 451: come again")
    site.server.kill()
    site.server.start()
    site.server.request("POST", f"/api/admin/mail/{letter['id']}/retry", token=ADMIN_TOKEN)
    code = code_in(site.letter("late@example.com"))
    assert site.post("/api/auth/magic/verify", {"email": "late@example.com", "code": code})["user_id"]


def test_operators_see_mail_and_try_it(site: Site) -> None:
    site.post("/api/auth/magic/send", {"email": "seen@example.com"})
    code = code_in(site.letter("seen@example.com"))

    def pylon(*words: str) -> str:
        env = os.environ | {"PYLON_URL": site.server.url, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN}
        done = subprocess.run(
            [sys.executable, "-m", "pylon", *words], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    listed = pylon("mail", "list")
    assert listed.startswith("smtp: ")
    assert "se***@example.com" in listed
    assert code not in listed
    assert "smtp took the letter" in pylon("mail", "test", "me@example.com")
    assert "letters" in site.letter("me@example.com")["Subject"]
    assert site.call("GET", "/api/admin/mail")[0] == 403
    _, metrics, _ = site.call("GET", "/metrics", Accept="text/plain", Authorization=f"Bearer {ADMIN_TOKEN}")
    assert 'pylon_mail_sent_total{kind="test"} 1' in metrics
