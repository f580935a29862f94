"""Plugins are tested through the doors of a whole server, in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from pylon import App
from pylon.server import Server
from pylon.testing.app import open_server, sign_in
from pylon.testing.process import ADMIN_TOKEN


class Doors:
    """The server's doors, to be knocked at as somebody."""

    def __init__(self, server: Server, http: httpx.AsyncClient) -> None:
        self.server = server
        self.http = http
        self.tokens: dict[str, str] = {"admin": ADMIN_TOKEN}

    async def send(self, who: str | None, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if who is not None:
            if who not in self.tokens:
                self.tokens[who] = await sign_in(self.server, who)
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        return await self.http.request(method, path, json=body, headers=headers, **options)

    async def json(self, who: str | None, method: str, path: str, body: Any = None) -> Any:
        return (await self.send(who, method, path, body)).json()

    async def code(self, who: str | None, method: str, path: str, body: Any = None) -> str | None:
        answer = await self.json(who, method, path, body)
        return answer["error"]["code"] if isinstance(answer, dict) and "error" in answer else None

    async def add(self, who: str | None, entity: str, **data: Any) -> str:
        answer = await self.send(who, "POST", f"/api/entities/{entity}", data)
        assert answer.status_code == 201, answer.text
        row_id: str = answer.json()["id"]
        return row_id

    async def row(self, who: str | None, entity: str, row_id: str) -> Any:
        return await self.json(who, "GET", f"/api/entities/{entity}/{row_id}")

    async def rows(self, who: str | None, entity: str) -> list[Any]:
        return (await self.json(who, "GET", f"/api/entities/{entity}"))["data"]  # type: ignore[no-any-return]

    async def push(self, who: str | None, kind: str, entity: str, row_id: str, data: Any = None) -> Any:
        change = {"entity": entity, "row_id": row_id, "kind": kind, "data": data}
        return await self.json(who, "POST", "/api/sync/push", {"changes": [change]})


@asynccontextmanager
async def opened(app: App, **options: Any) -> AsyncIterator[Doors]:
    async with open_server(app, **options) as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Doors(server, http)
