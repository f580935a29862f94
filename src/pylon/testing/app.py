"""A whole server in the test's own process, without a port: an ASGI app to give to `pylon.client.AsyncClient`."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.listeners import Listeners
from pylon.model.app import App
from pylon.server import Server
from pylon.settings import Settings
from pylon.testing.process import ADMIN_TOKEN


@asynccontextmanager
async def open_app(app: App, folder: Path | None = None, *, env: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
    """The app, served in this process on a folder, by default a passing one; `env` are `PYLON_*` variables.

    async with open_app(app) as served, AsyncClient("http://test", app=served) as client:
        await client.insert(Note, title="hello")
    """
    async with open_server(app, folder, env=env) as server:
        yield server.app


@asynccontextmanager
async def open_server(
    app: App, folder: Path | None = None, *, env: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """The same as the Server itself, for tests that reach behind its doors."""
    with tempfile.TemporaryDirectory() as passing, socket.socket() as unused:
        settings = Settings.load(
            {
                "PYLON_DEV_MODE": "1",
                "PYLON_ADMIN_TOKEN": ADMIN_TOKEN,
                "PYLON_DATA_DIR": str(folder or passing),
                "PYLON_ARCHIVE_SECS": "0",
                **(env or {}),
            }
        )
        server = Server(app.spec(), settings, Listeners(http=unused))
        await server.open()
        try:
            yield server
        finally:
            server.door.close(1001, "server is stopping")
            await server.close()


async def sign_in(server: Server, user_id: str, *, tenant_id: str | None = None) -> str:
    """The token of a new session of this user, with an active tenant where one is given."""
    grant = server.sessions.grant(user_id, method="test", tenant_id=tenant_id)
    await server.engine.run(SYSTEM, lambda tx: server.sessions.put(tx, grant), authority=Authority.TRUSTED)
    return grant.token
