"""The search for leaks finds none where there are none, and each that is made on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pylon.engine.reads import Reads
from pylon.sync.hub import Hub
from pylon.sync.pull import Pull
from pylon.testing.leaks import Hunt, hunt
from tests.simulation.app import app as shared
from tests.testing.app import app as kit

SEED = 7

APP = """
from pylon import App, Entity

app = App("tested")


class Note(Entity, crdt=False):
    title: str
"""

TEST = """
from app import app


def test_it():
    with app.test() as t:
        assert t.anonymous().pull() == []
"""


def doors(found: Hunt) -> set[str]:
    return {leak.door for leak in found.leaks}


@pytest.mark.parametrize("app", [shared, kit])
def test_nothing_leaks_from_an_app_with_every_kind_of_policy(app: Any) -> None:
    for seed in range(3):
        found = hunt(app, seed=seed)
        assert found.questions > 500
        assert found.leaks == [], "\n".join(map(str, found.leaks))


def _no_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reads, "_condition", lambda *_, **__: (None, {}))


def _no_visibility(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reads, "visible", lambda self, plan, identity, selection, *_: selection)


def _no_audience(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_all(self: Hub, change: Any, *_: Any) -> None:
        from pylon.sync.events import Event

        if self._is_shared:
            self._unshare()
        self._give(self._audiences.whole, Event(change.event(), change.seq))

    monkeypatch.setattr(Hub, "_route", to_all)


def _no_filter_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    from pylon.sync.log import change_of

    def all_of_it(self: Pull, session: Any, entry: Any, *_: Any, **__: Any) -> bytes:
        return change_of(self._plans[entry.entity].types, entry).event()

    monkeypatch.setattr(Pull, "_visible", all_of_it)


@pytest.mark.parametrize(
    ("break_it", "found_at"),
    [
        (_no_condition, "list"),
        (_no_visibility, "pull"),
        (_no_audience, "live"),
        (_no_filter_of_the_log, "pull after a change"),
    ],
)
def test_a_door_that_forgets_to_ask_is_found(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], found_at: str
) -> None:
    break_it(monkeypatch)
    found = hunt(shared, seed=SEED)
    assert found_at in doors(found)
    assert f"(seed {SEED})" in str(found.leaks[0])
    assert hunt(shared, seed=SEED).leaks[0].row_id[-4:] == found.leaks[0].row_id[-4:]


def test_the_command_tells_what_it_asked(tmp_path: Path) -> None:
    app = Path(__file__).parents[1] / "testing" / "app.py"
    command = [sys.executable, "-m", "pylon", "test", "--leaks", "--seed", "1", "--app", str(app), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, answer["code"], answer["rounds"]) == (0, "LEAKS_NONE", 1)


def test_pytest_runs_in_the_apps_folder(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pylon", "test", "--", "-q"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
