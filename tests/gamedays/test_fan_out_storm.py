"""Game day: a hot entity is broadcast faster than anybody can use; and clients that don't take what they are sent."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.containment.test_switches import eventually
from tests.gamedays.conftest import APP, meanwhile, operator_of
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


class Listener:
    """A client that keeps the newest state of each row, and reconnects when it is told to."""

    def __init__(self, server: ServerProcess) -> None:
        self._url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
        self.rows: dict[str, Any] = {}
        self.codes: list[int] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            try:
                with connect(self._url, proxy=None) as connection:
                    while not self._stopping:
                        try:
                            event = json.loads(connection.recv(timeout=0.2))
                        except TimeoutError:
                            continue
                        if "row_id" in event:
                            self.rows[event["row_id"]] = event["data"]
            except OSError:
                time.sleep(0.1)
            except Exception as closed:  # the library's closing errors carry the code
                received = getattr(closed, "rcvd", None)
                self.codes.append(received.code if received is not None else 0)

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(10)


def storm(server: ServerProcess) -> None:
    """About 3,000 changes a second."""
    server.request("POST", "/api/fn/flood", {"rows": 300})
    time.sleep(0.07)


def test_a_throttled_entity_reaches_everybody_in_its_last_state(
    server: ServerProcess, operator: Operator, tmp_path: Path
) -> None:
    _, hot = server.request("POST", "/api/entities/Note", {"title": "hot"})
    listeners = [Listener(server) for _ in range(2)]
    with watching(server, tmp_path / "prometheus") as prometheus:
        with meanwhile(lambda: storm(server)):
            prometheus.wait_for("PylonFanoutStorm")
            assert "Note" in operator.follow("fan-out-storm", "Look")
            operator.follow("fan-out-storm", "Do")
        eventually(lambda: all(1012 in listener.codes for listener in listeners), 15.0)
        assert server.process is not None
        assert server.process.poll() is None
        eventually(
            lambda: server.request("GET", "/metrics", token=ADMIN_TOKEN)[1]["realtime"]["ws_connections"] >= 2, 15.0
        )
        for n in range(30):
            server.request("PATCH", f"/api/entities/Note/{hot['id']}", {"n": n})
        eventually(lambda: all(one.rows.get(hot["id"], {}).get("n") == 29 for one in listeners), 20.0)
        operator.follow("fan-out-storm", "Verify", "Undo")
    for listener in listeners:
        listener.stop()


def test_a_consumer_that_takes_nothing_is_closed_and_named(tmp_path: Path) -> None:
    with ServerProcess(APP, tmp_path / "data", env={"PYLON_WS_BUFFER_MAX_BYTES": "65536"}) as server:
        operator = operator_of(server, tmp_path)
        token = server.token_of("mallory")
        sleepers: list[socket.socket] = []

        def sleep_on_it() -> None:
            sleeper = socket.create_connection(("127.0.0.1", server.port))
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.sendall(
                b"GET /api/sync/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Authorization: Bearer %b\r\n\r\n" % token.encode()
            )
            sleepers.append(sleeper)
            time.sleep(0.5)

        with (
            watching(server, tmp_path / "prometheus") as prometheus,
            meanwhile(sleep_on_it),
            meanwhile(lambda: server.request("POST", "/api/fn/flood", {"rows": 3000})),
        ):
            prometheus.wait_for("PylonSlowConsumers")
        sleep_on_it()
        assert "mallory" in operator.follow("slow-consumers", "Look")
        operator.follow("slow-consumers", "Do")
        eventually(lambda: "mallory" not in operator.run("pylon sockets list"), 5.0)
        for sleeper in sleepers:
            sleeper.close()
