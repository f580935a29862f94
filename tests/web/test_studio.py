"""Studio's sign-in and its cookie over HTTP: what they open, what they never open, and how they end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Entity
from pylon.auth.hashing import Hashing
from pylon.auth.limiter import Limiter
from pylon.auth.operator_accounts import OperatorAccounts
from pylon.auth.operators import LIFETIME_SECONDS, MAX_SESSIONS, Operators
from pylon.auth.passwords import Passwords
from pylon.auth.sessions import Sessions
from pylon.auth.vault import Vault
from pylon.engine.audit.search import AuditFilter
from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing
from pylon.model.errors import PylonError
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually
from pylon.web.studio.attempts import ADDRESSES, Attempts
from tests.web.exchange import Answer, request

STUDIO = {"X-Pylon-Studio": "1", "Content-Type": "application/json"}
OWN_PAGE = {**STUDIO, "Sec-Fetch-Site": "same-origin"}


def sign_in(server: ServerProcess, token: str = ADMIN_TOKEN, address: str = "203.0.113.1", **headers: str) -> Answer:
    """Each test signs in from an address of its own, so that none uses up another's attempts."""
    body = json.dumps({"token": token}).encode()
    sent = {
        **OWN_PAGE,
        "X-Forwarded-For": address,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return request(server, "POST", "/studio/session", body, sent)


def cookie_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return answer.headers["set-cookie"].split(";")[0]


@pytest.fixture(scope="module")
def cookie(production: ServerProcess) -> str:
    return cookie_of(sign_in(production))


def code(answer: Answer) -> str:
    found: str = json.loads(answer.body)["error"]["code"]
    return found


# -- files -------------------------------------------------------------------------------------------------------


def test_the_page_forbids_everything_from_elsewhere_and_every_inline_script(production: ServerProcess) -> None:
    page = request(production, "GET", "/studio")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("pages/overview.js", "text/javascript; charset=utf-8"),
        ("studio.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_file_has_its_type_and_is_sent_once(production: ServerProcess, name: str, kind: str) -> None:
    first = request(production, "GET", f"/studio/{name}")
    assert (first.status, first.headers["content-type"]) == (200, kind)
    again = request(production, "GET", f"/studio/{name}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/studio/../door.py", "/studio/%2e%2e/door.py", "/studio/none.js", "/studio/.x"])
def test_nothing_but_studios_files_is_served(production: ServerProcess, path: str) -> None:
    assert request(production, "GET", path).status == 404


def test_no_file_refers_to_another_host() -> None:
    from pylon.web.studio import pages

    for file in (Path(pages.__file__).parent / "assets").rglob("*"):
        if file.suffix in {".js", ".css", ".html"} and "vendor" not in file.parts:
            text = file.read_text("utf-8").replace("http://www.w3.org/", "")
            assert "http://" not in text, file
            assert "https://" not in text, file


# -- signing in --------------------------------------------------------------------------------------------------


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(production: ServerProcess) -> None:
    answer = sign_in(production, address="203.0.113.2")
    value, *flags = answer.headers["set-cookie"].split("; ")
    assert set(flags) == {"Path=/", f"Max-Age={12 * 3600}", "HttpOnly", "SameSite=Strict", "Secure"}
    assert value.startswith("pylon_studio=")
    assert ADMIN_TOKEN not in answer.headers["set-cookie"]
    assert ADMIN_TOKEN.encode() not in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_goes_over_plain_http_in_dev_mode(server: ServerProcess) -> None:
    assert "Secure" not in sign_in(server).headers["set-cookie"]


@pytest.mark.parametrize("token", ["wrong", "", ADMIN_TOKEN + "x", "x" * 600, "ü"])
def test_a_wrong_token_opens_nothing(production: ServerProcess, token: str) -> None:
    answer = sign_in(production, token, address=f"203.0.113.{30 + len(token) % 50}")
    assert (answer.status, code(answer)) == (401, "UNAUTHORIZED")
    assert "set-cookie" not in answer.headers


def test_a_users_session_is_no_admin_token(production: ServerProcess) -> None:
    assert sign_in(production, production.token_of("ada"), address="203.0.113.3").status == 401


def test_more_than_ten_attempts_a_minute_are_refused(production: ServerProcess) -> None:
    answers = [sign_in(production, "wrong", address="203.0.113.4") for _ in range(11)]
    assert [answer.status for answer in answers] == [401] * 10 + [429]
    assert code(answers[-1]) == "RATE_LIMITED"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert sign_in(production, address="203.0.113.4").status == 429, "the right token must not tell itself apart"
    assert sign_in(production, address="203.0.113.5").status == 200


def test_who_is_signed_in_is_told_without_an_error(production: ServerProcess, cookie: str) -> None:
    nobody = json.loads(request(production, "GET", "/studio/session").body)
    assert (nobody["signed_in"], nobody["methods"], nobody["app"]) == (False, ["token"], {"name": "web"})
    answer = json.loads(request(production, "GET", "/studio/session", headers={**OWN_PAGE, "Cookie": cookie}).body)
    assert answer["signed_in"]
    assert "Post" in answer["app"]["entities"]
    assert "add" in answer["app"]["functions"]


def test_a_server_without_an_admin_token_says_that_nobody_can_sign_in(app_folder: Path, tmp_path: Path) -> None:
    with ServerProcess(app_folder / "app.py", tmp_path / "data", env={"PYLON_ADMIN_TOKEN": ""}) as server:
        said = json.loads(request(server, "GET", "/studio/session").body)
        assert (said["signed_in"], said["methods"], said["dev"]) == (False, [], True)
        assert sign_in(server, "").status == 401


# -- what the cookie opens ---------------------------------------------------------------------------------------


def test_the_cookie_opens_the_admin_api(production: ServerProcess, cookie: str) -> None:
    path = "/api/admin/studio/sessions"
    assert request(production, "GET", path).status == 403
    answer = request(production, "GET", path, headers={**OWN_PAGE, "Cookie": cookie})
    assert answer.status == 200
    assert [session["name"] for session in json.loads(answer.body)["sessions"] if session["current"]] == ["admin"]


def test_the_cookie_opens_the_metrics(production: ServerProcess, cookie: str) -> None:
    outside = {"X-Forwarded-For": "203.0.113.9", **OWN_PAGE}
    assert request(production, "GET", "/metrics", headers=outside).status == 401
    assert request(production, "GET", "/metrics", headers={**outside, "Cookie": cookie}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/entities/Closed"),
        ("POST", "/api/entities/Closed"),
        ("POST", "/api/auth/session"),
        ("GET", "/api/sync/pull?since=0"),
    ],
)
def test_no_data_route_takes_the_cookie(production: ServerProcess, cookie: str, method: str, path: str) -> None:
    body = b'{"title": "x", "user_id": "ada"}' if method == "POST" else b""
    asked = request(production, method, path, body, {**OWN_PAGE, "Cookie": cookie})
    plain = request(production, method, path, body, OWN_PAGE)
    assert (asked.status, asked.body) == (plain.status, plain.body)


def test_data_routes_see_nobody_behind_the_cookie(production: ServerProcess, cookie: str) -> None:
    me = json.loads(request(production, "GET", "/api/auth/me", headers={**OWN_PAGE, "Cookie": cookie}).body)
    assert (me["is_admin"], me["user_id"]) == (False, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", **STUDIO},
        {"Sec-Fetch-Site": "same-site", **STUDIO},
        {"Sec-Fetch-Site": "none", **STUDIO},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://app.example.com", **STUDIO},
        {"Origin": "null", **STUDIO},
        {},
    ],
)
def test_a_write_that_studio_did_not_send_is_refused(
    production: ServerProcess, cookie: str, headers: dict[str, str]
) -> None:
    path = "/api/admin/studio/sessions/none"
    answer = request(production, "DELETE", path, headers={**headers, "Cookie": cookie})
    assert (answer.status, code(answer)) == (403, "CSRF_REJECTED")
    sign = request(production, "POST", "/studio/session", json.dumps({"token": ADMIN_TOKEN}).encode(), headers)
    assert (sign.status, code(sign)) == (403, "CSRF_REJECTED")
    allowed = request(production, "DELETE", path, headers={**OWN_PAGE, "Cookie": cookie})
    assert code(allowed) == "NOT_FOUND"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_reads_nothing_with_the_cookie(production: ServerProcess, cookie: str, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Cookie": cookie}
    assert request(production, "GET", "/api/admin/studio/sessions", headers=headers).status == 403


def test_without_fetch_metadata_the_header_stands_in(production: ServerProcess, cookie: str) -> None:
    path = "/api/admin/studio/sessions"
    assert request(production, "GET", path, headers={**STUDIO, "Cookie": cookie}).status == 200
    assert request(production, "GET", path, headers={"Cookie": cookie}).status == 403


def test_a_bearer_token_wins_over_the_cookie(production: ServerProcess, cookie: str) -> None:
    headers = {**OWN_PAGE, "Cookie": cookie, "Authorization": f"Bearer {production.token_of('ada')}"}
    assert request(production, "GET", "/api/admin/studio/sessions", headers=headers).status == 403


# -- how it ends -------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_and_takes_the_cookie_away(production: ServerProcess) -> None:
    cookie = cookie_of(sign_in(production, address="203.0.113.6"))
    answer = request(production, "DELETE", "/studio/session", headers={**OWN_PAGE, "Cookie": cookie})
    assert (answer.status, "Max-Age=0" in answer.headers["set-cookie"]) == (200, True)
    assert (
        request(production, "GET", "/api/admin/studio/sessions", headers={**OWN_PAGE, "Cookie": cookie}).status == 403
    )


def test_an_operator_can_be_signed_out_by_another(production: ServerProcess, cookie: str) -> None:
    other = cookie_of(sign_in(production, address="203.0.113.7", User_Agent="other browser"))
    path = "/api/admin/studio/sessions"
    listed = json.loads(request(production, "GET", path, headers={**OWN_PAGE, "Cookie": cookie}).body)["sessions"]
    (found,) = [session for session in listed if session["agent"] == "other browser"]
    assert request(production, "DELETE", f"{path}/{found['id']}", headers={**OWN_PAGE, "Cookie": cookie}).status == 200
    assert request(production, "GET", path, headers={**OWN_PAGE, "Cookie": other}).status == 403
    assert request(production, "GET", path, headers={**OWN_PAGE, "Cookie": cookie}).status == 200


def test_a_session_outlives_the_process_but_not_its_admin_token(app_folder: Path, tmp_path: Path) -> None:
    env = {"PYLON_ADMIN_TOKEN": f"{ADMIN_TOKEN},another-admin-token-9876543210"}
    server = ServerProcess(app_folder / "app.py", tmp_path / "data", env=env)
    path = "/api/admin/studio/sessions"
    with server:
        cookie = cookie_of(sign_in(server))
    with server:
        assert request(server, "GET", path, headers={**OWN_PAGE, "Cookie": cookie}).status == 200
    env["PYLON_ADMIN_TOKEN"] = "another-admin-token-9876543210"
    with ServerProcess(app_folder / "app.py", tmp_path / "data", env=env) as without:
        assert request(without, "GET", path, headers={**OWN_PAGE, "Cookie": cookie}).status == 403


# -- the room itself ---------------------------------------------------------------------------------------------


class Note(Entity):
    title: str


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(App("operators", entities=[Note]).spec(), tmp_path) as opened:
        yield opened


def operators(engine: Engine, clock: Clock) -> Operators:
    ring = KeyRing(["k" * 32])
    vault = Vault(ring)
    limiter = Limiter(engine, vault, {})
    accounts = OperatorAccounts(engine, vault, Hashing(threads=1), limiter, Passwords(None), NoCodes())
    return Operators(engine, Sessions(engine, [ADMIN_TOKEN], ring), accounts, clock=clock)


class NoCodes:
    """Nobody has an authenticator app."""

    def use(self, tx: object, user_id: str, code: str) -> None:
        return None


async def test_the_store_holds_neither_the_secret_nor_the_token(engine: Engine, clock: Clock) -> None:
    opened = await operators(engine, clock).sign_in(SYSTEM, ADMIN_TOKEN)
    assert opened is not None
    stored = repr(engine.reads.records("operator"))
    assert opened[0] not in stored
    assert ADMIN_TOKEN not in stored


async def test_a_session_ends_after_twelve_hours(engine: Engine, clock: Clock) -> None:
    room = operators(engine, clock)
    opened = await room.sign_in(SYSTEM, ADMIN_TOKEN)
    assert opened is not None
    clock.now += LIFETIME_SECONDS - 1
    assert room.resolve(opened[0]) == opened[1]
    clock.now += 1
    assert room.resolve(opened[0]) is None
    assert room.open_sessions() == []


async def test_the_oldest_session_gives_way_when_there_are_too_many(engine: Engine, clock: Clock) -> None:
    room = operators(engine, clock)
    secrets = []
    for _ in range(MAX_SESSIONS + 1):
        clock.now += 1
        opened = await room.sign_in(SYSTEM, ADMIN_TOKEN)
        assert opened is not None
        secrets.append(opened[0])
    assert room.resolve(secrets[0]) is None
    assert room.resolve(secrets[1]) is not None
    assert len(engine.reads.records("operator")) == MAX_SESSIONS


async def test_an_operator_gets_in_while_the_store_takes_nothing(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = operators(engine, clock)

    async def full(*args: Any, **options: Any) -> None:
        raise PylonError("STORAGE_FULL", "The disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "run", full)
        opened = await room.sign_in(SYSTEM, ADMIN_TOKEN)
    assert opened is not None
    assert room.resolve(opened[0]) == opened[1]
    assert await room.sign_out(SYSTEM, opened[1].id)
    assert room.resolve(opened[0]) is None


async def test_signing_in_and_out_is_audited(engine: Engine, clock: Clock) -> None:
    room = operators(engine, clock)
    opened = await room.sign_in(SYSTEM, ADMIN_TOKEN, agent="a browser")
    assert opened is not None
    await room.sign_out(SYSTEM, opened[1].id)
    entries = await engine.audit.search(AuditFilter(kinds=frozenset({"operator"})))
    assert [entry.action for entry in entries] == ["studio.sign-out", "studio.sign-in"]
    assert entries[1].details == {"target": opened[1].id, "agent": "a browser"}


def test_attempts_count_within_their_window_only() -> None:
    clock = Clock()
    attempts = Attempts(2, 60.0, clock=clock)
    assert [attempts.wait("a"), attempts.wait("a")] == [0.0, 0.0]
    clock.now += 20
    assert attempts.wait("a") == 40.0
    assert attempts.wait("b") == 0.0
    clock.now += 40
    assert attempts.wait("a") == 0.0


def test_attempts_remember_a_bounded_number_of_addresses() -> None:
    attempts = Attempts(1, 60.0)
    for number in range(ADDRESSES + 1):
        assert attempts.wait(str(number)) == 0.0
    assert attempts.wait(str(ADDRESSES)) > 0
    assert attempts.wait("0") == 0.0


def test_a_failed_sign_in_is_logged_and_audited_without_what_was_tried(production: ServerProcess) -> None:
    sign_in(production, "a-secret-of-somebody", address="203.0.113.8")
    eventually(lambda: "a sign-in to Studio failed" in production.log())
    assert "a-secret-of-somebody" not in production.log()
