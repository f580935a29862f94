"""A whole server in this process with a user on it, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from pylon import App, Auth, Entity, field
from pylon.server import Server
from pylon.testing.app import open_server, sign_in
from tests.conftest import ADMINISTRATOR

ORIGIN = "https://app.example.com"
HOST = "https://api.example.com"


class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    emailVerified: str | None = None
    passwordHash: str | None = None
    totpVerified: str | None = None
    role: str | None = None
    disabledAt: str | None = None

    class Policy:
        read = "auth.userId == data.id"


class Note(Entity, crdt=False):
    title: str
    by: str = field(owner=True)

    class Policy:
        allow = "auth.userId == data.by"


APP = App("factors", entities=[User, Note], auth=Auth(admin_field="role", trusted_origins=[ORIGIN]))
ENV = {
    "PYLON_DEV_MODE": "0",
    "PYLON_PUBLIC_URL": HOST,
    "PYLON_AUTH_LOGIN_IP_PER_MIN": "0",
}


class Door:
    """The server, a user of it and how to ask it."""

    def __init__(self, server: Server, http: httpx.AsyncClient) -> None:
        self.server, self.http = server, http
        self.user = self.token = ""

    async def new_user(self, email: str = "ann@example.com") -> tuple[str, str]:
        """(id, session token)."""
        body = b'{"email":"%s"}' % email.encode()
        user = str((await self.server.engine.insert(ADMINISTRATOR, "User", body)).row_id)
        return user, await sign_in(self.server, user)

    async def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        held = self.token if token is None else token
        if held:
            sent["Authorization"] = f"Bearer {held}"
        return await self.http.request(method, path, json=body, headers=sent)


@asynccontextmanager
async def open_house(folder: Any = None, env: Mapping[str, str] | None = None, app: App = APP) -> AsyncIterator[Door]:
    """A server in production, with nobody signed in."""
    async with open_server(app, folder, env={**ENV, **(env or {})}) as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
            yield Door(server, http)


@asynccontextmanager
async def open_door(folder: Any = None, env: Mapping[str, str] | None = None, app: App = APP) -> AsyncIterator[Door]:
    """The same with Ann signed in."""
    async with open_house(folder, env, app) as door:
        door.user, door.token = await door.new_user()
        yield door


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """(status, error code)."""
    return answer.status_code, answer.json()["error"]["code"]


async def eventually(condition: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """The first truthy value of `condition`, asked again and again."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - polls another party
            await asyncio.sleep(0.02)
        return value
