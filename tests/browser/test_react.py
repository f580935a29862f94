"""pylon-react.js with a real React in Chromium, in strict mode."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_page import Tab
from page import until

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HERE = Path(__file__).parent
MODULES = HERE / "js" / "node_modules"
REACT = (MODULES / "react/umd/react.production.min.js", MODULES / "react-dom/umd/react-dom.production.min.js")
Open = Callable[[], Any]


@pytest.fixture
def server(tmp_path: Path, start: Callable[[Path], ServerProcess]) -> ServerProcess:
    """The test app, with React among its files."""
    if not all(path.exists() for path in REACT):
        pytest.skip("React is missing: npm ci --prefix tests/browser/js")
    folder = tmp_path / "app"
    shutil.copytree(HERE / "app", folder, ignore=shutil.ignore_patterns("__pycache__", ".pylon"))
    for path in REACT:
        shutil.copy(path, folder / "web")
    return start(folder / "app.py")


def test_components_show_what_is_and_follow_every_change(open_browser: Open, server: ServerProcess) -> None:
    page = Tab(open_browser(), f"{server.url}/react.html")
    page.becomes("live")
    until(lambda: page.text("state") == "quiet" and page.text("user").startswith("guest_"))
    for title in ("b", "a", "c"):
        page.run("await act.insert({ title: a[0] })", title)
    until(lambda: page.texts("todo") == ["a", "b", "c"] and page.text("first") == "a")
    page.run("await act.update(act.first(), { done: true })")
    until(lambda: page.texts("todo") == ["a ✓", "b", "c"])
    server.request("POST", "/api/entities/Todo", {"title": "0"}, token=ADMIN_TOKEN)
    until(lambda: page.text("first") == "0")
    page.driver.execute_script("act.setFilter({ done: true })")
    until(lambda: page.texts("todo") == ["a ✓"])
    page.run("await act.add({ title: 'by a function' })")
    assert page.text("added") == "by a function"
    assert page.run("return act.add({}).catch((error) => error.code)") == "INVALID_ARGS"
    until(lambda: page.text("added") == "INVALID_ARGS")
    page.run("await pages.reload()")
    until(lambda: page.text("infinite") == "c,by a function,b…" and page.text("page") == "0: 0,a…")
    page.driver.execute_script("pages.more(); pages.next()")
    until(lambda: page.text("infinite") == "c,by a function,b,a,0" and page.text("page") == "1: b,by a function…")
    server.request("POST", "/api/entities/Todo", {"title": "d"}, token=ADMIN_TOKEN)
    page.run("await db.use(a[0])", server.token_of("somebody-else"))  # and pages are asked for anew
    until(lambda: page.text("infinite") == "d,c,by a function…" and page.text("page") == "0: 0,a…")
    until(lambda: page.text("user") == "somebody-else")
    page.becomes("live")
    assert page.text("off").strip() == "0"
    body = {"scope": "function", "target": "add", "reason": "too loud"}
    server.request("POST", "/api/admin/switches", body, token=ADMIN_TOKEN)
    until(lambda: page.text("off") == "1 too loud")
    renders = page.run("return renders")
    page.run(
        "await db.insert('Private', { text: 'x', holder: 'nobody' }); await new Promise((go) => setTimeout(go, 60))"
    )
    assert page.run("return renders") == renders, "what a component does not show does not render it"
    assert page.script_errors() == []


def test_components_share_rooms_texts_and_live_functions_until_the_last_is_gone(
    open_browser: Open, server: ServerProcess
) -> None:
    page = Tab(open_browser(), f"{server.url}/react.html")
    note = page.run("return (await db.insert('Note', { title: 'shared', body: 'hello' })).id")
    page.driver.execute_script("showTogether(arguments[0])", note)
    until(lambda: [page.text(name) for name in ("fn", "room", "value")] == ["0", "red", "hello"])
    page.run("await db.insert('Todo', { title: 'x1' }); together.setColour('blue'); together.setText('hello!')")
    until(lambda: [page.text(name) for name in ("fn", "room", "value")] == ["1", "blue", "hello!"])
    page.type("area", " typed")
    until(lambda: page.text("value") == "hello! typed")
    until(lambda: server.request("GET", f"/api/entities/Note/{note}", token=ADMIN_TOKEN)[1]["body"] == "hello! typed")
    page.driver.execute_script("showTogether(null)")
    until(lambda: server.request("GET", "/api/rooms/react", token=ADMIN_TOKEN)[1]["count"] == 0)
    assert page.script_errors() == []
