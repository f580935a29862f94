"""nginx and Caddy with the shipped configurations, in front of a real server: what clients and operators get."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess, free_port
from tests.deploy.places import DEPLOY, eventually, need, write_app
from tests.deploy.proxies import CLIENT, HOST, OPERATOR, Proxied, nginx_configuration, proxied

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
SOON = 3.0
"""Seconds within which what is not held back arrives, also on a busy machine; a buffer waits for the stream's end."""


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


def log_line(proxy: Proxied, path: str) -> str:
    """The line of the access log about this path, once it is written."""
    eventually(lambda: path in proxy.server.log(), f"the log speaks of {path}")
    return next(line for line in proxy.server.log().splitlines() if path in line)


def test_a_request_goes_through_and_comes_back_with_hsts(proxy: Proxied) -> None:
    answer = proxy.send("POST", "/api/entities/Item", b'{"title":"through"}')
    assert answer.status == 201
    assert json.loads(answer.body)["id"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_plain_http_is_sent_to_https(proxy: Proxied) -> None:
    answer = proxy.send("GET", "/somewhere?a=1", encrypted=False)
    assert answer.status in (301, 308)
    assert answer.headers["Location"].startswith(f"https://{HOST}")
    assert answer.headers["Location"].endswith("/somewhere?a=1")


def test_the_server_sees_the_address_of_the_client(proxy: Proxied) -> None:
    proxy.send("GET", "/api/entities/Seen")
    assert f"ip={CLIENT} " in log_line(proxy, "/api/entities/Seen")


def test_a_client_can_not_claim_another_address(proxy: Proxied) -> None:
    for number, claim in enumerate(("6.6.6.6", "6.6.6.6, 127.0.0.1", "127.0.0.1")):
        path = f"/api/entities/Claimed{number}"
        proxy.send("GET", path, headers={"X-Forwarded-For": claim})
        assert f"ip={CLIENT} " in log_line(proxy, path)


def test_a_claimed_address_does_not_open_the_operators_routes(proxy: Proxied) -> None:
    headers = {**ADMIN, "X-Forwarded-For": OPERATOR, "X-Real-IP": OPERATOR}
    assert proxy.send("GET", "/metrics", headers=headers).status == 404


def test_a_websocket_opens_and_gets_a_write_at_once(proxy: Proxied) -> None:
    uri = f"ws://{HOST}/api/sync/ws"  # over the connection below, which is encrypted
    with connect(uri, sock=proxy.connect(), proxy=None) as socket:
        made = json.loads(proxy.send("POST", "/api/entities/Item", b'{"title":"over a socket"}').body)
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            if made["id"] in str(socket.recv(timeout=SOON)):
                break
        else:
            pytest.fail("the write did not arrive")


def test_a_socket_is_counted_to_the_address_of_its_client(proxy: Proxied) -> None:
    with connect(f"ws://{HOST}/", sock=proxy.connect("127.0.0.77"), proxy=None):
        _, listed = proxy.server.request("GET", "/api/admin/sockets", token=ADMIN_TOKEN)
        if "sockets" not in listed:
            pytest.skip("this release has no list of sockets")
        assert "127.0.0.77" in json.dumps(listed)


def test_server_sent_events_are_not_held_back(proxy: Proxied) -> None:
    with proxy.stream("GET", "/api/sync/events", headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status == 200
        began = time.monotonic()
        assert stream.readline().startswith(b":")
        made = json.loads(proxy.send("POST", "/api/entities/Item", b'{"title":"as it happens"}').body)
        while made["id"].encode() not in stream.readline():
            assert time.monotonic() - began < SOON
        assert time.monotonic() - began < SOON


def test_a_body_of_ten_megabytes_passes_and_a_larger_one_is_refused_in_our_own_words(proxy: Proxied) -> None:
    largest = 10 * 2**20
    frame = len(b'{"title":""}')
    assert proxy.send("POST", "/api/entities/Item", b'{"title":"%b"}' % (b"x" * (largest - frame))).status == 201
    answer = proxy.send("POST", "/api/entities/Item", b'{"title":"%b"}' % (b"x" * (largest - frame + 1)))
    assert answer.status == 413
    assert json.loads(answer.body)["error"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("path", ["/metrics", "/api/admin/switches"])
def test_an_operator_passes_with_the_token_and_nobody_without(proxy: Proxied, path: str) -> None:
    assert proxy.send("GET", path, source=OPERATOR, headers=ADMIN).status == 200
    assert proxy.send("GET", path, source=OPERATOR).status in (401, 403)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/METRICS",
        "//metrics",
        "/%6Detrics",
        "/x/../metrics",
        "/x/%2e%2e/metrics",
        "/studio",
        "/studio/",
        "/api/admin/switches",
        "/api/admin/",
        "/api//admin/switches",
        "//api/admin/switches",
        "/api/./admin/switches",
        "/api/%61dmin/switches",
        "/api%2Fadmin/switches",
        "/api/admin%2Fswitches",
        "/api/%2561dmin/switches",
    ],
)
def test_outsiders_do_not_reach_the_operators_routes_even_with_a_token(proxy: Proxied, path: str) -> None:
    answer = proxy.send("GET", path, headers=ADMIN)
    assert answer.status in (301, 308, 400, 403, 404), answer.body[:200]
    assert answer.status not in (301, 308) or proxy.send("GET", answer.headers["Location"], headers=ADMIN).status == 404
    assert proxy.send("GET", "/api/entities/Item?limit=1").status == 200


def test_a_stopped_server_is_told_as_503_with_a_time_to_try_again(tmp_path: Path, proxy: Proxied) -> None:
    proxy.server.stop()
    try:
        answer = proxy.send("GET", "/api/entities/Item")
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.headers["Strict-Transport-Security"]
        assert json.loads(answer.body)["error"]["code"] == "SHUTTING_DOWN"
    finally:
        proxy.server.start()
    eventually(lambda: proxy.send("GET", "/readyz").status == 200, "the server is back")


def test_nginx_accepts_the_configuration_without_a_warning(tmp_path: Path) -> None:
    main = nginx_configuration(tmp_path, 4321, free_port(), free_port())
    command = [need("nginx"), "-t", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(main)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    assert "[emerg]" not in checked.stderr


def test_caddy_accepts_the_configuration_as_it_is_shipped(tmp_path: Path) -> None:
    path = DEPLOY / "caddy" / "Caddyfile"
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"}
    checked = subprocess.run(
        [need("caddy"), "validate", "--adapter", "caddyfile", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=home,
    )
    assert checked.returncode == 0, checked.stderr
    tidy = subprocess.run([need("caddy"), "fmt", str(path)], capture_output=True, text=True, check=False, env=home)
    assert tidy.stdout == path.read_text("utf-8")


def test_without_a_trusted_hop_the_header_counts_for_nothing(tmp_path: Path) -> None:
    with ServerProcess(write_app(tmp_path / "app"), tmp_path / "data", env={"PYLON_DEV_MODE": ""}) as server:
        server.request("GET", "/api/entities/Direct", headers={"X-Forwarded-For": "6.6.6.6"})
        eventually(lambda: "/api/entities/Direct" in server.log(), "the log speaks of it")
        assert "6.6.6.6" not in server.log()
