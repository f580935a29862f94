"""examples/board in two real browsers: what one drags moves in the other, and hundreds of rows find their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page import Page, until

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

BOARD = Path(__file__).parents[2] / "examples" / "board"
Open = Callable[[], Any]

DRAG = """
  const [id, dx, dy] = arguments;
  const card = document.querySelector(`[data-id='${id}']`);
  const { left, top } = card.getBoundingClientRect();
  const say = (type, x, y) => card.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: x, clientY: y }));
  document.getElementById("board").setPointerCapture = () => {};
  say("pointerdown", left + 9, top + 9);
  for (let step = 1; step <= 20; step += 1) say("pointermove", left + 9 + (dx * step) / 20, top + 9 + (dy * step) / 20);
  say("pointerup", left + 9 + dx, top + 9 + dy);
"""
PLACES = """
  const board = document.getElementById("board");
  return Object.fromEntries([...board.querySelectorAll(arguments[0])].map((element) => {
    const { m41, m42 } = new DOMMatrix(element.style.transform);
    return [element.dataset.id, [m41 / board.clientWidth, m42 / board.clientHeight]];
  }));
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Without limits on writes, as in development."""
    env = {"PYLON_DEV_MODE": "0", "PYLON_WRITES_PER_USER": "0", "PYLON_WRITES_PER_IP": "0"}
    with ServerProcess(BOARD / "app.py", tmp_path / "data", env=env) as server:
        yield server


def rows(server: ServerProcess, kind: str) -> dict[str, list[float]]:
    _, found = server.request("POST", "/api/query/Card", {"kind": kind, "$limit": 1000}, token=ADMIN_TOKEN)
    return {row["id"]: [row["x"], row["y"]] for row in found}


def is_close(one: dict[str, list[float]], other: dict[str, list[float]]) -> bool:
    return one.keys() == other.keys() and all(
        abs(a - b) < 0.003 for key in one for a, b in zip(one[key], other[key], strict=True)
    )


def test_a_dragged_card_and_hundreds_of_stirred_dots_are_where_the_rows_say_in_both_browsers(
    open_browser: Open, server: ServerProcess
) -> None:
    one, two = Page(open_browser(), server.url), Page(open_browser(), server.url)
    for page in (one, two):
        page.becomes("live")
        until(lambda page=page: len(page.texts("dot")) == 300 and len(page.texts("card")) == 5)
    card = next(row_id for row_id in rows(server, "card"))
    before = rows(server, "card")[card]
    one.driver.execute_script(DRAG, card, 120, 90)
    until(lambda: rows(server, "card")[card] != before)
    for page in (one, two):
        until(lambda page=page: is_close(page.driver.execute_script(PLACES, ".card"), rows(server, "card")))

    still = rows(server, "dot")
    one.click("stir")
    until(lambda: two.driver.execute_script("return fps") > 0)
    one.click("stir")
    assert not is_close(still, rows(server, "dot"))
    for page in (one, two):
        until(lambda page=page: is_close(page.driver.execute_script(PLACES, ".dot"), rows(server, "dot")), 20)
    assert one.script_errors() == two.script_errors() == []


def test_a_new_card_is_written_on_and_deleted_for_all(open_browser: Open, server: ServerProcess) -> None:
    one, two = Page(open_browser(), server.url), Page(open_browser(), server.url)
    for page in (one, two):
        until(lambda page=page: len(page.texts("card")) == 5)
    at = "new MouseEvent('dblclick', { bubbles: true, clientX: 300, clientY: 400 })"
    one.driver.execute_script(f"document.getElementById('board').dispatchEvent({at})")
    until(lambda: two.texts("card")[-1:] == ["New card✕"])
    new = two.find("card", ":last-of-type").get_attribute("data-id")
    one.driver.execute_script(DRAG, new, 0, 0)  # a click, since it does not go far
    until(lambda: one.driver.execute_script("return document.activeElement.isContentEditable"))
    one.driver.execute_cdp_cmd("Input.insertText", {"text": "Buy paint"})
    one.driver.switch_to.active_element.send_keys("\n")
    until(lambda: "Buy paint✕" in two.texts("card"))
    two.driver.execute_script("document.querySelector(`[data-id='${arguments[0]}'] button`).click()", new)
    until(lambda: len(one.texts("card")) == 5)
