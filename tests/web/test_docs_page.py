"""`/docs`: who finds the page, where it comes from, and what it leaves to the app."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon import App, Entity
from pylon.plugins import Route
from pylon.testing.kit import TestApp
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import request

app = App("shop")


class Thing(Entity):
    title: str

    class Policy:
        read = "true"


SITE = """
from pylon import App, Entity

app = App("site")


class Thing(Entity):
    title: str
"""
PRODUCTION = {"PYLON_DEV_MODE": "0", "PYLON_CORS_ORIGIN": "https://shop.example"}
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def production() -> Iterator[TestApp]:
    with app.test(env=PRODUCTION) as t:
        yield t


@pytest.fixture(scope="module")
def dev() -> Iterator[TestApp]:
    with app.test() as t:
        yield t


def test_it_is_there_for_whom_the_document_is_and_for_nobody_else(production: TestApp, dev: TestApp) -> None:
    for path in ("/docs", "/docs/main.js", "/docs/docs.css"):
        refused = production.anonymous().request("GET", path)
        nowhere = production.anonymous().request("GET", path.replace("docs", "nothing"))
        assert (refused.status, refused.json["error"]["code"]) == (404, "NOT_FOUND")
        assert nowhere.json == json.loads(json.dumps(refused.json).replace("docs", "nothing"))
        assert production.as_user("ann").request("GET", path).status == 404
        assert production.as_admin().request("GET", path).status == 200
        assert dev.anonymous().request("GET", path).status == 200
    with app.test(env=PRODUCTION | {"PYLON_OPENAPI_PUBLIC": "true"}) as opened:
        assert opened.anonymous().request("GET", "/docs").status == 200


def test_its_files_hold_nothing_of_the_app_and_come_from_this_server_alone(dev: TestApp) -> None:
    page = dev.anonymous().request("GET", "/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assets = Path(__file__).parents[2] / "src/pylon/web/api_page/assets"
    for file in assets.iterdir():
        text = file.read_text("utf-8")
        assert "Thing" not in text
        assert re.findall(r"https?://(?!www\.w3\.org)", text) == [], file.name
        assert dev.anonymous().request("GET", f"/docs/{file.name}").body.decode() == text
    assert dev.anonymous().request("GET", "/docs/../document.py").status == 404


def test_what_an_app_has_at_this_place_comes_first() -> None:
    class Own:
        name = "own"

        def routes(self) -> list[Route]:
            return [Route("GET", "/docs/{page}", self.page)]

        async def page(self, request: object) -> dict[str, str]:
            return {"of": "the plugin"}

    other = App("other", plugins=[Own()])
    with other.test() as t:
        assert t.anonymous().request("GET", "/docs/x").json == {"of": "the plugin"}
        assert t.anonymous().request("GET", "/docs").status == 404
    with app.test(env={"PYLON_DOCS_PAGE": "false"}) as t:
        assert t.anonymous().request("GET", "/docs").status == 404
        assert t.anonymous().request("GET", "/api/openapi.json").status == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "app.py").write_text(SITE)
    (folder / "web" / "docs").mkdir(parents=True)
    (folder / "web" / "index.html").write_text("the app")
    (folder / "web" / "docs" / "guide.html").write_text("the app's guide")
    with ServerProcess(folder / "app.py", folder / "data", env={"PYLON_DEV_MODE": "0"}) as running:
        yield running


def test_an_app_s_own_files_and_client_side_routes_answer_where_the_page_does_not(server: ServerProcess) -> None:
    assert request(server, "GET", "/docs/guide.html").body == b"the app's guide"
    assert request(server, "GET", "/docs", headers={"Accept": "text/html"}).body == b"the app"
    admin = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Accept": "text/html"}
    assert b"/docs/main.js" in request(server, "GET", "/docs", headers=admin).body
    assert request(server, "GET", "/docs/guide.html", headers=admin).body == b"the app's guide"


def test_an_operator_of_studio_opens_it_by_a_link_and_by_its_address_but_no_other_site_does(
    server: ServerProcess,
) -> None:
    body = json.dumps({"token": ADMIN_TOKEN}).encode()
    signed_in = request(server, "POST", "/studio/session", body, {**OWN_PAGE, "X-Pylon-Studio": "1"})
    cookie = {"Cookie": signed_in.headers["set-cookie"].split(";")[0]}
    typed = {"Sec-Fetch-Site": "none"}
    for path in ("/docs", "/docs/main.js", "/api/openapi.json"):
        assert request(server, "GET", path, headers=cookie | OWN_PAGE).status == 200
        assert request(server, "GET", path, headers=cookie | {"Sec-Fetch-Site": "cross-site"}).status == 404
        assert request(server, "GET", path, headers=cookie).status == 404
    assert request(server, "GET", "/docs", headers=cookie | typed).status == 200
    assert request(server, "GET", "/api/openapi.json", headers=cookie | typed).status == 404
