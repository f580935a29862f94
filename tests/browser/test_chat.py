"""examples/chat in real browsers: what one sends is in the other, through restarts too."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page import Page, until

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CHAT = Path(__file__).parents[2] / "examples" / "chat"
Open = Callable[[], Any]


@pytest.fixture
def server(start: Callable[[Path], ServerProcess]) -> ServerProcess:
    """The chat, seeded."""
    server = start(CHAT / "app.py")
    assert runpy.run_path(str(CHAT / "seed.py"))["seed"](server.url, ADMIN_TOKEN)
    return server


def open_as(open_browser: Open, server: ServerProcess, person: str, channel: str = "general") -> Page:
    driver = open_browser()
    driver.get(f"{server.url}/pylon.js")
    script = "localStorage.setItem(`pylon:chat-${arguments[0]}:token`, arguments[1])"
    driver.execute_script(script, person, server.token_of(person))
    page = Page(driver, f"{server.url}/?as={person}#{channel}")
    page.becomes("live")
    until(lambda: page.texts("message"))
    return page


def stored(server: ServerProcess, channel: str = "general") -> list[str]:
    _, channels = server.request("GET", "/api/entities/Channel", token=ADMIN_TOKEN)
    channel_id = next(row["id"] for row in channels["data"] if row["name"] == channel)
    _, rows = server.request("POST", "/api/query/Message", {"channel": channel_id}, token=ADMIN_TOKEN)
    return [row["body"] for row in rows]


def test_seeding_twice_writes_once(server: ServerProcess) -> None:
    before = stored(server)
    assert not runpy.run_path(str(CHAT / "seed.py"))["seed"](server.url, ADMIN_TOKEN)
    assert stored(server) == before


def test_what_one_sends_appears_in_the_other_without_a_reload(open_browser: Open, server: ServerProcess) -> None:
    ada, ben = open_as(open_browser, server, "ada"), open_as(open_browser, server, "ben")
    ada.type("composer", "Hello from Ada\n")
    until(lambda: "Hello from Ada" in ben.texts("body"))
    ben.type("composer", "Hello from Ben\n")
    until(lambda: "Hello from Ben" in ada.texts("body"))
    assert ada.texts("body")[-2:] == ben.texts("body")[-2:] == ["Hello from Ada", "Hello from Ben"]
    assert ada.script_errors() == ben.script_errors() == []


def test_both_catch_up_after_the_server_was_killed_and_nothing_acknowledged_is_missing(
    open_browser: Open, server: ServerProcess
) -> None:
    ada, ben = open_as(open_browser, server, "ada"), open_as(open_browser, server, "ben")
    ada.type("composer", "before the crash\n")
    until(lambda: ada.find("message", ":last-of-type[data-state=sent]") and "before the crash" in ben.texts("body"))
    acknowledged = ben.texts("body")
    server.kill()
    for page in (ada, ben):
        until(lambda page=page: page.text("status") != "live")
    ada.type("composer", "written while it was down\n")
    assert ada.find("message", "[data-state=waiting]").text.endswith("written while it was down")
    server.start()
    for page in (ada, ben):
        until(lambda page=page: page.text("status") == "live" and "written while it was down" in page.texts("body"), 45)
    ben.type("composer", "and it goes on\n")
    for page in (ada, ben):
        until(lambda page=page: page.texts("body")[-1] == "and it goes on")
        assert page.texts("body") == [*acknowledged, "written while it was down", "and it goes on"]
    assert stored(server).count("written while it was down") == 1


def test_a_message_shows_before_the_server_answers(open_browser: Open, server: ServerProcess) -> None:
    import signal

    ada = open_as(open_browser, server, "ada")
    server.signal(signal.SIGSTOP)
    try:
        ada.type("composer", "patience\n")
        assert "patience" in ada.find("message", "[data-state=waiting]").text
    finally:
        server.signal(signal.SIGCONT)
    until(
        lambda: (
            ada.texts("body")[-1] == "patience" and not ada.driver.find_elements("css selector", "[data-state=waiting]")
        )
    )


def test_a_reaction_counts_once_for_each_person_and_can_be_taken_back(
    open_browser: Open, server: ServerProcess
) -> None:
    ada, ben = open_as(open_browser, server, "ada"), open_as(open_browser, server, "ben")
    ada.type("composer", "react to this\n")
    until(lambda: ben.texts("body")[-1] == "react to this")
    message = next(
        e for e in ben.driver.find_elements("css selector", "[data-testid=message]") if "react to this" in e.text
    )
    mine = f"[data-id='{message.get_attribute('data-id')}']"

    def pill(page: Page) -> str:
        script = "return document.querySelector(`${arguments[0]} [data-testid=reaction]`)?.textContent ?? ''"
        found: str = page.driver.execute_script(script, mine)
        return found

    ben.click("message", f"{mine} [data-testid=react]")
    ben.click("emoji", "[data-emoji='🎉']")
    until(lambda: pill(ada) == pill(ben) == "🎉1")
    ada.click("message", f"{mine} [data-testid=reaction]")
    until(lambda: pill(ada) == pill(ben) == "🎉2")
    ben.click("message", f"{mine} [data-testid=reaction]")
    until(lambda: pill(ada) == pill(ben) == "🎉1")


def test_a_channel_counts_what_is_unread_until_it_is_opened(open_browser: Open, server: ServerProcess) -> None:
    ada, dan = open_as(open_browser, server, "ada"), open_as(open_browser, server, "dan", "incidents")
    until(lambda: ada.find("channel", "[data-name=general][aria-current]"))
    ada.click("channel", "[data-name=incidents]")
    until(lambda: ada.text("room-name") == "incidents" and not badge(ada, "incidents"))
    ada.click("channel", "[data-name=general]")
    until(lambda: ada.text("room-name") == "general")
    dan.type("composer", "one\n")
    dan.type("composer", "two\n")
    until(lambda: badge(ada, "incidents") == "2")
    ada.click("channel", "[data-name=incidents]")
    until(lambda: ada.texts("body")[-1:] == ["two"] and not badge(ada, "incidents"))


def badge(page: Page, channel: str) -> str:
    script = "return document.querySelector(`[data-name=${arguments[0]}] [data-testid=unread]`)?.textContent ?? ''"
    found: str = page.driver.execute_script(script, channel)
    return found


def test_a_private_channel_is_seen_by_its_members_only(open_browser: Open, server: ServerProcess) -> None:
    ada, ben = open_as(open_browser, server, "ada"), open_as(open_browser, server, "ben")
    ada.click("new-channel")
    ada.type("channel-name", "surprise")
    ada.driver.execute_script("document.getElementById('channel-private').checked = true")
    ada.click("channel-create")
    until(lambda: ada.text("room-name") == "surprise")
    ada.type("composer", "not for Ben\n")
    until(lambda: ada.texts("body") == ["not for Ben"])
    ben.type("composer", "still here\n")
    until(lambda: ben.texts("body")[-1] == "still here")
    assert "surprise" not in ben.text("channels")
    assert "not for Ben" not in ben.driver.page_source


def test_a_guest_arrives_with_a_name_and_can_change_it(open_browser: Open, server: ServerProcess) -> None:
    ada = open_as(open_browser, server, "ada")
    guest = Page(open_browser(), server.url)
    until(lambda: "Guest" in guest.text("me"))
    guest.click("me")
    guest.driver.execute_script("document.getElementById('name').value = ''")
    guest.type("name-input", "Frida")
    guest.click("name-save")
    until(lambda: "Frida" in guest.text("me"))
    guest.type("composer", "hi all\n")
    until(lambda: ada.texts("body")[-1] == "hi all")
    assert ada.texts("author")[-1] == "Frida"
    assert guest.script_errors() == []


def test_another_channel_is_read_first_and_joined_to_write(open_browser: Open, server: ServerProcess) -> None:
    page = open_as(open_browser, server, "ben", "design")
    until(lambda: page.find("join").is_displayed())
    assert not page.find("composer").is_displayed()
    page.click("join")
    until(lambda: page.find("composer").is_displayed())
    page.type("composer", "made it\n")
    until(lambda: page.texts("body")[-1] == "made it")


def test_who_is_here_is_seen_and_who_is_writing_until_it_is_sent(open_browser: Open, server: ServerProcess) -> None:
    ada, ben = open_as(open_browser, server, "ada"), open_as(open_browser, server, "ben")
    until(lambda: ada.find("here", "[data-user=ben]") and ben.find("here", "[data-user=ada]"))
    assert ada.text("typing") == ""
    ada.type("composer", "Let me thi")
    until(lambda: ben.text("typing") == "Ada Lindqvist is writing…", 20)
    ada.type("composer", "nk\n")
    until(lambda: ben.text("typing") == "" and ben.texts("body")[-1] == "Let me think")
    ben.click("channel", "[data-name=design]")
    until(lambda: not ada.texts("here"))
    ben.driver.quit()
