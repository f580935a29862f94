"""The load generator for fan-out by kind of policy: sockets of 100 users, posters that are 16 of them, in one process.

Who must hear of a row is known from who posted it, so every socket's events are counted and must be exactly those: an
owner's rows go to the owner, rows of `Open` to everybody else, rows of `Item` to all. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import uvloop

from benchmarks.fanout import MARK, Listener, Poster

USERS = 100


class UserListener(Listener):
    """A socket of one user, which counts every event."""

    def __init__(self, host: str, token: str, opened: asyncio.Future[None]) -> None:
        super().__init__(host, opened, sampled=False)
        self.token = token
        self.tail = b""

    def headers(self) -> str:
        return f"Authorization: Bearer {self.token}\r\n"

    def data_received(self, data: bytes) -> None:
        was_open = self.opened.done()
        super().data_received(data)
        if was_open:
            found = self.tail + data
            self.events += found.count(MARK)
            self.tail = found[-len(MARK) + 1 :]


class UserPoster(Poster):
    """Posts rows of one entity as one user."""

    def __init__(self, host: str, until: float, done: asyncio.Future[int], entity: str, token: str) -> None:
        super().__init__(host, until, done)
        self.path = f"/api/entities/{entity}"
        self.headers = f"Authorization: Bearer {token}\r\n"


def hears(entity: str, user: int, posted: list[int]) -> int:
    """How many of the events a user's sockets must get."""
    own = posted[user] if user < len(posted) else 0
    return {"Item": sum(posted), "Own": own, "Open": sum(posted) - own}[entity]


async def run(port: int, entity: str, sockets: int, posters: int, seconds: int, tokens: list[str]) -> dict[str, Any]:
    """Post for so many seconds and wait until all arrived."""
    loop = asyncio.get_running_loop()
    host = f"127.0.0.1:{port}"
    listeners: list[UserListener] = []
    for i in range(sockets):
        opened = loop.create_future()
        listener = UserListener(host, tokens[i % USERS], opened)
        await loop.create_connection(lambda listener=listener: listener, "127.0.0.1", port)  # type: ignore[misc]
        listeners.append(listener)
        await opened
    await asyncio.sleep(0.5)
    for listener in listeners:
        listener.events = 0
    began = time.perf_counter()
    done = []
    for i in range(posters):
        future = loop.create_future()
        poster = UserPoster(host, began + seconds, future, entity, tokens[i])
        await loop.create_connection(lambda poster=poster: poster, "127.0.0.1", port)  # type: ignore[misc]
        done.append(future)
    posted = await asyncio.wait_for(asyncio.gather(*done), seconds + 30)
    wanted = [hears(entity, i % USERS, posted) for i in range(sockets)]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while [listener.events for listener in listeners] != wanted:  # noqa: ASYNC110 - many counts, not one event
                await asyncio.sleep(0.02)
    elapsed = max(time.perf_counter() - began, seconds)
    return {
        "writes_per_second": round(sum(posted) / elapsed),
        "deliveries_per_second": round(sum(wanted) / elapsed),
        "all_arrived": [listener.events for listener in listeners] == wanted,
    }


if __name__ == "__main__":
    port, entity, sockets, posters, seconds = sys.argv[1:6]
    tokens = json.loads(sys.stdin.read())
    print(json.dumps(uvloop.run(run(int(port), entity, int(sockets), int(posters), int(seconds), tokens))))
