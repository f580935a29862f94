"""A page of tests/browser/app: one tab of one browser, with `db`, and `todos` as live rows."""

from __future__ import annotations

from typing import Any

from page import Page, until

TITLES = "return todos.rows.map(({ title }) => title)"


class Tab(Page):
    """A page of the test app; `run` is the body of an async function."""

    def __init__(self, driver: Any, url: str) -> None:
        super().__init__(driver, url)
        self.handle = driver.current_window_handle
        self.wait()

    def wait(self) -> None:
        until(lambda: self.driver.execute_script("return window.isReady"))

    def look(self) -> Tab:
        self.driver.switch_to.window(self.handle)
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        body = "const [...a] = arguments; const done = a.pop(); (async () => {" + script
        body += "})().then((value) => done([value ?? null]), (error) => done([null, error.code ?? String(error)]))"
        answer = self.driver.execute_async_script(body, *arguments)
        assert len(answer) == 1, answer[1]
        return answer[0]

    def titles(self) -> list[str]:
        return list(self.driver.execute_script(TITLES))

    def write(self, title: str) -> None:
        """Writes without waiting for the server."""
        self.driver.execute_script("db.insert('Todo', { title: arguments[0] }).catch(() => {})", title)

    def reload(self) -> None:
        self.driver.refresh()
        self.wait()

    def kept(self) -> None:
        """Waits until the disk has the rows that the page has."""
        head = self.run(HEAD)
        until(lambda: self.run(MARK) >= head)


MARK = """
  const open = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const { name } = (await indexedDB.databases()).find(({ name }) => name.includes(db.user.user_id));
  const disk = await open(indexedDB.open(name));
  const mark = await open(disk.transaction("marks").objectStore("marks").get("rows"));
  disk.close();
  return mark?.cursor ?? 0;
"""
HEAD = """
  const headers = { Authorization: `Bearer ${db.token}` };
  return (await (await fetch("/api/sync/pull?since=1", { headers })).json()).cursor.last_seq;
"""


def open_tab(driver: Any, url: str) -> Tab:
    driver.switch_to.new_window("tab")
    return Tab(driver, url)
