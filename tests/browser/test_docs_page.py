"""The page of the API at `/docs`, in a real browser on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page import until
from studio_page import Studio

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

APP = '''
import asyncio
from datetime import datetime
from typing import Literal

from pylon import App, Context, Entity, Id, field

app = App("bookshop", version="1.4.0")


class Book(Entity):
    title: str = field(min_length=1, max_length=80)
    size: Literal["small", "large"] = "small"
    stock: int = field(default=0, min=0)
    seller: Id["User"] = field(owner=True)
    made: datetime = field(default="now", readonly=True)
    bought_for: float = field(default=0.0, server_only=True)

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.seller"


class User(Entity):
    name: str

    class Policy:
        read = "true"


@app.query(auth="public")
def in_stock(ctx: Context, size: Literal["small", "large"]) -> list[Book]:
    """What there is of a size."""
    return ctx.db.query(Book, {"size": size, "stock": {"$gt": 0}})


@app.mutation(auth="guest")
def order(ctx: Context, book: Id[Book], count: int = 1) -> Book:
    """Take copies off the shelf. Refuses when there are too few."""
    found = ctx.db.get(Book, book)
    return ctx.db.update(Book, book, stock=found.stock - count)


@app.action(auth="public")
async def tell(ctx: Context, words: int):
    """Tell a story, word by word."""
    for number in range(words):
        yield f"word{number} "
        await asyncio.sleep(0.01)


@app.mutation(internal=True)
def take_stock(ctx: Context) -> None: ...
'''
Open = Callable[[], Any]


class Docs(Studio):
    """`/docs` in one browser."""

    def __init__(self, driver: Any, server: ServerProcess, place: str = "") -> None:
        super().__init__(driver, server)
        driver.get(f"{server.url}/docs#/{place}")

    def visit(self, place: str) -> None:
        """Goes to a page, once it is drawn."""
        self.driver.execute_script("location.hash = arguments[0]", f"#/{place}")
        kind = place.split("/")[0] or "start"
        until(lambda: self.driver.find_elements("css selector", f"#page[data-page='{kind}'] > *"))

    def opened(self, operation: str) -> None:
        """Opens the line of a call."""
        self.driver.execute_script("arguments[0].open = true", self.find(f"op-{operation}"))
        self.find("try-send")

    def send(self) -> tuple[str, str]:
        """Sends what the form says: the status and what came back."""
        self.click("try-send")
        until(lambda: self.text("try-status") and not self.find("try-stop").is_displayed())
        return self.text("try-status").split(" ")[0], self.text("try-answer")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as running:
        yield running


def test_it_shows_what_the_app_declares_and_nothing_that_stays_on_the_server(
    open_browser: Open, server: ServerProcess
) -> None:
    page = Docs(open_browser(), server)
    until(lambda: page.text("who") == "nobody")
    page.visit("entity/Book")
    fields = page.texts("field")
    assert len(fields) == 6
    assert "bought_for" not in page.driver.page_source
    assert "set by the server" in next(f for f in fields if f.startswith("seller"))
    assert "never changed" in next(f for f in fields if f.startswith("made"))
    assert "80 characters" in next(f for f in fields if f.startswith("title"))
    page.visit("functions")
    assert [text.split("size")[0] for text in page.texts("function")[:1]] == ["in_stock"]
    assert "take_stock" not in page.driver.page_source
    page.visit("schema/orderInput")
    assert json.loads(page.text("schema-json"))["required"] == ["book"]
    page.visit("errors")
    assert "POLICY_DENIED" in page.driver.page_source
    for place in ("group/auth", "group/admin", "schema", "schema/pylon.Switch", "nonsense"):
        page.driver.execute_script("location.hash = arguments[0]", f"#/{place}")
        until(lambda: page.driver.find_elements("css selector", "#page > *"))
    page.is_clean()


def test_a_call_is_tried_as_nobody_as_a_guest_and_with_a_token(open_browser: Open, server: ServerProcess) -> None:
    page = Docs(open_browser(), server, "entity/Book")
    page.opened("createBook")
    status, answer = page.send()
    assert (status, json.loads(answer)["error"]["code"]) == ("401", "OWNER_REQUIRED")
    page.driver.execute_script("arguments[0].value = ''", page.find("try-body"))
    page.type("try-body", '{"title": "Momo", "stock": 3')
    page.click("try-send")
    until(lambda: "no JSON" in page.text("try-problem"))
    page.type("try-body", "}")
    status, answer = page.send()
    assert status in ("401", "403")
    page.click("guest")
    until(lambda: page.text("who") not in ("", "nobody"))
    status, answer = page.send()
    assert status == "201"
    book = json.loads(answer)["id"]
    page.type("token", server.token_of("ann") + "\n")
    until(lambda: page.text("who") == "ann")
    page.visit("functions/callorder")
    body = page.find("try-body")
    page.driver.execute_script("arguments[0].value = arguments[1]", body, json.dumps({"book": book, "count": 2}))
    status, answer = page.send()
    assert (status, json.loads(answer)["stock"]) == ("200", 1)
    assert "$TOKEN" in page.text("try-curl")
    kept = "return JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie"
    assert page.driver.execute_script(kept) == "{}{}"
    page.is_clean()


def test_parameters_go_where_they_belong_and_a_stream_arrives(open_browser: Open, server: ServerProcess) -> None:
    page = Docs(open_browser(), server, "entity/User")
    page.opened("getUserById")
    page.type("try-id", "a/b?c")
    assert "/api/entities/User/a%2Fb%3Fc" in until(lambda: page.text("try-curl"))
    page.visit("entity/Book")
    page.opened("listBook")
    page.type("try-limit", "1")
    page.type("try-filter[size]", "large")
    status, answer = page.send()
    assert status == "200", answer
    page.visit("functions/calltell")
    page.driver.execute_script("arguments[0].value = '{\"words\": 3}'", page.find("try-body"))
    status, answer = page.send()
    assert status == "200"
    assert "word2" in answer
    page.is_clean()


def test_colours_follow_the_choice_and_the_filter_finds_a_field(open_browser: Open, server: ServerProcess) -> None:
    page = Docs(open_browser(), server)
    background = "return getComputedStyle(document.body).backgroundColor"
    page.find("theme")
    seen = {}
    for theme in ("light", "dark"):
        page.choose("theme", theme)
        seen[theme] = page.driver.execute_script(background)
    assert seen["light"] != seen["dark"]
    page.driver.refresh()
    page.find("theme")
    assert page.driver.execute_script(background) == seen["dark"]
    page.type("find", "stock")
    links = "return [...document.querySelectorAll('nav li a')].map(link => link.getAttribute('href'))"
    until(lambda: page.driver.execute_script(links)[:2] == ["#/entity/Book", "#/functions/callin_stock"])
    page.is_clean()


def test_an_operator_who_is_signed_in_to_studio_reads_it_in_production(
    open_browser: Open, tmp_path: Path, start: Callable[[Path], ServerProcess]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    server = start(tmp_path / "app.py")
    page = Docs(open_browser(), server)
    assert "NOT_FOUND" in page.driver.page_source
    studio = Studio(page.driver, server)
    studio.sign_in(ADMIN_TOKEN)
    studio.is_live()
    page.click("docs-link")
    until(lambda: page.texts("who"))
    page.driver.get(f"{server.url}/docs")
    until(lambda: page.texts("who"))
    page.visit("entity/Book")
    page.is_clean()
