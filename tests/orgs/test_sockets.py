"""Open sockets follow their user in and out of organisations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    app = Path(__file__).with_name("app.py")
    with ServerProcess(app, tmp_path_factory.mktemp("orgs") / "data") as process:
        yield process


def test_a_socket_is_told_of_the_chosen_organisation_gets_its_rows_and_loses_them(server: ServerProcess) -> None:
    def ask(token: str, method: str, path: str, body: Any = None) -> Any:
        status, answer = server.request(method, path, body, token=token)
        assert status < 300, answer
        return answer

    def person(name: str) -> tuple[str, str]:
        user = ask(ADMIN_TOKEN, "POST", "/api/entities/User", {"email": f"{name}@example.com"})["id"]
        return user, server.token_of(user)

    (_, ann), (ben_id, ben) = person("ann"), person("ben")
    org = ask(ann, "POST", "/api/auth/orgs", {"name": "Acme"})["id"]
    made = ask(ann, "POST", f"/api/auth/orgs/{org}/invites", {"email": "ben@example.com"})
    ask(ben, "POST", f"/api/auth/invites/{made['token']}/accept")
    ask(ann, "POST", "/api/auth/select-org", {"orgId": org})
    url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
    with connect(url, additional_headers={"Authorization": f"Bearer {ben}"}) as socket:

        def until(**wanted: Any) -> None:
            while True:
                frame = json.loads(socket.recv(timeout=5))
                assert frame.get("data", {}).get("title") != "secret"
                if all(frame.get(name, frame.get("data", {}).get(name)) == value for name, value in wanted.items()):
                    return

        ask(ben, "POST", "/api/auth/select-org", {"orgId": org})
        until(type="session-changed", tenant_id=org)
        ask(ann, "POST", "/api/entities/Task", {"title": "ours"})
        until(title="ours")
        ask(ann, "DELETE", f"/api/auth/orgs/{org}/members/{ben_id}")
        until(type="session-changed", tenant_id=None)
        ask(ann, "POST", "/api/entities/Task", {"title": "secret"})
        ask(ben, "POST", "/api/auth/orgs", {"name": "Own"})
        until(name="Own")
