"""The same laws over real sockets: Python clients behind a network that cuts and delays, and a server that is killed.

What can't be replayed here is proved to be rare by the simulation; this shows that the simulated world is the real one.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pylon.client import AsyncClient, Backoff, Replica
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.proxy import FaultyProxy
from tests.simulation.app import ENTITIES, USERS, Teams, may_read

APP = Path(__file__).with_name("app.py")
RUNS = 20 if os.environ.get("PYLON_TEST_LONG") else 1
BAD_SECONDS = 5.0


class Device:
    """A client with a replica on disk, which now and then dies and comes back."""

    def __init__(self, url: str, token: str, user: str, name: str, folder: Path, chance: Random) -> None:
        self.user = user
        self.name = name
        self.accepted: list[str] = []
        self.refused: list[str] = []
        self._url = url
        self._token = token
        self._path = folder / f"{name}.replica"
        self._chance = chance
        self._serial = 0
        self._client: AsyncClient | None = None
        self.replica: Replica | None = None

    async def open(self) -> None:
        backoff = Backoff(first=0.02, most=0.5, stable=1.0, random=self._chance)
        self._client = AsyncClient(self._url, token=self._token, backoff=backoff)
        self.replica = self._client.replica(self._path, on_conflict=lambda conflict: self.refused.append(self.name))
        self.replica.start()

    async def close(self) -> None:
        assert self.replica is not None
        assert self._client is not None
        await self.replica.close()
        await self._client.close()

    async def work(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self._chance.uniform(0.005, 0.1))
            if self._chance.random() < 0.02:
                await self.close()
                await asyncio.sleep(self._chance.uniform(0, 0.3))
                await self.open()
            self._change()

    def _change(self) -> None:
        assert self.replica is not None
        chance = self._chance
        self._serial += 1
        mark = f"{self.name}-{self._serial}"
        mine = [("Open", row["id"]) for row in self.replica.rows("Open")]
        mine += [("Own", row["id"]) for row in self.replica.rows("Own")]
        roll = chance.random()
        if roll < 0.5 or not mine:
            entity = chance.choice(("Open", "Own", "Draft"))
            values: dict[str, Any] = {"mark": mark}
            if entity != "Open":
                values["owner"] = self.user
            if entity == "Draft":
                values["status"] = chance.choice(("draft", "live"))
            self.replica.insert(entity, **values)
            return
        entity, row_id = chance.choice(mine)
        if roll < 0.85:
            changes = {"mark": mark}
            if entity == "Own" and chance.random() < 0.3:
                changes["owner"] = chance.choice(USERS)
            self.replica.update(entity, row_id, **changes)
        else:
            self.replica.delete(entity, row_id)


@pytest.mark.timeout(120 * RUNS)
@pytest.mark.parametrize("seed", range(RUNS))
async def test_replicas_converge_and_no_write_is_lost_or_doubled(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    with ServerProcess(APP, tmp_path / "data") as server:
        async with FaultyProxy(server.port, chance) as proxy:
            devices = []
            for number in range(4):
                user = chance.choice(USERS)
                token = await asyncio.to_thread(server.token_of, user)
                devices.append(Device(proxy.url, token, user, f"{user}{number}", tmp_path, Random(seed * 10 + number)))
            for device in devices:
                await device.open()
            until = asyncio.get_running_loop().time() + BAD_SECONDS
            working = [asyncio.create_task(device.work(until)) for device in devices]
            proxy.cut_chance, proxy.delay = 0.03, 0.02
            for _ in range(3):
                await asyncio.sleep(BAD_SECONDS / 5)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                proxy.is_refusing = not proxy.is_refusing
            proxy.is_refusing = False
            await asyncio.gather(*working)
            proxy.heal()
            proxy.cut_all()
            assert proxy.cuts
            async with asyncio.timeout(60):
                for device in devices:
                    assert device.replica is not None
                    await device.replica.quiet()
            rows = await asyncio.to_thread(_rows, server)
            await _converge(devices, rows)
            marks = await asyncio.to_thread(_marks, server)
            assert marks
            assert max(marks.values()) == 1, [mark for mark, times in marks.items() if times > 1]
            for device in devices:
                await device.close()


def _rows(server: ServerProcess) -> dict[tuple[str, str], Any]:
    found = {}
    for entity in ENTITIES:
        status, answer = server.request("GET", f"/api/entities/{entity}?limit=10000", token=ADMIN_TOKEN)
        assert status == 200, answer
        found |= {(entity, row["id"]): row for row in answer["data"]}
    return found


def _marks(server: ServerProcess) -> Counter[str]:
    """How often each mark was written, by the change log."""
    marks = Counter[str]()
    cursor, more = 1, True
    first = server.request("GET", "/api/sync/pull?since=0", token=ADMIN_TOKEN)[1]["cursor"]["last_seq"]
    while more and cursor < first:
        answer = server.request("GET", f"/api/sync/pull?since={cursor}", token=ADMIN_TOKEN)[1]
        marks.update(change["data"]["mark"] for change in answer["changes"] if change["kind"] != "delete")
        cursor, more = answer["cursor"]["last_seq"], answer["has_more"]
    return marks


async def _converge(devices: list[Device], rows: dict[tuple[str, str], Any]) -> None:
    teams: Teams = frozenset()
    wrong: Any = None
    for _ in range(500):
        wrong = None
        for device in devices:
            assert device.replica is not None
            due = {key: row for key, row in rows.items() if may_read(device.user, key[0], row, teams)}
            held = {(entity, row["id"]): row for entity in ENTITIES for row in device.replica.rows(entity)}
            if held != due:
                wrong = device.name, {key: (held.get(key), due.get(key)) for key in held.keys() ^ due.keys()}
        if wrong is None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(wrong)
