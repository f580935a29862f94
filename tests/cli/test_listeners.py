"""Binding the ports, and handing them to another process."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from pylon.listeners import ListenError, bind, inherited
from pylon.settings import Settings
from pylon.testing.process import free_port


def local(**environ: str) -> Settings:
    return Settings.load({"PYLON_HOST": "127.0.0.1", "PYLON_PORT": str(free_port())} | environ)


def test_three_neighbouring_ports_are_bound() -> None:
    listeners = bind(local())
    try:
        assert list(listeners.sockets()) == ["http", "ws", "sse"]
        ports = [opened.getsockname()[1] for opened in listeners.sockets().values()]
        assert ports == [listeners.port, listeners.port + 1, listeners.port + 2]
        assert listeners.url == f"http://localhost:{listeners.port}"
    finally:
        listeners.close()


def test_extra_ports_can_be_switched_off() -> None:
    for environ, roles in (({"PYLON_EXTRA_PORTS": "0"}, ["http"]), ({"PYLON_SSE_PORT_DISABLE": "1"}, ["http", "ws"])):
        listeners = bind(local(**environ))
        assert list(listeners.sockets()) == roles
        listeners.close()


def test_a_taken_extra_port_is_a_warning() -> None:
    settings = local()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.port + 1))
        taken.listen()
        listeners = bind(settings)
        assert listeners.ws is None
        assert listeners.sse is not None
        assert str(settings.port + 1) in listeners.warnings[0]
        listeners.close()


def test_a_taken_main_port_names_the_port_and_the_option() -> None:
    settings = local()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.port))
        taken.listen()
        with pytest.raises(ListenError, match=rf"port {settings.port} is already in use.*--port"):
            bind(settings)


def test_a_port_that_was_just_left_can_be_bound_again() -> None:
    settings = local()
    listeners = bind(settings)
    client = socket.create_connection(("127.0.0.1", settings.port))
    listeners.http.setblocking(True)
    accepted, _ = listeners.http.accept()
    accepted.close()  # the server closes first, so the port stays in TIME_WAIT
    client.close()
    listeners.close()
    bind(settings).close()


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ListenError, match="not an address of this machine"):
        bind(local(PYLON_HOST="203.0.113.7"))


def test_port_zero_takes_a_free_one() -> None:
    listeners = bind(local(PYLON_PORT="0"))
    assert listeners.port > 0
    assert listeners.ws is not None
    assert listeners.ws.getsockname()[1] == listeners.port + 1
    listeners.close()


def test_another_process_serves_on_the_same_sockets() -> None:
    listeners = bind(local())
    script = (
        "import os; from pylon.listeners import inherited; found = inherited(os.environ); "
        "found.http.setblocking(True); c, _ = found.http.accept(); c.sendall(b'child'); c.close()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=listeners.environment(), pass_fds=listeners.descriptors()
    )
    with socket.create_connection(("127.0.0.1", listeners.port), timeout=10) as client:
        assert client.recv(100) == b"child"
    assert child.wait(timeout=10) == 0
    listeners.close()


def test_nothing_is_inherited_where_nothing_was_handed_over() -> None:
    assert inherited({}) is None
    with pytest.raises(ListenError, match="pylon dev"):
        inherited({"PYLON_LISTEN_FDS": "http=9999"})
