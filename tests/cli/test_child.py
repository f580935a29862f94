"""The server process of `pylon dev` and the socket to its supervisor."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from pylon.cli.child import Supervisor, findings_of
from pylon.loading import LoadError
from pylon.model.errors import PylonError
from pylon.settings import Settings, SettingsError


@pytest.fixture
def pair() -> Iterator[tuple[Supervisor, socket.socket]]:
    ours, theirs = socket.socketpair()
    supervisor = Supervisor(ours.detach())
    yield supervisor, theirs
    supervisor.close()
    theirs.close()


def test_commands_and_events_are_lines_of_json(pair: tuple[Supervisor, socket.socket]) -> None:
    supervisor, other = pair
    with other:
        other.sendall(b'{"command": "load"}\n')
        assert supervisor.next_command() == {"command": "load"}
        supervisor.ready()
        assert json.loads(other.recv(100)) == {"event": "ready"}


@pytest.mark.parametrize("unread", [b"", b"x"])
def test_a_supervisor_that_is_gone_means_sigterm(
    pair: tuple[Supervisor, socket.socket], monkeypatch: pytest.MonkeyPatch, unread: bytes
) -> None:
    supervisor, other = pair
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    if unread:  # a socket that is closed with something unread is reset, which reads as an error, not as an end
        supervisor.tell({"event": "unread"})
    other.close()
    supervisor._wait_for_end()
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_child_that_is_told_nothing_any_more_ends(pair: tuple[Supervisor, socket.socket]) -> None:
    supervisor, other = pair
    supervisor.tell({"event": "unread"})
    other.close()
    with pytest.raises(SystemExit) as caught:
        supervisor.next_command()
    assert caught.value.code == 0


def test_whatever_keeps_an_app_from_serving_becomes_findings() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"PYLON_PORT": "x"})
    assert findings_of(caught.value)[0].code == "SETTINGS_INVALID"
    assert findings_of(PylonError("SCHEMA_REFUSED", "no"))[0].code == "SCHEMA_REFUSED"
    assert findings_of(LoadError(())) == ()
