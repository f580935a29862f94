"""pylon.js in Chromium: what survives a reload and a lost server, and tabs that share one socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_page import Tab, open_tab
from page import network, until
from tests.backup.conftest import Command

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

APP = Path(__file__).parent / "app" / "app.py"
Open = Callable[[], Any]

HOLD = """
  const [send, held] = [fetch, new Promise((go) => (window.letGo = go))];
  window.fetch = async (url, init) => (String(url).includes("/push") && (await held), send(url, init));
"""


@pytest.fixture
def server(start: Callable[[Path], ServerProcess]) -> ServerProcess:
    return start(APP)


def sockets(server: ServerProcess) -> int:
    return int(server.request("GET", "/api/admin/sockets", token=ADMIN_TOKEN)[1]["total"])


def add(server: ServerProcess, title: str) -> None:
    assert server.request("POST", "/api/entities/Todo", {"title": title}, token=ADMIN_TOKEN)[0] == 201


def stored(server: ServerProcess) -> list[str]:
    rows = server.request("GET", "/api/entities/Todo", token=ADMIN_TOKEN)[1]["data"]
    return sorted(row["title"] for row in rows)


def test_rows_and_unsent_writes_survive_a_reload_without_the_server_and_are_sent_once(
    open_browser: Open, server: ServerProcess
) -> None:
    add(server, "from the server")
    tab = Tab(open_browser(), f"{server.url}/?offline")
    tab.becomes("live")
    tab.run("await navigator.serviceWorker.ready")
    tab.reload()  # now the page itself is kept, too
    tab.becomes("live")
    tab.kept()
    server.kill()
    until(lambda: tab.text("status") != "live")
    tab.write("written offline")
    tab.reload()
    until(lambda: tab.titles() == ["from the server", "written offline"])
    assert tab.driver.execute_script("return db.pending") == 1
    tab.write("and more")
    tab.reload()
    until(lambda: tab.titles() == ["and more", "from the server", "written offline"])
    assert tab.run("return db.storage.kind") == "disk"
    server.start()
    until(lambda: tab.driver.execute_script("return db.pending") == 0, 45)
    until(lambda: tab.text("status") == "live", 45)
    assert stored(server) == tab.titles() == ["and more", "from the server", "written offline"]
    assert tab.script_errors() == []


LOSE_ONE = """
  const send = fetch;
  window.fetch = async (url, init) => {
    if (!String(url).includes("/push")) return send(url, init);
    if (!window.lost) await send(url, init).then(() => (window.lost = true));
    throw new TypeError("the answer is lost");
  };
"""


def test_what_a_page_has_not_sent_reaches_a_restored_server_once_or_is_named(
    open_browser: Open, server: ServerProcess, tmp_path: Path
) -> None:
    pylon = Command(tmp_path)
    tab = Tab(open_browser(), server.url)
    tab.run("await db.use(a[0])", server.token_of("ann"))
    tab.becomes("live")
    before = tab.run("return (await db.insert('Todo', { title: 'before' })).id")
    pylon.json("backup", "base", "--data-dir", str(server.data))
    add(server, "lost with the restore")
    until(lambda: len(tab.titles()) == 2)
    tab.driver.execute_script(LOSE_ONE)
    tab.write("its answer lost")
    until(lambda: tab.run("return window.lost"))
    assert stored(server) == ["before", "its answer lost", "lost with the restore"]
    tab.write("never sent")
    change = "const [[row], change] = [todos.rows.filter(({ title }) => title === a[0]), { done: true }]; "
    for title in ("before", "lost with the restore"):
        tab.run(change + "db.update('Todo', row.id, change).catch((error) => (window.refused = error.code))", title)
    tab.kept()
    server.kill()
    pylon.json("restore", str(tmp_path / "base"), "--data-dir", str(server.data), "--yes", "--replace")
    server.start()
    tab.reload()
    tab.run("db.onError((error, write) => (window.refused = `${error.code} ${write.kind}`))")
    tab.run("await db.use(a[0])", server.token_of("ann"))
    until(lambda: tab.run("return db.pending") == 0, 45)
    tab.becomes("live")
    assert stored(server) == tab.titles() == ["before", "its answer lost", "never sent"]
    assert tab.run("return db.get('Todo', a[0]).done", before) is True
    assert tab.run("return refused").endswith(" update")


def test_a_page_that_was_open_before_pulls_only_what_is_new(open_browser: Open, server: ServerProcess) -> None:
    for number in range(30):
        add(server, f"row {number:02}")
    tab = Tab(open_browser(), server.url)
    tab.becomes("live")
    until(lambda: len(tab.titles()) == 30)
    tab.kept()
    tab.reload()
    tab.becomes("live")
    requests = tab.driver.execute_script("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert len(tab.titles()) == 30
    assert any("/pull?since=" in name for name in requests)
    assert not any("/pull?since=0" in name for name in requests)


def test_rows_of_one_user_are_never_shown_to_the_next_and_come_back_with_their_owner(
    open_browser: Open, server: ServerProcess
) -> None:
    tab = Tab(open_browser(), server.url)
    tab.becomes("live")
    tab.run("await db.insert('Private', { text: 'mine', holder: db.user.user_id })")
    tab.driver.execute_script("window.mine = db.live('Private')")
    until(lambda: tab.run("return mine.rows.length") == 1)
    tab.kept()
    first = tab.run("return db.token")
    tab.run("await db.use(a[0])", server.token_of("somebody-else"))
    assert tab.run("return mine.rows.length") == 0
    tab.becomes("live")
    assert tab.run("return mine.rows.length") == 0
    tab.run("await db.use(a[0])", first)
    until(lambda: tab.run("return mine.rows.length") == 1)
    names = "return (await indexedDB.databases()).map(({ name }) => name)"
    user = tab.run("return db.user.user_id")
    assert any(user in name for name in tab.run(names))
    tab.run("await db.signOut()")
    assert not any(user in name for name in tab.run(names))
    assert tab.run("return mine.rows.length") == 0


LEFT = """
  const open = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const left = {};
  for (const { name } of await indexedDB.databases()) {
    const disk = await open(indexedDB.open(name));
    const counts = {};
    for (const store of disk.objectStoreNames) {
      counts[store] = await open(disk.transaction(store).objectStore(store).count());
    }
    left[name.split(" ").at(-1)] = counts;
    disk.close();
  }
  return left;
"""


def test_when_another_signs_in_the_former_rows_leave_the_disk_and_what_was_not_sent_waits_for_its_owner(
    open_browser: Open, server: ServerProcess
) -> None:
    tab = Tab(open_browser(), server.url)
    guest = tab.run("return db.user.user_id")
    tab.run("await db.use(a[0])", server.token_of("ann"))
    tab.driver.execute_script("window.mine = db.live('Private')")
    tab.becomes("live")
    tab.run("await db.insert('Private', { text: 'sent', holder: 'ann' })")
    tab.kept()
    tab.driver.execute_script(HOLD)
    tab.driver.execute_script("db.insert('Private', { text: 'unsent', holder: 'ann' }).catch(() => {})")
    until(lambda: tab.run(LEFT)["ann"]["writes"] == 1)
    tab.run("await db.use(a[0])", server.token_of("ben"))
    tab.becomes("live")
    until(lambda: tab.run(LEFT).get("ann") == {"changes": 0, "documents": 0, "marks": 0, "segments": 0, "writes": 1})
    assert guest not in tab.run(LEFT)
    tab.reload()  # and with it what held the first push
    tab.becomes("live")
    assert tab.run("return [db.user.user_id, db.pending]") == ["ben", 0]
    assert private(server) == ["sent"]
    tab.run("await db.use(a[0])", server.token_of("ann"))
    until(lambda: private(server) == ["sent", "unsent"])
    assert tab.script_errors() == []


def test_tabs_share_one_socket_and_each_sees_what_the_others_write(open_browser: Open, server: ServerProcess) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two, three = open_tab(driver, server.url), open_tab(driver, server.url)
    for tab in (two, three):
        tab.look().becomes("live")
    assert sockets(server) == 1
    assert [tab.look().run("return db.leads") for tab in (one, two, three)] == [True, False, False]
    three.run("await db.insert('Todo', { title: 'from the third' })")
    assert one.look().titles() == ["from the third"]
    add(server, "from elsewhere")
    for tab in (one, two, three):
        until(lambda tab=tab: tab.look().titles() == ["from elsewhere", "from the third"])
    assert two.look().run("return db.insert('Todo', { title: 1, colour: 2 }).catch((error) => error.code)") in (
        "INVALID_COLUMN",
        "VALIDATION_FAILED",
    )


def test_what_is_switched_off_is_known_in_every_tab(open_browser: Open, server: ServerProcess) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two = open_tab(driver, server.url)
    two.look().becomes("live")
    path, body = "/api/admin/switches", {"scope": "function", "target": "add", "reason": "too loud"}
    _, switch = server.request("POST", path, body, token=ADMIN_TOKEN)
    until(lambda: two.run("return db.switchOn('function', 'add')?.reason") == "too loud")
    late = open_tab(driver, server.url)
    late.look().becomes("live")
    tabs = (one, two, late)
    assert [tab.look().run("return db.leads") for tab in tabs] == [True, False, False]
    assert [tab.look().run("return db.switches.length") for tab in tabs] == [1, 1, 1]
    server.request("DELETE", f"{path}/{switch['id']}", token=ADMIN_TOKEN)
    for tab in tabs:
        until(lambda tab=tab: tab.look().run("return db.switches.length") == 0)


def test_when_the_leading_tab_closes_another_leads_and_misses_nothing(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two, three = open_tab(driver, server.url), open_tab(driver, server.url)
    for tab in (two, three):
        tab.look().becomes("live")
    one.look()
    driver.close()
    for number in range(5):
        add(server, f"meanwhile {number}")
    two.look().write("by the follower")
    wanted = ["by the follower", *(f"meanwhile {number}" for number in range(5))]
    for tab in (two, three):
        until(lambda tab=tab: tab.look().titles() == wanted and tab.run("return db.pending") == 0)
        tab.becomes("live")
    until(lambda: sockets(server) == 1)
    assert sorted(tab.look().run("return db.leads") for tab in (two, three)) == [False, True]


def test_a_room_a_text_and_a_live_function_work_in_every_tab_and_end_with_the_last(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two = open_tab(driver, server.url)
    two.becomes("live")
    me = two.run("return db.user.user_id")
    note = two.run("return (await db.insert('Note', { title: 'shared', body: 'hello' })).id")
    begin = """
      Object.assign(window, { room: db.room("doc"), text: db.text("Note", a[0], "body"), live: db.liveFn("counts") });
      text.bind(document.getElementById("text"));
      await Promise.all([text.ready, live.ready]);
    """
    for tab in (one, two):
        tab.look().run(begin, note)
        until(lambda tab=tab: tab.run("return room.joined"))
    two.run("text.splice(5, 0, ', two'); await db.insert('Todo', { title: 'counted' })")
    state = "return [document.getElementById('text').value, live.value.open, room.members.length]"
    for tab in (one, two):
        until(lambda tab=tab: tab.look().run(state) == ["hello, two", 1, 1])
    assert sockets(server) == 1
    two.run("room.leave(); text.close(); live.close()")
    one.look().run("text.splice(0, 0, 'Oh, '); await db.insert('Todo', { title: 'counted, too' })")
    until(lambda: one.run(state) == ["Oh, hello, two", 2, 1])
    assert members(server) == [me]
    one.driver.close()  # the leader goes, and the last who was in the room
    two.look().becomes("live")
    until(lambda: members(server) == [])
    two.run("window.text = db.text('Note', a[0], 'body'); await text.ready", note)
    until(lambda: two.run("return text.value") == "Oh, hello, two")


def members(server: ServerProcess) -> list[str]:
    answer = server.request("GET", "/api/rooms/doc", token=ADMIN_TOKEN)[1]
    return [member["user_id"] for member in answer["members"]]


def test_a_leading_tab_that_the_browser_freezes_hands_over(open_browser: Open, server: ServerProcess) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two = open_tab(driver, server.url)
    two.becomes("live")
    one.look()
    driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    two.look()
    until(lambda: two.run("return db.leads && db.status === 'live'"))
    add(server, "while the first is frozen")
    until(lambda: two.titles() == ["while the first is frozen"])
    one.look()
    driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})
    until(lambda: one.titles() == ["while the first is frozen"] and one.run("return !db.leads"))
    until(lambda: sockets(server) == 1)


LOOKED_AT = """
  Object.defineProperty(document, "visibilityState", { value: "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
"""


def test_a_leading_tab_that_does_not_answer_loses_the_lead_and_follows_when_it_does_again(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    one.becomes("live")
    two = open_tab(driver, server.url)
    two.becomes("live")
    # Mute, as if it hung: tabs of one site may share a process, so one that really hangs would take the other along.
    one.look().run(
        "window.say = BroadcastChannel.prototype.postMessage; BroadcastChannel.prototype.postMessage = () => {}"
    )
    two.look().run(LOOKED_AT)
    until(lambda: two.run("return db.leads && db.status === 'live'"), 15)
    assert one.look().run("return db.leads") is False
    one.run("BroadcastChannel.prototype.postMessage = say")
    add(server, "to the one that leads now")
    for tab in (one, two):
        until(lambda tab=tab: tab.look().titles() == ["to the one that leads now"])
    until(lambda: sockets(server) == 1)


def test_a_write_of_a_tab_that_was_closed_at_once_is_sent_by_the_next(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Tab(driver, f"{server.url}/?offline")
    one.becomes("live")
    one.run("await navigator.serviceWorker.ready")
    two = open_tab(driver, server.url)
    server.kill()
    one.look().write("last words")
    one.run("await new Promise((resolve) => setTimeout(resolve, 50))")
    driver.close()
    two.look()
    until(lambda: two.titles() == ["last words"])
    server.start()
    until(lambda: stored(server) == ["last words"], 45)


def test_a_conflict_is_told_and_what_the_callback_returns_is_written(open_browser: Open, server: ServerProcess) -> None:
    tab = Tab(open_browser(), server.url)
    tab.becomes("live")
    row = tab.run("return (await db.insert('Todo', { title: 'plan' })).id")
    until(lambda: tab.titles() == ["plan"])
    tab.driver.execute_script("window.resolve = ({ mine, theirs }) => ({ title: `${theirs.title} & ${mine.title}` })")
    tab.driver.execute_script(HOLD)
    tab.driver.execute_script("db.update('Todo', arguments[0], { title: 'mine' }).catch(() => {})", row)
    assert server.request("PATCH", f"/api/entities/Todo/{row}", {"title": "theirs"}, token=ADMIN_TOKEN)[0] == 200
    until(lambda: tab.run("return conflicts.length") == 1)
    assert tab.run("return conflicts[0].fields") == ["title"]
    tab.driver.execute_script("letGo()")
    until(lambda: stored(server) == ["theirs & mine"] and tab.titles() == ["theirs & mine"])


def test_without_a_disk_everything_works_in_memory_and_says_so(open_browser: Open, server: ServerProcess) -> None:
    driver = open_browser()
    source = "indexedDB.open = () => { throw new DOMException('no space', 'QuotaExceededError') }"
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    tab = Tab(driver, server.url)
    tab.becomes("live")
    tab.run("await db.insert('Todo', { title: 'in memory' })")
    assert tab.titles() == ["in memory"]
    assert tab.run("return db.storage") == {"kind": "memory", "reason": "The browser's space for this page is used up."}
    assert tab.script_errors() == []


def test_who_was_signed_out_while_offline_sends_nothing_as_nobody_and_everything_when_signed_in_again(
    open_browser: Open, server: ServerProcess
) -> None:
    tab = Tab(open_browser(), server.url)
    tab.run("await db.use(a[0])", server.token_of("ann"))
    tab.driver.execute_script("window.mine = db.live('Private')")
    tab.becomes("live")
    tab.run("await db.insert('Private', { text: 'one', holder: 'ann' })")
    tab.kept()
    network(tab, works=False)
    until(lambda: tab.text("status") != "live")
    tab.driver.execute_script(
        "db.insert('Private', { text: 'two', holder: 'ann' }).catch(({ code }) => (window.why = code))"
    )
    assert server.request("DELETE", "/api/auth/session", token=tab.run("return db.token"))[0] == 200
    network(tab, works=True)
    until(lambda: tab.run("return db.token === null && mine.rows.length === 0"), 45)
    assert tab.run("return why") == "SESSION_CHANGED"
    assert private(server) == ["one"]
    tab.run("await db.use(a[0])", server.token_of("ann"))
    until(lambda: tab.run("return mine.rows.map(({ text }) => text).sort()") == ["one", "two"])
    until(lambda: private(server) == ["one", "two"])
    assert tab.driver.execute_script("return errors") == []


def private(server: ServerProcess) -> list[str]:
    rows = server.request("GET", "/api/entities/Private", token=ADMIN_TOKEN)[1]["data"]
    return sorted(row["text"] for row in rows)


def test_a_guest_whose_session_has_ended_becomes_another_and_two_tabs_become_the_same(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Tab(driver, server.url)
    first = one.run("return db.user.user_id")
    assert server.request("DELETE", "/api/auth/session", token=one.run("return db.token"))[0] == 200
    one.reload()
    assert one.run("return db.user.user_id").startswith("guest_")
    assert one.run("return db.user.user_id") != first
    one.run("window.both = [db, pylon.connect()]; await Promise.all(both.map((one) => one.use(null)))")
    one_id, other_id = one.run("return (await Promise.all(both.map((one) => one.guest()))).map((who) => who.user_id)")
    assert one_id == other_id
