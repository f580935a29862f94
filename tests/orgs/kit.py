"""A whole server in this process with people in organisations, asked over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from pylon import App
from pylon.server import Server
from pylon.testing.app import open_server, sign_in
from tests.conftest import ADMINISTRATOR
from tests.mail.test_outbox import Carrier, carry
from tests.orgs.app import app as orgs_app

HOST = "https://api.example.com"


ENV = {"PYLON_DEV_MODE": "0", "PYLON_PUBLIC_URL": HOST, "PYLON_AUTH_VERIFY_IP_PER_MIN": "0"}


class Person:
    """A signed-in user and what it asks."""

    def __init__(self, house: House, user: str, email: str, token: str) -> None:
        self.house, self.id, self.email, self.token = house, user, email, token

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        return await self.house.http.request(method, path, json=body, headers=sent)

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that succeeded."""
        answer = await self(method, path, body)
        assert answer.is_success, answer.text
        return answer.json()

    async def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """(status, error code)."""
        answer = await self(method, path, body)
        assert not answer.is_success, answer.text
        return answer.status_code, answer.json()["error"]["code"]

    async def role(self) -> list[str]:
        """The roles of the session."""
        return list((await self.json("GET", "/api/auth/me"))["roles"])

    async def tenant(self) -> str | None:
        """The active organisation."""
        found: str | None = (await self.json("GET", "/api/auth/me")).get("tenant_id")
        return found


class House:
    """The server and its people."""

    def __init__(self, server: Server, http: httpx.AsyncClient, mail: Carrier) -> None:
        self.server, self.http, self.mail = server, http, mail

    async def person(self, name: str) -> Person:
        """A new user, signed in."""
        email = f"{name}@example.com"
        body = b'{"email":"%s","displayName":"%s","passwordHash":"secret-hash"}' % (email.encode(), name.encode())
        user = str((await self.server.engine.insert(ADMINISTRATOR, "User", body)).row_id)
        return Person(self, user, email, await sign_in(self.server, user))

    def admin(self) -> Person:
        """The operator."""
        from pylon.testing.process import ADMIN_TOKEN

        return Person(self, "__admin__", "", ADMIN_TOKEN)

    async def letter(self) -> str:
        """The text of the newest letter."""
        while await self.server.identity.outbox.send_due():
            pass
        return self.mail.letters[-1].text

    async def invited(self, by: Person, org: str, whom: Person, role: str = "member") -> str:
        """The token that whoever is invited gets by mail."""
        await by.json("POST", f"/api/auth/orgs/{org}/invites", {"email": whom.email, "role": role})
        found = re.search(r"invites/([A-Za-z0-9_-]+)", await self.letter())
        assert found is not None
        return found[1]

    async def join(self, by: Person, org: str, whom: Person, role: str = "member") -> None:
        """Let somebody in."""
        token = await self.invited(by, org, whom, role)
        assert await whom.json("POST", f"/api/auth/invites/{token}/accept") == {"org_id": org, "role": role}


@asynccontextmanager
async def open_house(
    folder: Path | None = None, env: Mapping[str, str] | None = None, app: App = orgs_app
) -> AsyncIterator[House]:
    """The app in production."""
    async with open_server(app, folder, env={**ENV, **(env or {})}) as server:
        await server.identity.outbox.stop()  # letters leave when a test looks
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
            yield House(server, http, carry(server.identity))


async def new_org(owner: Person, name: str = "Acme") -> str:
    """The id of a new organisation."""
    return str((await owner.json("POST", "/api/auth/orgs", {"name": name}))["id"])
