"""The same laws over real sockets: Python clients behind a network that cuts and delays, and a server that is killed.

What can't be replayed here is proved to be rare by the simulation; this shows that the simulated world is the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pylon.client import AsyncClient, Backoff, Replica
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.proxy import FaultyProxy
from tests.simulation.app import ENTITIES, TEAMS, USERS, Teams, may_read

APP = Path(__file__).with_name("app.py")
RUNS = 20 if os.environ.get("PYLON_TEST_LONG") else 1
BAD_SECONDS = 5.0
NEVER = {("red", "ada"), ("blue", "ben"), ("red", "cyd"), ("blue", "dan")}
"""Nobody of these is ever in that team."""


class Operator:
    """Moves people between teams, gives teams tasks and ends sessions, past the bad network but not past the kills."""

    def __init__(self, server: ServerProcess, chance: Random) -> None:
        self._server = server
        self._chance = chance
        self._members: dict[tuple[str, str], str] = {}
        self.ever: set[tuple[str, str]] = set()
        self.purges = 0

    async def work(self, until: float) -> None:
        serial = 0
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._chance.uniform(0.01, 0.1))
            serial += 1
            with contextlib.suppress(OSError, HTTPException):  # the server was killed meanwhile
                await asyncio.to_thread(self._act, serial)

    def _act(self, serial: int) -> None:
        mark, team, user = f"operator-{serial}", self._chance.choice(TEAMS), self._chance.choice(USERS)
        if serial % 12 == 9:
            self.purges += self._ask("POST", "/api/admin/sessions/purge", {"user": user})[0] == 200
        elif serial % 3 == 1:
            shelf = ("open", "closed")[serial % 2]
            self._ask("POST", "/api/entities/Story", {"mark": mark, "shelf": shelf, "notes": "nobody's"})
        elif serial % 3 == 2:
            self._ask("POST", "/api/entities/Task", {"mark": mark, "team": team})
        elif (team, user) in self._members:
            self._ask("DELETE", f"/api/entities/Member/{self._members.pop((team, user))}")
        elif (team, user) not in NEVER:
            self.ever.add((team, user))  # said or not: a kill may keep the answer only
            status, answer = self._ask("POST", "/api/entities/Member", {"mark": mark, "team": team, "user": user})
            if status == 201:
                self._members[team, user] = answer["id"]

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return self._server.request(method, path, body, token=ADMIN_TOKEN)


class Device:
    """A client with a replica on disk, which now and then dies and comes back, and signs in again when its session was
    ended."""

    def __init__(
        self,
        url: str,
        sign_in: Callable[[str], str],
        user: str,
        name: str,
        operator: Operator,
        folder: Path,
        chance: Random,
    ) -> None:
        self.user = user
        self.name = name
        self.refused: list[str] = []
        self.sign_ins = 0
        self.shown: set[tuple[str, str, str]] = set()
        self.wrong: list[tuple[str, Any]] = []
        self._url = url
        self._sign_in = sign_in
        self._token = ""
        self._operator = operator
        self._path = folder / f"{name}.replica"
        self._chance = chance
        self._serial = 0
        self._client: AsyncClient | None = None
        self.replica: Replica | None = None

    async def open(self) -> None:
        while not self._token:
            with contextlib.suppress(OSError, HTTPException, KeyError):
                self._token = await asyncio.to_thread(self._sign_in, self.user)
                self.sign_ins += 1
        backoff = Backoff(first=0.02, most=0.5, stable=1.0, random=self._chance)
        self._client = AsyncClient(self._url, token=self._token, backoff=backoff)
        self.replica = self._client.replica(self._path, on_conflict=lambda conflict: self.refused.append(self.name))
        self.replica.start()
        for entity in ENTITIES:
            followed = self.replica.live(entity)
            followed.on_change = functools.partial(self._look, entity)
            self._look(entity, followed.rows)

    def _look(self, entity: str, rows: list[Any]) -> None:
        """The deny law: whatever is shown and was not written here was readable at some moment."""
        for row in rows:
            version = entity, row["id"], row["mark"]
            if version in self.shown or row["mark"].startswith(f"{self.name}-"):
                continue
            self.shown.add(version)
            assert "notes" not in row, row
            if not may_read(self.user, entity, row, frozenset(self._operator.ever)):
                self.wrong.append((entity, row))

    async def close(self) -> None:
        assert self.replica is not None
        assert self._client is not None
        await self.replica.close()
        await self._client.close()

    async def back(self) -> None:
        """Sign in again, if the session was ended; the queue goes on."""
        assert self.replica is not None
        if self.replica.status.state == "signed-out":
            await self.close()
            self._token = ""
            await self.open()

    async def work(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self._chance.uniform(0.005, 0.1))
            await self.back()
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
            operator = Operator(server, Random(seed * 10 + 9))
            devices = []
            for number in range(4):
                user = chance.choice(USERS)
                own = Random(seed * 10 + number)
                devices.append(Device(proxy.url, server.token_of, user, f"{user}{number}", operator, tmp_path, own))
            for device in devices:
                await device.open()
            until = asyncio.get_running_loop().time() + BAD_SECONDS
            working = [asyncio.create_task(each.work(until)) for each in (*devices, operator)]
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
                    await _come_to_rest(device)
            rows = await asyncio.to_thread(_rows, server)
            await _converge(devices, rows)
            assert operator.purges
            assert {entity for device in devices for entity, _, _ in device.shown} >= {"Open", "Member"}
            assert {entity for entity, _ in rows} >= {"Task", "Story"}
            assert [device.wrong for device in devices] == [[]] * len(devices)
            marks = await asyncio.to_thread(_marks, server)
            assert marks
            assert max(marks.values()) == 1, [mark for mark, times in marks.items() if times > 1]
            for device in devices:
                await device.close()


async def _come_to_rest(device: Device) -> None:
    while True:
        await device.back()
        assert device.replica is not None
        resting = asyncio.ensure_future(device.replica.quiet())
        await asyncio.wait([resting], timeout=0.2)
        if resting.done():
            return resting.result()
        resting.cancel()


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
    """All but tasks, since what a new membership reveals has not changed and isn't sent to who is connected, and
    stories, of which a replica may hold the newest alone."""
    nobody: Teams = frozenset()
    wrong: Any = None
    for _ in range(500):
        wrong = None
        for device in devices:
            assert device.replica is not None
            shown = [entity for entity in ENTITIES if entity not in ("Task", "Story")]
            due = {k: row for k, row in rows.items() if k[0] in shown and may_read(device.user, k[0], row, nobody)}
            held = {(entity, row["id"]): row for entity in shown for row in device.replica.rows(entity)}
            if held != due:
                wrong = device.name, {key: (held.get(key), due.get(key)) for key in held.keys() ^ due.keys()}
        if wrong is None:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(wrong)
