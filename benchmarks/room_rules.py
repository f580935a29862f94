"""What an app's rule for a room costs: joining, and asking a thousand members again. Run it as
`python -m benchmarks.room_rules`.
"""

from __future__ import annotations

import asyncio
import time

from pylon import App, Context, Entity
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority
from pylon.model.identity import Identity
from pylon.server import Server
from pylon.testing.app import open_server

MEMBERS = 1000
HOT_SECONDS = 5.0
UNLIMITED = {"PYLON_ROOM_PUBLISHES_PER_USER": "0", "PYLON_LOG_LEVEL": "error"}

app = App("room-rules")


class Doc(Entity, crdt=False):
    title: str

    class Policy:
        read = "true"


@app.room("doc:{doc}")
def doc_room(ctx: Context, doc: str) -> bool:
    """Whoever comes, while there is such a doc."""
    return ctx.db.get(Doc, doc) is not None


async def write(server: Server, row_id: str, title: str) -> None:
    """Change the row that the rule reads."""
    plan = server.engine.plans["Doc"]
    await server.engine.run(SYSTEM, lambda tx: tx.update(plan, row_id, {"title": title}), authority=Authority.TRUSTED)


async def measure() -> None:
    """Print the figures."""
    async with open_server(app, env=UNLIMITED) as server:
        guard = server.room_guard
        guard._current = None  # these sessions are nobody's
        plan = server.engine.plans["Doc"]
        row = plan.types.convert_insert({"title": "x"})
        change = (await server.engine.run(SYSTEM, lambda tx: tx.insert(plan, row), authority=Authority.TRUSTED)).value
        began = time.perf_counter()
        for n in range(MEMBERS):
            caller = Caller(identity=Identity(user_id=f"u{n}"), session=str(n).encode())
            await guard.join(caller, f"doc:{change.row_id}", None, f"u{n}")
        print(f"join with a rule {(time.perf_counter() - began) / MEMBERS * 1e6:8.0f} µs")
        before, began = guard.asked_again, time.perf_counter()
        await write(server, change.row_id, "y")
        while guard.asked_again - before < MEMBERS:  # noqa: ASYNC110 - only a benchmark wants to know
            await asyncio.sleep(0.005)
        print(f"{MEMBERS} asked again {time.perf_counter() - began:8.2f} s")
        began, busy = time.perf_counter(), time.process_time()
        while (seconds := time.perf_counter() - began) < HOT_SECONDS:
            await write(server, change.row_id, str(seconds))
            await asyncio.sleep(0.01)
        print(f"a hot row, of one processor {(time.process_time() - busy) / seconds:8.0%}")


if __name__ == "__main__":
    asyncio.run(measure())
