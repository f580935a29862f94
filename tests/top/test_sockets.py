"""`pylon sockets`, and the key k of `pylon top`, against real sockets (`cli/sockets.py`)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually
from tests.top.pseudo_terminal import OnTerminal
from tests.top.test_top import command

pytest.importorskip("pylon.web.admin.sockets", reason="the routes of live connections are not in this tree yet")


@pytest.fixture
def server(app_file: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path / "data") as process:
        yield process


@pytest.fixture
def sockets(server: ServerProcess) -> Iterator[dict[str, list[ClientConnection]]]:
    """Two of mallory's, one of alice's."""
    opened: dict[str, list[ClientConnection]] = {"mallory": [], "alice": []}
    with contextlib.ExitStack() as stack:
        for user in ("mallory", "mallory", "alice"):
            headers = {"Authorization": f"Bearer {server.token_of(user)}"}
            url = server.url.replace("http", "ws") + "/api/sync/ws"
            opened[user].append(stack.enter_context(connect(url, additional_headers=headers, proxy=None)))
        eventually(lambda: admin(server, "GET", "/api/admin/overview")["sockets"]["ws"] == 3)
        yield opened


def is_closed(socket: ClientConnection) -> bool:
    try:
        while True:
            socket.recv(timeout=0.05)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True


def test_list_shows_who_is_connected_from_where(
    server: ServerProcess, sockets: dict[str, list[ClientConnection]], tmp_path: Path
) -> None:
    done = command(tmp_path, "sockets", "list", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert "3 connections open" in done.stdout
    assert "by user: mallory 2, alice 1" in done.stdout
    assert "by address: 127.0.0.1 3" in done.stdout
    narrowed = command(tmp_path, "sockets", "list", "--user", "alice", "--url", server.url, "--json")
    assert [row["user"] for row in json.loads(narrowed.stdout)["sockets"]] == ["alice"]


def test_kick_ends_the_connections_of_one_user_only(
    server: ServerProcess, sockets: dict[str, list[ClientConnection]], tmp_path: Path
) -> None:
    done = command(tmp_path, "sockets", "kick", "--user", "mallory", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert "2 connections ended" in done.stdout
    for socket in sockets["mallory"]:
        eventually(lambda socket=socket: is_closed(socket))
    assert not is_closed(sockets["alice"][0])


def test_kick_of_nobody_in_particular_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    done = command(tmp_path, "sockets", "kick", "--url", server.url)
    assert done.returncode == 64
    assert "--user or --ip" in done.stderr


def test_bounce_has_everybody_reconnect(
    server: ServerProcess, sockets: dict[str, list[ClientConnection]], tmp_path: Path
) -> None:
    done = command(tmp_path, "sockets", "bounce", "--seconds", "0.2", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert "3 connections reconnecting" in done.stdout
    for socket in (*sockets["mallory"], *sockets["alice"]):
        eventually(lambda socket=socket: is_closed(socket))


def test_k_in_top_disconnects_the_selected_user(
    server: ServerProcess, sockets: dict[str, list[ClientConnection]], tmp_path: Path
) -> None:
    token = server.token_of("mallory")
    server.request("POST", "/api/fn/publish", {"title": "x"}, token=token)
    words = ("-m", "pylon", "top", "--url", server.url, "--interval", "0.2")
    with OnTerminal(*words, env={"PYLON_ADMIN_TOKEN": ADMIN_TOKEN}, folder=tmp_path) as terminal:
        terminal.wait_for("mallory")
        terminal.press("k")
        terminal.wait_for("disconnect the sockets of user mallory")
        assert not is_closed(sockets["mallory"][0])
        terminal.press("y")
        terminal.wait_for("disconnected user mallory")
    for socket in sockets["mallory"]:
        eventually(lambda socket=socket: is_closed(socket))
    assert not is_closed(sockets["alice"][0])
