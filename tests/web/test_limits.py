"""How often a caller may ask, and how many are answered at once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.engine.limits.requests import RequestRates, Requests
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.web.admission import Admission, Caps
from tests.web.exchange import request


@pytest.fixture(scope="module")
def limited(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {
        "PYLON_RATE_LIMIT_MAX": "20",
        "PYLON_RATE_LIMIT_MAX_AUTHED": "5",
        "PYLON_RATE_LIMIT_WINDOW": "600",
        "PYLON_HTTP_PER_IP_MAX": "3",
        "PYLON_STREAM_PER_IP_MAX": "1",
        "PYLON_TRUST_PROXY_HOPS": "1",
    }
    with ServerProcess(app_folder / "app.py", tmp_path_factory.mktemp("limited") / "data", env=env) as process:
        yield process


def me(server: ServerProcess, ip: str, token: str | None = None, method: str = "GET") -> tuple[int, dict[str, str]]:
    headers = {"X-Forwarded-For": ip} | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = request(server, method, "/api/auth/me", headers=headers)
    return answer.status, answer.headers


def test_each_answer_tells_what_is_left_and_the_last_one_when_to_return(limited: ServerProcess) -> None:
    status, headers = me(limited, "10.1.0.1")
    told = [headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
    assert (status, told) == (200, ["20", "19", "30"])
    for _ in range(19):
        me(limited, "10.1.0.1")
    status, headers = me(limited, "10.1.0.1")
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    assert headers["ratelimit-remaining"] == "0"
    assert headers["access-control-allow-origin"] == "*"
    assert me(limited, "10.1.0.2")[0] == 200


def test_a_signed_in_user_has_a_budget_of_its_own_wherever_it_is(limited: ServerProcess) -> None:
    token = limited.token_of("budgeted")
    assert [me(limited, f"10.2.0.{i}", token)[0] for i in range(6)] == [200] * 5 + [429]


def test_preflights_health_and_operators_are_not_limited(limited: ServerProcess) -> None:
    assert {me(limited, "10.3.0.1", method="OPTIONS")[0] for _ in range(30)} == {204}
    assert {me(limited, "10.3.0.1", ADMIN_TOKEN)[0] for _ in range(30)} == {200}
    assert {request(limited, "GET", "/health").status for _ in range(30)} == {200}
    assert me(limited, "10.3.0.1")[0] == 200


def test_requests_beyond_the_cap_of_an_address_are_turned_away_at_once(limited: ServerProcess) -> None:
    head = b"POST /api/fn/total HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.4.0.1\r\nContent-Length: 10\r\n\r\n{"
    waiting = [socket.create_connection(("127.0.0.1", limited.port), timeout=5) for _ in range(3)]
    try:
        for connection in waiting:
            connection.sendall(head)
        turned_away = threading.Event()
        for _ in range(200):
            answer = request(limited, "GET", "/api/fn", headers={"X-Forwarded-For": "10.4.0.1"})
            if answer.status == 503:
                assert json.loads(answer.body)["error"]["code"] == "OVERLOADED"
                assert answer.headers["retry-after"] == "1"
                turned_away.set()
                break
        assert turned_away.is_set()
        assert request(limited, "GET", "/api/fn", headers={"X-Forwarded-For": "10.4.0.9"}).status == 403
        catching_up = request(limited, "GET", "/api/sync/pull?since=0&limit=0", headers={"X-Forwarded-For": "10.4.0.1"})
        assert catching_up.status == 200  # pulls are counted apart, so that neither crowd shuts the other out
    finally:
        for connection in waiting:
            connection.close()


def test_an_admission_counts_each_address_and_all_together() -> None:
    admission = Admission(Caps(total=3, per_address=2), "OVERLOADED")
    for ip in ("a", "a", "b"):
        admission.enter(ip)
    for ip in ("a", "c"):
        with pytest.raises(PylonError, match="concurrency cap"):
            admission.enter(ip)
    admission.leave("a")
    admission.enter("c")
    assert (admission.under_way, admission.refused) == (3, 2)


def test_a_budget_fills_up_again_and_guests_share_that_of_their_address() -> None:
    now = 0.0
    requests = Requests(RequestRates(address=2, user=1, seconds=10), clock=lambda: now)
    guest = Identity(user_id="guest_1", is_guest=True)
    requests.take(guest, "ip")
    requests.take(ANONYMOUS, "ip")
    with pytest.raises(PylonError, match="Too many requests"):
        requests.take(guest, "ip")
    now = 5.0
    allowance = requests.take(ANONYMOUS, "ip")
    assert allowance is not None
    assert (allowance.limit, allowance.remaining, allowance.reset) == (2, 0, 10)
    assert requests.take(ADMIN, "ip") is None
