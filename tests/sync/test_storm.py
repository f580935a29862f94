"""What an operator does about live connections in an incident, against a real server: caps, kicks, bounces, throttles,
maintenance. Nobody loses anything by it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually
from tests.sync.test_websocket import APP, close_code, handshake, opened, post, until

CROWD = 500
ENV = {"PYLON_WS_PER_USER_MAX": "3", "PYLON_WS_PER_IP_MAX": "0"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storm-app") / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="module")
def server(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app, tmp_path_factory.mktemp("storm") / "data", env=ENV) as process:
        yield process


def admin(server: ServerProcess, method: str, path: str, body: Any = None) -> Any:
    status, answer = server.request(method, f"/api/admin/{path}", body, token=ADMIN_TOKEN)
    assert status in (200, 201), answer
    return answer


def frames_until_close(connection: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """The frames without a seq, and the close code."""
    frames = []
    try:
        while True:
            frame = json.loads(connection.recv(timeout=10))
            if "seq" not in frame:
                frames.append(frame)
    except ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


def notice(connection: ClientConnection) -> dict[str, Any]:
    """The next frame that is not a change."""
    while "seq" in (frame := json.loads(connection.recv(timeout=5))):
        pass
    return dict(frame)


def as_user(server: ServerProcess, user: str, **options: Any) -> ClientConnection:
    return opened(server, subprotocols=[f"bearer.{server.token_of(user)}"], **options)


def as_admin(server: ServerProcess) -> ClientConnection:
    return opened(server, subprotocols=[f"bearer.{ADMIN_TOKEN}"])


def refusal(server: ServerProcess, **options: Any) -> tuple[int, str, int]:
    """(status, code, Retry-After) of a socket that is not let in."""
    with pytest.raises(InvalidStatus) as refused:
        opened(server, **options).close()
    response = refused.value.response
    body = json.loads(response.body or b"{}")
    return response.status_code, body["error"]["code"], int(response.headers.get("Retry-After", "0"))


# -- caps --------------------------------------------------------------------------------------------------------


def test_one_user_may_hold_so_many_connections_and_is_told_when_to_come_back(server: ServerProcess) -> None:
    token = server.token_of("many")
    with contextlib.ExitStack() as stack:
        for port in (0, 1, 0):
            stack.enter_context(opened(server, port=port, subprotocols=[f"bearer.{token}"]))
        waits = set()
        for _ in range(8):
            status, code, wait = refusal(server, subprotocols=[f"bearer.{token}"])
            assert (status, code) == (429, "RATE_LIMITED")
            waits.add(wait)
        assert all(5 <= wait <= 15 for wait in waits)
        assert len(waits) > 1
        for path in (f"/api/sync/events?token={token}",):
            assert server.request("GET", path)[0] == 429
        with as_user(server, "other"), opened(server):
            pass
    eventually(lambda: not admin(server, "GET", "sockets?user=many")["total"])
    with opened(server, subprotocols=[f"bearer.{token}"]):
        pass


# -- list and kick -----------------------------------------------------------------------------------------------


def test_the_list_tells_who_is_connected_and_what_they_were_sent(server: ServerProcess) -> None:
    with as_user(server, "lena") as connection, opened(server):
        before = admin(server, "GET", "sockets?user=lena")["sockets"][0]
        post(server, "counted")
        until(connection, "counted")
        found = admin(server, "GET", "sockets?user=lena")
        [entry] = found["sockets"]
        assert found["total"] == 1
        assert (entry["user"], entry["kind"], entry["ip"], entry["is_admin"]) == ("lena", "ws", "127.0.0.1", False)
        assert entry["sent_events"] == before["sent_events"] + 1
        assert entry["sent_bytes"] > before["sent_bytes"]
        assert entry["unsent_bytes"] == 0
        assert abs(entry["opened_at"] - time.time()) < 60
        assert admin(server, "GET", "sockets?limit=1")["total"] >= 2
        assert len(admin(server, "GET", "sockets?limit=1")["sockets"]) == 1
        assert admin(server, "GET", "sockets?ip=10.0.0.0/8")["total"] == 0


def test_a_kick_ends_the_connections_of_a_user_or_a_network_and_nobody_elses(server: ServerProcess) -> None:
    with (
        as_user(server, "kicked") as first,
        as_user(server, "kicked", port=1) as second,
        as_user(server, "stays") as stays,
    ):
        assert admin(server, "POST", "sockets/kick", {"user": "kicked"}) == {"closed": 2}
        assert [close_code(first), close_code(second)] == [1008, 1008]
        post(server, "after the kick")
        until(stays, "after the kick")
        assert admin(server, "POST", "sockets/kick", {"ip": "10.1.0.0/16"}) == {"closed": 0}
        assert admin(server, "POST", "sockets/kick", {"ip": "127.0.0.0/8"})["closed"] >= 1
        assert close_code(stays) == 1008
    actions = [e["action"] for e in admin(server, "GET", "audit?kind=operator")["entries"]]
    assert "sockets.kick" in actions


@pytest.mark.parametrize("body", [{}, {"ip": "nowhere"}, {"usr": "x"}, []])
def test_a_kick_says_whom_or_is_refused(server: ServerProcess, body: Any) -> None:
    status, answer = server.request("POST", "/api/admin/sockets/kick", body, token=ADMIN_TOKEN)
    assert (status, answer["error"]["code"]) == (400, "INVALID_DATA")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "sockets"),
        ("POST", "sockets/kick"),
        ("POST", "sockets/bounce"),
        ("GET", "fanout/throttle"),
        ("POST", "fanout/throttle"),
    ],
)
def test_only_admins_may(server: ServerProcess, method: str, path: str) -> None:
    for token in (None, server.token_of("eve")):
        assert server.request(method, f"/api/admin/{path}", {}, token=token)[0] in (401, 403)


# -- bounce ------------------------------------------------------------------------------------------------------


class Follower:
    """A client as all are: pulls, listens, and when its socket ends comes back as it was asked to. Keeps every title
    that it saw, and when its sockets ended."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.cursor = 0
        self.titles: set[str] = set()
        self.ended: list[tuple[float, int | None, list[dict[str, Any]]]] = []
        self.is_done = threading.Event()
        self.is_live = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.is_done.is_set():
            self.pull()
            with contextlib.suppress(OSError), opened(self.server) as connection:
                self.is_live.set()
                notices = self.listen(connection)
                if not self.is_done.is_set():
                    code = connection.protocol.close_rcvd.code if connection.protocol.close_rcvd else None
                    self.ended.append((time.monotonic(), code, notices))

    def pull(self) -> None:
        _, answer = self.server.request("GET", f"/api/sync/pull?since={self.cursor}")
        for change in answer["changes"]:
            self.take(change)
        self.cursor = max(self.cursor, answer["cursor"]["last_seq"])

    def take(self, change: dict[str, Any]) -> None:
        self.titles.add(change["data"]["title"])
        self.cursor = max(self.cursor, change["seq"])

    def listen(self, connection: ClientConnection) -> list[dict[str, Any]]:
        notices: list[dict[str, Any]] = []
        while not self.is_done.is_set():
            try:
                frame = json.loads(connection.recv(timeout=0.2))
            except TimeoutError:
                continue
            except ConnectionClosed:
                break
            if "seq" not in frame:
                notices.append(frame)
            elif frame["seq"] > self.cursor:
                self.take(frame)
        return notices


@contextlib.contextmanager
def followers(server: ServerProcess, count: int) -> Iterator[list[Follower]]:
    group = [Follower(server) for _ in range(count)]
    try:
        for one in group:
            assert one.is_live.wait(10)
        yield group
    finally:
        for one in group:
            one.is_done.set()
        for one in group:
            one.thread.join(10)


def test_a_bounce_recycles_everybody_in_waves_and_nobody_loses_a_change(server: ServerProcess) -> None:
    with followers(server, 12) as group:
        began = time.monotonic()
        answer = admin(server, "POST", "sockets/bounce", {"seconds": 1.5})
        assert (answer["bouncing"] >= 12, answer["seconds"]) == (True, 1.5)
        wrote = set()
        for i in range(60):
            post(server, title := f"bounced {i}")
            wrote.add(title)
            time.sleep(0.03)
        eventually(lambda: all(one.ended for one in group))
        eventually(lambda: all(wrote <= one.titles for one in group))
    ends = sorted(one.ended[0][0] - began for one in group)
    assert ends[-1] - ends[0] > 0.5
    assert ends[-1] < 8
    assert [len(one.ended) for one in group] == [1] * 12
    for _, code, notices in (one.ended[0] for one in group):
        assert code == 1012
        [frame] = notices
        assert frame["type"] == "reconnect"
        assert 100 <= frame["after_ms"] <= 2000
    assert len({one.ended[0][2][0]["after_ms"] for one in group}) > 1


def test_sighup_recycles_connections_and_the_process_lives_on(server: ServerProcess) -> None:
    assert server.process is not None
    pid = server.process.pid
    with followers(server, 4) as group:
        server.signal(signal.SIGHUP)
        post(server, "through the hangup")
        eventually(lambda: all(one.ended and one.ended[0][1] == 1012 for one in group))
        post(server, "after the hangup")
        eventually(lambda: all({"through the hangup", "after the hangup"} <= one.titles for one in group))
    assert server.process.poll() is None
    assert server.process.pid == pid
    eventually(lambda: "recycling live connections" in server.log())


@pytest.mark.parametrize(("path", "port"), [("/api/sync/events", 0), ("/events", 2)])
def test_a_bounced_stream_is_told_when_to_come_back(server: ServerProcess, path: str, port: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port + port), timeout=10) as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while b": connected" not in received:
            received += stream.recv(65536)
        admin(server, "POST", "sockets/bounce", {"seconds": 0})
        while piece := stream.recv(65536):
            received += piece
            if received.endswith(b"0\r\n\r\n"):
                break
    assert b"retry: " in received


def test_bounce_seconds_are_checked_and_the_bounce_is_recorded(server: ServerProcess) -> None:
    for seconds in (-1, 4000, "soon"):
        status, _ = server.request("POST", "/api/admin/sockets/bounce", {"seconds": seconds}, token=ADMIN_TOKEN)
        assert status == 400
    admin(server, "POST", "sockets/bounce")
    [entry, *_] = admin(server, "GET", "audit?action=sockets.bounce")["entries"]
    assert entry["details"]["seconds"] == 1.0


# -- throttle ----------------------------------------------------------------------------------------------------


class Counter(threading.Thread):
    """Raw sockets by the hundred: what they were sent, by bytes and by the last event."""

    def __init__(self, server: ServerProcess, count: int) -> None:
        super().__init__(daemon=True)
        import selectors

        self.selector = selectors.DefaultSelector()
        self.received: dict[socket.socket, bytearray] = {}
        for _ in range(count):
            one = handshake(server.port)
            assert b" 101 " in one.recv(4096)
            one.setblocking(False)
            self.received[one] = bytearray()
            self.selector.register(one, selectors.EVENT_READ)
        self.is_done = False
        self.start()

    def run(self) -> None:
        while not self.is_done:
            for key, _ in self.selector.select(0.05):
                with contextlib.suppress(BlockingIOError):
                    self.received[key.fileobj] += key.fileobj.recv(2**20)  # type: ignore[index, union-attr]

    def finish(self, last: bytes, counted: bytes) -> int:
        """Wait until everybody has the last; how many of the counted they were sent together."""
        eventually(lambda: all(last in received for received in self.received.values()), 30)
        self.is_done = True
        self.join()
        for one in self.received:
            one.close()
        return sum(received.count(counted) for received in self.received.values())


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_throttled_hot_row_costs_less_and_everybody_ends_with_its_last_state(server: ServerProcess) -> None:
    assert server.process is not None
    deliveries, cpu = [], []
    for rate in (None, 2):
        admin(server, "POST", "fanout/throttle", {"entity": "Post", "rate": rate})
        row_id = post(server, "hot")
        crowd = Counter(server, CROWD)
        before = cpu_seconds(server.process.pid)
        for i in range(300):
            server.request("PATCH", f"/api/entities/Post/{row_id}", {"title": f"hot {rate} {i}"})
        server.request("PATCH", f"/api/entities/Post/{row_id}", {"title": f"the last {rate}"})
        deliveries.append(crowd.finish(f'"the last {rate}"'.encode(), f'"hot {rate} '.encode()))
        cpu.append(cpu_seconds(server.process.pid) - before)
    assert deliveries[0] == 300 * CROWD
    assert deliveries[1] < deliveries[0] / 5
    assert cpu[1] < cpu[0]
    _, metrics = server.request("GET", "/metrics")
    assert metrics["fanout"]["coalesced"] == deliveries[0] - deliveries[1]
    assert metrics["fanout"]["rates"]["Post"] > 0
    admin(server, "POST", "fanout/throttle", {"entity": "Post", "rate": None})


def test_a_throttle_is_kept_over_a_restart_and_recorded(app: Path, tmp_path: Path) -> None:
    with ServerProcess(app, tmp_path / "data") as server:
        assert admin(server, "POST", "fanout/throttle", {"entity": "Post", "rate": 2.5}) == {"entities": {"Post": 2.5}}
        server.kill()
        server.start()
        assert admin(server, "GET", "fanout/throttle") == {"default": 0.0, "entities": {"Post": 2.5}}
        admin(server, "POST", "fanout/throttle", {"entity": "Post", "rate": None})
        server.kill()
        server.start()
        assert admin(server, "GET", "fanout/throttle")["entities"] == {}
        entries = admin(server, "GET", "audit?action=fanout.throttle")["entries"]
        assert [entry["details"].get("rate") for entry in entries] == [None, 2.5]
        for body in ({"entity": "Nope", "rate": 1}, {"entity": "Post", "rate": -1}, {"entity": "Post"}):
            status, _ = server.request("POST", "/api/admin/fanout/throttle", body, token=ADMIN_TOKEN)
            assert status in (400, 404)


# -- switches ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def switched(server: ServerProcess, scope: str, **more: Any) -> Iterator[dict[str, Any]]:
    switch = admin(server, "POST", "switches", {"scope": scope, **more})
    try:
        yield switch
    finally:
        admin(server, "DELETE", f"switches/{switch['id']}")


@pytest.mark.parametrize("scope", ["server", "sync"])
def test_maintenance_closes_everybody_but_admins_who_hear_of_its_end(server: ServerProcess, scope: str) -> None:
    with (
        opened(server) as guest,
        as_user(server, "ann") as user,
        as_admin(server) as root,
    ):
        with switched(server, scope, reason="moving disks", retry_after=7, expires_in=600) as switch:
            for connection in (guest, user):
                [frame], code = frames_until_close(connection)
                assert code == 1013
                assert frame == {
                    "type": "maintenance",
                    "on": True,
                    "scope": scope,
                    "reason": "moving disks",
                    "retry_after": 7,
                    "until": switch["expires_at"],
                }
            assert refusal(server) == (503, "MAINTENANCE", 7)
            assert server.request("GET", "/api/sync/events")[0] == 503
            with as_admin(server):
                pass
        assert notice(root) == {"type": "maintenance", "on": False}
        with opened(server):
            pass


def test_read_only_is_told_and_data_flows_on(server: ServerProcess) -> None:
    with opened(server) as connection:
        with switched(server, "read-only", reason="counting"):
            assert notice(connection)["scope"] == "read-only"
            with opened(server) as late:
                assert notice(late)["reason"] == "counting"
            status, made = server.request("POST", "/api/entities/Post", {"title": "by root"}, token=ADMIN_TOKEN)
            assert status == 201, made
            until(connection, "by root")
        assert notice(connection) == {"type": "maintenance", "on": False}


@pytest.mark.parametrize(("scope", "target"), [("user", "mallory"), ("ip", "127.0.0.0/8")])
def test_who_is_blocked_is_closed_and_not_let_in(server: ServerProcess, scope: str, target: str) -> None:
    token = server.token_of("mallory")
    with (
        opened(server, subprotocols=[f"bearer.{token}"]) as blocked,
        as_admin(server) as root,
    ):
        with switched(server, scope, target=target):
            assert close_code(blocked) == 1008
            assert refusal(server, subprotocols=[f"bearer.{token}"])[:2] == (403, "BLOCKED")
            assert server.request("GET", f"/api/sync/events?token={token}")[0] == 403
            server.request("POST", "/api/entities/Post", {"title": f"past {scope}"}, token=ADMIN_TOKEN)
            until(root, f"past {scope}")
        with opened(server, subprotocols=[f"bearer.{token}"]):
            pass


def test_an_entity_that_is_off_reaches_admins_only_and_its_return_makes_everybody_resync(server: ServerProcess) -> None:
    _, answer = server.request("GET", "/api/sync/pull?since=0")
    cursor = answer["cursor"]["last_seq"]
    with opened(server) as user, as_admin(server) as root:
        with switched(server, "entity", target="Post", reason="a hole"):
            assert notice(user) == {
                "type": "switch",
                "on": True,
                "scope": "entity",
                "target": "Post",
                "blocks": "all",
                "reason": "a hole",
                "retry_after": 30,
                "until": None,
            }
            _, made = server.request("POST", "/api/entities/Post", {"title": "hidden"}, token=ADMIN_TOKEN)
            until(root, "hidden")
        seen, code = [], None
        try:
            while True:
                seen.append(json.loads(user.recv(timeout=10)))
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
        assert code == 1012
        assert seen[-1]["type"] == "reconnect"
        assert "hidden" not in [frame["data"]["title"] for frame in seen if "seq" in frame]
        assert server.request("GET", f"/api/sync/pull?since={cursor}")[0] == 410
        _, answer = server.request("GET", "/api/sync/pull?since=0")
        assert made["id"] in [change["row_id"] for change in answer["changes"]]
        post(server, "root goes on")
        until(root, "root goes on")


def test_an_entity_that_takes_no_writes_is_told_also_to_who_comes_later(server: ServerProcess) -> None:
    with opened(server) as user:
        with switched(server, "entity", target="Post", blocks="writes"), switched(server, "read-only"):
            told = [notice(user) for _ in range(2)]
            assert [(frame["type"], frame["scope"]) for frame in told] == [
                ("switch", "entity"),
                ("maintenance", "read-only"),
            ]
            with opened(server) as late:
                assert [notice(late)["type"] for _ in range(2)] == ["maintenance", "switch"]
        ended = [notice(user) for _ in range(2)]
        assert {"type": "maintenance", "on": False} in ended
        assert {"type": "switch", "on": False, "scope": "entity", "target": "Post"} in ended
