"""Whole documents count for whoever is sent them, like everything else that leaves on a socket."""

from __future__ import annotations

import json
import random
from pathlib import Path

from pylon import App, Entity, RichText
from pylon.client.sockets import Socket, asgi_dial
from pylon.engine.caller import SYSTEM
from pylon.engine.limits.usage import Meter, periods
from pylon.engine.transaction import Authority
from pylon.server import Server
from pylon.testing.app import open_server, sign_in

app = App("metered")


class Doc(Entity):
    body: RichText = ""

    class Policy:
        read = "true"


async def used(server: Server, meter: Meter) -> int:
    await server.engine.usage.flush()
    month = periods(server.engine.now())[1]
    return (await server.engine.reads.run(lambda s: s.usage_of(month, "erin"), 5.0)).get(meter, 0)


async def sent(socket: Socket, least: int) -> None:
    """Wait for a message of at least so many bytes."""
    while len(await socket.recv()) < least:
        pass


async def test_whole_documents_and_snapshots_of_rooms_count_as_egress(tmp_path: Path) -> None:
    async with open_server(app, tmp_path) as server:
        plan = server.engine.plans["Doc"]
        token = await sign_in(server, "erin")
        headers = {"Authorization": f"Bearer {token}"}
        async with asgi_dial(server.app)("ws://test/", headers) as socket:
            row = plan.types.convert_insert({"body": random.Random(1).randbytes(15_000).hex()})
            made = (await server.engine.run(SYSTEM, lambda tx: tx.insert(plan, row), authority=Authority.TRUSTED)).value
            await sent(socket, 30_000)
            before = await used(server, Meter.EGRESS)
            assert 30_000 < before < 31_000  # the change event
            size = 0
            for repeats in (1, 2):  # the second is sent from what is kept framed
                await socket.send(json.dumps({"type": "crdt-subscribe", "entity": "Doc", "rowId": made.row_id}))
                size = len(await socket.recv())
                assert size > 10_000
                counted = await used(server, Meter.EGRESS) - before
                assert repeats * size < counted < repeats * (size + 100)
            assert await used(server, Meter.DELIVERIES) == 3
            server.rooms.join(SYSTEM, "doc", "y" * 5_000, "erin")
            before = await used(server, Meter.EGRESS)
            await socket.send(json.dumps({"type": "room-subscribe", "room": "doc"}))
            await sent(socket, 5_000)
            assert 5_000 < await used(server, Meter.EGRESS) - before < 5_400
