"""What it costs to tell whose a bearer token is: a session's, an API key's, a JWT's.

python benchmarks/bearer_tokens.py
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pylon import App, Entity, field
from pylon.testing.identity import open_foundation, somebody

ROUNDS = 5_000


class User(Entity, crdt=False):
    email: str | None = field(unique=True)


def measure(name: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    for _ in range(ROUNDS):
        work()
    print(f"{name:<28}{(time.perf_counter() - began) / ROUNDS * 1e6:8.1f} µs")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = App("bearer", entities=[User]).spec()
        async with open_foundation(app, Path(folder), jwt_issuer="here") as base:
            token = (await base.sessions.create("u1")).token
            session = base.sessions.resolve(token)
            key = (
                await base.registry.get("api_key").create(somebody(session), name="x", scopes=None, expires_at=0)
            ).key
            jwts = base.registry.get("jwt")
            jwt, _ = await jwts.mint(somebody(session))
            measure("session, remembered", lambda: base.sessions.resolve(token))
            measure("API key", lambda: base.sessions.resolve(key))
            measure("JWT, seen before", lambda: base.sessions.resolve(jwt))
            measure("JWT, first seen", lambda: (jwts._verified.clear(), base.sessions.resolve(jwt)))


asyncio.run(main())
