"""Studio in a real browser, on a real server under real traffic."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from page import until
from studio_page import Studio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

APP = """
from pylon import App, Context, Entity, field

app = App("shop")


class Order(Entity, crdt=False):
    title: str
    owner: str | None = None

    class Policy:
        allow = "true"


class Note(Entity, crdt=False):
    text: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def place(ctx: Context, title: str) -> str:
    return ctx.db.insert(Order, title=title).id
"""

PAGES = ["overview", "talkers", "sockets", "switches", "backups", "audit", "incidents"]
Open = Callable[[], Any]


@pytest.fixture
def server(tmp_path: Path, start: Callable[[Path], ServerProcess]) -> ServerProcess:
    (tmp_path / "app.py").write_text(APP)
    return start(tmp_path / "app.py")


@pytest.fixture
def studio(open_browser: Open, server: ServerProcess) -> Studio:
    """Signed in, on the overview."""
    return Studio(open_browser(), server).enter()


def place_orders(server: ServerProcess, user: str, count: int) -> list[str]:
    token = server.token_of(user)
    ids = []
    for number in range(count):
        status, answer = server.request("POST", "/api/entities/Order", {"title": f"order {number}"}, token=token)
        assert status == 201
        ids.append(answer["id"])
    return ids


# -- the way in --------------------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_in_words_and_the_right_one_enters(open_browser: Open, server: ServerProcess) -> None:
    page = Studio(open_browser(), server, "audit")
    page.sign_in("not-the-token")
    until(lambda: "not an admin token" in page.text("signin-problem"))
    assert page.driver.get_cookies() == []
    page.sign_in()
    until(lambda: page.driver.find_elements("css selector", "#page[data-page=audit]"))
    page.is_live()
    assert page.script_errors() == []


def test_scripts_see_no_cookie_and_the_browser_keeps_no_token(studio: Studio) -> None:
    (cookie,) = studio.driver.get_cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (
        "pylon_studio",
        True,
        "Strict",
        True,
    )
    assert cookie["value"] != ADMIN_TOKEN
    kept = "return document.cookie + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})"
    assert studio.driver.execute_script(kept) == "{}{}"
    assert ADMIN_TOKEN not in studio.driver.page_source


def test_reloading_keeps_the_operator_in_and_signing_out_ends_it(studio: Studio) -> None:
    studio.driver.refresh()
    studio.is_live()
    studio.click("signout")
    studio.find("token")
    assert studio.driver.get_cookies() == []


def test_a_revoked_session_leads_to_the_sign_in_page_and_back(studio: Studio) -> None:
    studio.go("switches")
    _, listed = studio.server.request("GET", "/api/admin/studio/sessions", token=ADMIN_TOKEN)
    (session,) = listed["sessions"]
    studio.server.request("DELETE", f"/api/admin/studio/sessions/{session['id']}", token=ADMIN_TOKEN)
    studio.find("token")
    assert "Your session has ended" in studio.driver.page_source
    studio.sign_in()
    until(lambda: studio.driver.find_elements("css selector", "#page[data-page=switches]"))


def test_without_an_admin_token_the_page_says_how_to_set_one(
    open_browser: Open, server: ServerProcess, tmp_path: Path
) -> None:
    env = {"PYLON_ADMIN_TOKEN": ""}
    with ServerProcess(server.app, tmp_path / "open", env=env) as open_server:
        page = Studio(open_browser(), open_server)
        assert "PYLON_ADMIN_TOKEN" in page.find("no-token").text
        assert not page.driver.find_elements("css selector", "[data-testid=token]")


def test_data_routes_do_not_know_the_operator(studio: Studio) -> None:
    ask = "return fetch(arguments[0], {headers: {'X-Pylon-Studio': '1'}}).then(r => r.json())"
    assert studio.driver.execute_script(ask, "/api/auth/me")["is_admin"] is False
    assert "switches" in studio.driver.execute_script(ask, "/api/admin/switches")


def test_a_page_of_another_origin_can_neither_write_nor_read_as_the_operator(
    studio: Studio, server: ServerProcess, tmp_path: Path
) -> None:
    """Another port of the same host is the same *site*: the browser sends the Strict cookie there."""
    with ServerProcess(server.app, tmp_path / "other", env={"PYLON_DEV_MODE": "1"}) as other:
        studio.driver.get(f"{other.url}/health")
        ask = """return fetch(arguments[0], {method: arguments[1], mode: arguments[2], credentials: 'include',
            body: arguments[1] === 'POST' ? '{"scope":"server"}' : undefined})
            .then(r => r.status, () => 'failed')"""
        url = f"{server.url}/api/admin/switches"
        assert studio.driver.execute_script(ask, url, "POST", "no-cors") == 0
        assert studio.driver.execute_script(ask, url, "GET", "cors") == "failed"
    assert server.request("GET", "/api/admin/switches", token=ADMIN_TOKEN)[1]["switches"] == []
    assert " 403" in server.log()


# -- the pages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_page_draws_itself_cleanly(studio: Studio, page: str) -> None:
    place_orders(studio.server, "ada", 3)
    studio.go(page)
    assert studio.find(f"nav-{page}", "[aria-current=page]")
    assert studio.driver.title.endswith("shop · Pylon Studio")
    studio.is_clean()


def test_the_overview_shows_what_the_server_really_does(studio: Studio) -> None:
    for _ in range(5):
        place_orders(studio.server, "ada", 20)
        if studio.number("now-requests") > 0 and studio.number("now-writes") > 0:
            break
    until(lambda: studio.number("now-requests") > 0)
    until(lambda: studio.number("now-writes") > 0)
    assert "Ready" in studio.text("facts")
    drawn = studio.driver.execute_script(
        "const c = document.querySelector('[data-testid=chart-requests] canvas'); return c.toDataURL()"
    )
    assert len(base64.b64decode(drawn.split(",")[1])) > 500
    studio.is_clean()


def test_a_dark_page_is_dark_and_a_light_one_light(studio: Studio) -> None:
    shades = {}
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        studio.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        colour = studio.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        shades[scheme] = sum(int(part) for part in colour[4:-1].split(","))
    assert shades["dark"] < 150
    assert shades["light"] > 600


def test_nothing_is_wider_than_a_telephone(studio: Studio) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    studio.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for page in PAGES:
        studio.go(page)
        width = studio.driver.execute_script("return document.getElementById('page').scrollWidth")
        assert width <= 390, page


def test_keys_lead_everywhere_and_are_listed(studio: Studio) -> None:
    studio.keys("ga")
    until(lambda: studio.driver.find_elements("css selector", "#page[data-page=audit]"))
    studio.keys("/")
    until(lambda: studio.driver.switch_to.active_element.get_attribute("name") == "user")
    studio.keys("\ue00c")
    studio.keys("?")
    assert "Top talkers" in studio.find("keys").text


def test_every_control_has_a_name(studio: Studio) -> None:
    script = """
        const named = e => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.title;
        return [...document.querySelectorAll('button, a[href], input:not([hidden]), select')]
            .filter(e => !named(e)).map(e => e.outerHTML)"""
    for page in PAGES:
        studio.go(page)
        assert studio.driver.execute_script(script) == [], page


def test_a_hidden_page_asks_nothing(studio: Studio) -> None:
    hide = """
        Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event('visibilitychange'))"""
    studio.driver.execute_script(hide, True)
    until(lambda: studio.text("line") == "paused")
    studio.driver.execute_script(hide, False)
    studio.is_live()


def test_a_server_that_is_gone_is_said_to_be_gone_and_welcomed_back(studio: Studio) -> None:
    studio.server.kill()
    until(lambda: studio.text("line").startswith("no answer"))
    studio.server.start()
    studio.is_live()


# -- acting ------------------------------------------------------------------------------------------------------


def test_maintenance_turned_on_in_studio_closes_the_public_api_until_it_is_off(studio: Studio) -> None:
    studio.go("switches").click("new-switch")
    assert "Every request" in studio.text("preview")
    assert not studio.find("dialog-confirm").is_enabled()
    studio.type("field-reason", "moving house")
    studio.confirm(typed="shop")
    status, answer = studio.server.request("GET", "/api/entities/Order")
    assert (status, answer["error"]["code"]) == (503, "MAINTENANCE")
    until(lambda: "moving house" in studio.text("banner-grave"))
    studio.go("overview")
    assert "Maintenance mode" in studio.text("banner")
    studio.click("banner-off")
    studio.confirm()
    assert studio.server.request("GET", "/api/entities/Order")[0] == 200
    until(lambda: studio.text("banner") == "")
    studio.is_clean()


def test_a_busy_user_is_found_and_blocked(studio: Studio) -> None:
    server = studio.server
    token = server.token_of("mallory")
    place_orders(server, "mallory", 30)
    studio.go("talkers")
    until(lambda: any(text.startswith("mallory") for text in studio.texts("talker")))
    studio.click("talker-block", ":is([data-key=mallory] *)")
    assert "user mallory is answered 403" in studio.text("preview")
    studio.confirm()
    status, answer = server.request("GET", "/api/entities/Order", token=token)
    assert (status, answer["error"]["code"]) == (403, "BLOCKED")
    assert server.request("GET", "/api/entities/Order")[0] == 200
    studio.go("switches")
    until(lambda: "user mallory" in studio.text("switches"))
    studio.click("turn-off")
    studio.confirm()
    assert server.request("GET", "/api/entities/Order", token=token)[0] == 200


def test_a_throttled_user_reads_on(studio: Studio) -> None:
    token = studio.server.token_of("mallory")
    place_orders(studio.server, "mallory", 30)
    studio.go("talkers")
    until(lambda: any(text.startswith("mallory") for text in studio.texts("talker")))
    studio.click("talker-throttle", ":is([data-key=mallory] *)")
    studio.confirm()
    assert studio.server.request("POST", "/api/entities/Order", {"title": "x"}, token=token)[0] == 429
    assert studio.server.request("GET", "/api/entities/Order", token=token)[0] == 200


def test_sockets_are_listed_filtered_and_kicked(studio: Studio) -> None:
    pytest.importorskip("pylon.web.admin.sockets", reason="the routes of live connections are not in this tree yet")
    with ExitStack() as stack:
        sockets = {}
        for user in ("ada", "mallory"):
            headers = {"Authorization": f"Bearer {studio.server.token_of(user)}"}
            url = studio.server.url.replace("http", "ws") + "/api/sync/ws"
            sockets[user] = stack.enter_context(connect(url, additional_headers=headers, proxy=None))
        studio.go("sockets")
        until(lambda: studio.text("sockets-summary") == "2 sockets")
        studio.type("filter", "mall")
        until(lambda: len(studio.texts("sockets-row")) == 1)
        studio.click("kick-user")
        studio.confirm()
        until(lambda: "Closed 1 socket of user mallory" in studio.text("toast-done"))
        until(lambda: is_closed(sockets["mallory"]))
        assert not is_closed(sockets["ada"])
        studio.click("bounce")
        studio.choose("field-seconds", "0")
        studio.confirm()
        until(lambda: is_closed(sockets["ada"]))
    studio.is_clean()


def is_closed(socket: ClientConnection) -> bool:
    try:
        while True:
            socket.recv(timeout=0.05)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True


def test_a_backup_is_taken_and_verified(open_browser: Open, server: ServerProcess, tmp_path: Path) -> None:
    pytest.importorskip("pylon.web.admin.backups", reason="the routes of backups are not in this tree yet")
    env = {"PYLON_DEV_MODE": "0", "PYLON_BACKUP_TARGET": str(tmp_path / "kept")}
    with ServerProcess(server.app, tmp_path / "backed-up", env=env) as process:
        studio = Studio(open_browser(), process).enter("backups")
        until(lambda: "There is no backup yet" in studio.text("backups"))
        studio.click("take-backup")
        until(lambda: len(studio.texts("backups-row")) == 1)
        assert "not yet" in studio.text("backups-row")
        studio.click("verify")
        until(lambda: "verified" in studio.text("backups-row"))
        studio.is_clean()


def test_a_server_without_a_place_for_backups_says_what_to_set(studio: Studio) -> None:
    pytest.importorskip("pylon.web.admin.backups", reason="the routes of backups are not in this tree yet")
    studio.go("backups")
    until(lambda: "PYLON_BACKUP_TARGET" in studio.text("not-available"))


def test_an_incident_is_opened_noted_and_closed_with_what_was_done_meanwhile(studio: Studio) -> None:
    studio.go("incidents").click("start-incident")
    studio.type("field-title", "writes fail")
    studio.confirm()
    until(lambda: "writes fail" in studio.text("incident"))
    studio.server.request("POST", "/api/admin/switches", {"scope": "user", "target": "mallory"}, token=ADMIN_TOKEN)
    studio.type("field-note", "mallory runs a loop\n")
    until(lambda: "mallory runs a loop" in studio.text("timeline"))
    assert "user mallory" in studio.text("timeline").replace(":", " ")
    studio.click("close-incident")
    studio.type("field-summary", "one client")
    studio.confirm()
    until(lambda: "closed" in studio.text("incident") or "No incident is open" in studio.text("incident"))
    _, answer = studio.server.request("GET", "/api/admin/incidents", token=ADMIN_TOKEN)
    assert [(one["title"], one["summary"], one["closed_at"] > 0) for one in answer["incidents"]] == [
        ("writes fail", "one client", True)
    ]
    studio.is_clean()


def test_a_page_whose_route_is_missing_says_so(studio: Studio) -> None:
    missing = """
        const real = fetch;
        window.fetch = (url, options) => url.startsWith('/api/admin/incidents')
            ? Promise.resolve(new Response('{"error": {"code": "NOT_FOUND", "message": "x"}}', {status: 404}))
            : real(url, options)"""
    studio.driver.execute_script(missing)
    studio.go("incidents")
    until(lambda: "not available on this server" in studio.text("not-available"))
    assert studio.texts("toast-problem") == []


def test_a_flag_is_set_changed_and_removed(studio: Studio) -> None:
    studio.go("switches").click("new-flag")
    studio.type("field-name", "new-editor")
    studio.choose("field-on", "false")
    studio.find("field-percentage").clear()
    studio.type("field-percentage", "25")
    studio.confirm()
    until(lambda: "25 % of users" in studio.text("flags"))
    _, answer = studio.server.request("GET", "/api/admin/flags", token=ADMIN_TOKEN)
    assert [(flag["name"], flag["on"], flag["percentage"]) for flag in answer["flags"]] == [("new-editor", False, 25)]
    studio.click("edit-flag")
    studio.choose("field-on", "true")
    studio.confirm()
    until(lambda: "everybody" in studio.text("flags"))
    studio.click("remove-flag")
    studio.confirm()
    until(lambda: "No feature flag is set" in studio.text("flags"))


def test_the_audit_finds_a_write_and_shows_all_of_it(studio: Studio) -> None:
    (row,) = place_orders(studio.server, "ada", 1)
    place_orders(studio.server, "ben", 2)
    studio.go("audit").type("field-user", "ada\n")
    until(lambda: len(studio.texts("audit-row")) == 2)
    assert "sign_in" in studio.texts("audit-row")[1]
    studio.choose("field-kind", "write")
    studio.click("audit-search")
    until(lambda: len(studio.texts("audit-row")) == 1)
    assert "insert" in studio.text("audit-row")
    studio.find("audit-row").send_keys("\n")
    until(lambda: row in studio.text("drawer"))
    studio.driver.switch_to.active_element.send_keys("\ue00c")
    studio.click("verify-chain")
    until(lambda: "The chain is whole" in studio.text("verdict"))
    studio.is_clean()


def test_the_audit_is_exported_as_it_was_asked_for(studio: Studio) -> None:
    place_orders(studio.server, "ada", 2)
    catch = """
        window.saved = []; const make = URL.createObjectURL;
        URL.createObjectURL = blob => { blob.text().then(text => window.saved.push(text)); return make(blob); }"""
    studio.go("audit").choose("field-kind", "write")
    studio.type("field-user", "ada\n")
    until(lambda: len(studio.texts("audit-row")) == 2)
    studio.driver.execute_script(catch)
    studio.click("export-csv")
    (saved,) = until(lambda: studio.driver.execute_script("return window.saved"))
    assert len(saved.strip().splitlines()) == 3
    assert saved.startswith("at,kind,user")


def test_what_studio_does_is_in_the_audit_itself(studio: Studio) -> None:
    studio.go("audit").choose("field-kind", "operator")
    studio.click("audit-search")
    until(lambda: any("studio.sign-in" in text and "studio" in text for text in studio.texts("audit-row")))


def test_a_failure_is_said_in_the_servers_words_and_breaks_nothing(studio: Studio) -> None:
    studio.go("switches").click("new-switch")
    studio.choose("field-scope", "ip")
    studio.type("field-target", "not-an-address")
    studio.click("dialog-confirm")
    until(lambda: "neither an address nor a network" in studio.text("toast-problem"))
    assert "INVALID_DATA" in studio.text("toast-problem")
    studio.click("dialog-cancel")
    studio.go("overview")
    studio.is_clean()


def test_what_a_client_sends_is_never_taken_for_markup(studio: Studio) -> None:
    place_orders(studio.server, "<img src=x onerror=alert(1)>", 1)
    studio.go("audit")
    until(lambda: any("<img src=x" in text for text in studio.texts("audit-row")))
    assert not studio.driver.find_elements("css selector", "main img")
    studio.is_clean()
