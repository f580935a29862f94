"""One seed: a few clients, a server and a bad minute; then quiet, and what must hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.signals import logs
from tests.simulation.app import ENTITIES, TEAMS, USERS, app
from tests.simulation.client import Client
from tests.simulation.editor import Editor
from tests.simulation.guest import Guest
from tests.simulation.host import ADMIN_TOKEN, Down, Host
from tests.simulation.network import Link
from tests.simulation.oracle import Oracle
from tests.simulation.watcher import Watcher
from tests.simulation.world import World

BAD_SECONDS = 6.0
QUIET_SECONDS = 60.0


class Trouble:
    """What goes wrong in one run, by chance: each run has a bias of its own, so that rare things meet."""

    def __init__(self, world: World, host: Host, clients: list[Client], oracle: Oracle) -> None:
        self._world = world
        self._host = host
        self._clients = clients
        self._oracle = oracle
        kinds = (self._cut, self._lose, self._kill, self._stall, self._fill_disk, self._member, self._revoke)
        kinds += (self._prune, self._set_clock, self._break_socket)
        self._kinds = [kind for kind in kinds if world.happens(0.5)] or [self._kill]
        self.moved: set[str] = set()

    async def rage(self) -> None:
        """Until the bad time is over."""
        while self._world.time() < BAD_SECONDS:
            await asyncio.sleep(self._world.between(0.02, 0.8))
            kind = self._world.chance.choice(self._kinds)
            with contextlib.suppress(Down):
                await kind()

    async def end(self) -> None:
        """All is well again."""
        self._host.disk_fault = 0.0
        for client in self._clients:
            client.link.is_cut = False
            client.link.loss = client.link.twice = 0.0
            client.is_writing = False
        if self._host.server is None:
            await self._host.start()

    async def _cut(self) -> None:
        link = self._world.chance.choice(self._clients).link
        link.is_cut = True
        self._world.call_later(self._world.between(0.05, 3.0), lambda: setattr(link, "is_cut", False))

    async def _lose(self) -> None:
        link = self._world.chance.choice(self._clients).link
        link.loss = self._world.between(0.0, 0.3)
        link.twice = self._world.between(0.0, 0.5)

    async def _kill(self) -> None:
        self._host.kill()
        await asyncio.sleep(self._world.between(0.0, 1.0))
        await self._host.start()

    async def _stall(self) -> None:
        wire = self._world.chance.choice(self._clients).wire
        if wire is not None:
            wire.stall(self._world.between(0.1, 3.0))

    async def _break_socket(self) -> None:
        wire = self._world.chance.choice(self._clients).wire
        if wire is not None:
            wire.cut()

    async def _fill_disk(self) -> None:
        self._host.disk_fault = self._world.between(0.0, 0.5)
        self._world.call_later(self._world.between(0.1, 1.0), lambda: setattr(self._host, "disk_fault", 0.0))

    async def _member(self) -> None:
        user, team = self._world.chance.choice(USERS), self._world.chance.choice(TEAMS)
        held = [
            i
            for (e, i), row in self._oracle.rows.items()
            if e == "Member" and (row["team"], row["user"]) == (team, user)
        ]
        self.moved.add(user)
        if held:
            await self._admin("DELETE", f"/api/entities/Member/{held[0]}")
        else:
            mark = f"member-{self._world.chance.getrandbits(64)}"
            await self._admin("POST", "/api/entities/Member", {"mark": mark, "team": team, "user": user})

    async def _revoke(self) -> None:
        client = self._world.chance.choice(self._clients)
        token = client.token
        if token is None:
            return
        # One that is accepted later is nobody's: the token proves nothing any more.
        accepted = [wire for wire in self._host.wires if wire.token == token and wire.is_accepted]
        status, _ = await self._host.request("DELETE", "/api/auth/session", token=token)
        if status == 200:
            self._world.note(f"{client.name} is signed out")
            for wire in accepted:
                wire.is_revoked = True
            if client.token == token:
                client.token = None
                if client.wire is not None and not client.wire.is_revoked:
                    client.wire.cut()

    async def _prune(self) -> None:
        server = self._host.server
        if server is None:
            return
        keep = self._world.chance.randrange(1, 60)
        now = int(self._world.wall())

        def prune(tx: Any) -> int:
            limits = {"log_before": now + 100_000, "keep_events": keep, "ops_before": 0, "now": now, "limit": 1000}
            return int(tx.session.prune(**limits))

        task = self._world.create_task(server.engine.run(SYSTEM, prune, authority=Authority.TRUSTED))
        await asyncio.wait([task], timeout=1.0)
        task.cancel()
        if task.done() and not task.cancelled():
            task.exception()

    async def _set_clock(self) -> None:
        self._world.set_back = self._world.between(-100.0, 100.0)

    async def _admin(self, method: str, target: str, value: Any = None) -> None:
        body = b"" if value is None else msgspec.json.encode(value)
        await self._host.request(method, target, body, token=ADMIN_TOKEN)


async def simulate(world: World, folder: Path) -> None:
    """One run of this world's seed. Raises AssertionError where a law is broken."""
    logs.configure("pretty", "error")
    spec = app.spec()
    if world.happens(0.3):  # an app none of whose policies asks the store: fan-out takes a shorter way then
        spec = replace(
            spec,
            entities=tuple(entity for entity in spec.entities if entity.name != "Task"),
            policies=tuple(policy for policy in spec.policies if policy.entity != "Task"),
        )
    host = Host(world, spec, folder)
    oracle = Oracle(world)
    host.on_commit = oracle.committed
    await host.start()
    count = world.chance.randrange(2, 6)
    clients = [Client(world, Link(world, host), oracle, world.chance.choice(USERS), i) for i in range(count)]
    editors = [Editor(world, client, oracle) for client in clients if world.happens(0.6)]
    guests = [Guest(world, client) for client in clients if world.happens(0.5)]
    watchers = [Watcher(client, oracle) for client in clients if world.happens(0.5)]
    for part in (*editors, *guests, *watchers):
        part.client.parts.append(part)
    trouble = Trouble(world, host, clients, oracle)
    following = [world.create_task(client.follow()) for client in clients]
    following += [world.create_task(guest.roam()) for guest in guests]
    working = [world.create_task(step) for client in clients for step in (client.write(), client.push())]
    working += [world.create_task(step) for editor in editors for step in (editor.work(), editor.push())]

    async def wrong(entities: list[str]) -> str | None:
        found = [_wrong_replica(world, client, oracle, entities) for client in clients]
        found += [part.wrong() for part in (*editors, *watchers)]
        found += [await guest.wrong() for guest in guests]
        return next((what for what in found if what), None)

    raging = world.create_task(trouble.rage())
    await _unless(world, following, raging)
    await trouble.end()
    for task in working:
        await _unless(world, following, task, QUIET_SECONDS)
    await _settle(world, following, lambda: wrong([e for e in ENTITIES if e != "Task"]))
    for client in clients:
        if client.user in trouble.moved:
            client.forget()
            if client.wire is not None:
                client.wire.cut()
    await _settle(world, following, lambda: wrong(list(ENTITIES)))
    oracle.check_answers()
    await _check_store(host, oracle, [entity.name for entity in spec.entities if entity.name in ENTITIES])
    host.kill()


async def _unless(
    world: World, following: list[asyncio.Task[None]], task: asyncio.Task[None], seconds: float | None = None
) -> None:
    """Wait for a task, and raise what ends a client meanwhile."""
    await asyncio.wait([task, *following], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    _raise_what_broke(world, following)
    assert task.done(), "what was queued is not pushed"
    task.result()


async def _settle(
    world: World, following: list[asyncio.Task[None]], wrong: Callable[[], Awaitable[str | None]]
) -> None:
    """The replica law: after quiet, whatever a client holds is what a fresh query would show."""
    until = world.time() + QUIET_SECONDS
    while True:
        await asyncio.sleep(0.5)
        _raise_what_broke(world, following)
        what = await wrong()
        if what is None:
            return
        assert world.time() < until, what


def _wrong_replica(world: World, client: Client, oracle: Oracle, entities: list[str]) -> str | None:
    if client.is_live_since is None or world.time() - client.is_live_since < 1.0:
        return f"{client.name} does not come back"
    held = _part(client.rows, entities)
    due = _part(oracle.due(client.user, client.rows, client.base, follows_all=client.follows_all), entities)
    wrong = [(key, held.get(key), due.get(key)) for key in held | due if held.get(key) != due.get(key)]
    return f"{client.name} at {client.cursor} holds, and should hold: {wrong}" if wrong else None


def _raise_what_broke(world: World, following: list[asyncio.Task[None]]) -> None:
    if world.broken is not None:
        raise world.broken
    for follower in following:
        if follower.done():
            follower.result()


def _part(rows: dict[tuple[str, str], Any], entities: list[str]) -> dict[tuple[str, str], Any]:
    return {key: row for key, row in rows.items() if key[0] in entities}


async def _check_store(host: Host, oracle: Oracle, entities: list[str]) -> None:
    """What was committed is in the store, whatever was killed in between."""
    for entity in entities:
        answer = await host.ask("GET", f"/api/entities/{entity}?limit=10000")
        stored = {(entity, row["id"]): row for row in answer["data"]}
        assert stored == _part(oracle.rows, [entity])
