"""A client by the rules of spec 02 §16: pull, then connect, apply in seq order; a queue of its own writes, pushed with
op-ids until they are answered. It follows everything or a part, and changes its mind about that on an open socket."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from tests.simulation.app import SCOPE, TEAMS, USERS, is_followed
from tests.simulation.host import Down
from tests.simulation.network import Link, Lost, Row, Wire, messages
from tests.simulation.oracle import WINDOW_SECONDS, Oracle
from tests.simulation.world import World

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8
_SCOPE = quote(msgspec.json.encode(SCOPE))


class Part(Protocol):
    """What else a client does on its connection."""

    def connected(self) -> None:
        """The socket is open."""

    def applied(self, event: Row) -> None:
        """An event changed the replica."""

    def heard(self, message: Row) -> None:
        """A frame that is no change."""

    def binary(self, payload: bytes) -> None:
        """A binary frame."""


class Client:
    """One device of one user. Its queue and its replica survive everything; its connections don't."""

    def __init__(self, world: World, link: Link, oracle: Oracle, user: str, number: int) -> None:
        self.user = user
        self.name = f"{user}{number}"
        self.link = link
        if world.happens(0.5):  # as clients of now do, and older ones don't
            link.user = user
        self.follows_all = world.happens(0.7)
        self.rows: dict[tuple[str, str], Row] = {}
        self.cursor = self.base = 0
        self._after = ""
        self.parts: list[Part] = []
        self.queue: list[dict[str, Any]] = []
        self.token: str | None = None
        self.wire: Wire | None = None
        self.is_live_since: float | None = None
        self.is_writing = True
        self._world = world
        self._oracle = oracle
        self._number = number
        self._serial = itertools.count(1)
        self._closed = asyncio.Event()
        self._buffer = bytearray()
        self._head: bytes | None = b""
        self._asked_at = 0.0
        self._last_seq = 0
        self._wants_all: bool | None = None
        self._waiting: list[Row] | None = None
        self._refilling: asyncio.Task[None] | None = None

    # -- the replica ---------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Catch up, connect, and again whenever the connection ends."""
        while True:
            try:
                await self._sign_in()
                await self._catch_up()
                self._connect()
            except (Lost, Down):
                await asyncio.sleep(self._world.between(0.0, 1.0))
                continue
            await self._closed.wait()
            self._decide()
            await asyncio.sleep(self._world.between(0.0, 1.0))

    async def _sign_in(self) -> None:
        while self.token is None:
            self.token = (await self.link.host.ask("POST", "/api/auth/session", {"user_id": self.user}))["token"]
            if (
                self.link.user is None
            ):  # a pull with the token that ended was answered as nobody's, and moved the cursor
                self.forget()

    async def _catch_up(self) -> None:
        while True:
            is_snapshot = self.cursor == 0
            target = f"/api/sync/pull?since={self.cursor}"
            if self._after:  # in the middle of a snapshot, perhaps of a server that is no more
                target += f"&page_size=5&snapshot_after={quote(self._after)}"
            elif is_snapshot:
                self.rows.clear()
                target += "&page_size=5" if self._world.happens(0.5) else ""
            elif self._world.happens(0.3):
                target += "&limit=4"
            if not self.follows_all:
                target += f"&scope={_SCOPE}"
            asked_at = self._world.time()
            status, body = await self.link.request("GET", target, token=self.token)
            if status == 410:
                self._world.note(f"{self.name} starts over")
                self.forget()
                continue
            if status == 401:
                self.token = None
            assert status != 400, body
            if status != 200:
                raise Lost
            answer = msgspec.json.decode(body)
            for event in answer["changes"]:
                self._saw(event, asked_at, self._world.time())
                self._apply(event)
            self._after = answer.get("snapshot_after") or ""
            if answer["cursor"]["last_seq"] or not answer["has_more"]:
                assert answer["cursor"]["last_seq"] >= self.cursor
                assert not answer["has_more"] or answer["cursor"]["last_seq"] > self.cursor
                self.cursor = answer["cursor"]["last_seq"]
                self.base = self.cursor if is_snapshot else self.base
            if not answer["has_more"]:
                return

    def change_mind(self) -> None:
        """Ask on the open socket for a part instead of everything, or the other way round."""
        if self.is_live_since is None or self._wants_all is not None or self._waiting is not None:
            return
        self._wants_all = not self.follows_all
        self.say({"type": "scope", "entities": None if self._wants_all else SCOPE})

    def _scoped(self, wire: Wire) -> None:
        """From here on the socket brings what was asked for: begin anew, and hold back what it brings meanwhile."""
        self._decide()
        self._waiting = []
        self._refilling = self._world.create_task(self._refill(wire))

    async def _refill(self, wire: Wire) -> None:
        try:
            await self._catch_up()
        except (Lost, Down):
            wire.cut()
            return
        if self.wire is wire and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            for event in waiting:
                self._follow(event)

    def _decide(self) -> None:
        """What is followed is what was asked for last, and what is held must be all of it."""
        if self._refilling is not None and not self._refilling.done():
            self._refilling.cancel()
        if self._wants_all is not None or self._waiting is not None:
            self.follows_all = self.follows_all if self._wants_all is None else self._wants_all
            self._wants_all = self._waiting = None
            self.forget()

    def _saw(self, event: Row, since: float, until: float) -> None:
        self._oracle.saw(self.user, event, since, until)
        if not self.follows_all and event.get("data"):
            assert is_followed(event["entity"], event["data"]), f"{self.name} does not follow {event}"

    def forget(self) -> None:
        """Drop the replica, to begin anew."""
        self.rows.clear()
        self.cursor = 0
        self._after = ""

    def _apply(self, event: Row) -> None:
        key = event["entity"], event["row_id"]
        if event["kind"] == "delete":
            self.rows.pop(key, None)
        else:
            self.rows[key] = event["data"]
        for part in self.parts:
            part.applied(event)

    def say(self, message: Row) -> None:
        """Send a message, while there is somebody to hear it."""
        if self.wire is not None and self.is_live_since is not None:
            self.wire.say(message)

    def _connect(self) -> None:
        if self.token is None:  # signed out while it caught up
            raise Lost
        self._closed.clear()
        self._buffer.clear()
        self._head = b""
        self._last_seq = 0
        self._asked_at = self._world.time()
        query = "" if self.follows_all else f"?scope={_SCOPE}"
        self.wire = Wire(self.link, self, self.token, query)

    def received(self, wire: Wire, data: bytes, written_at: float) -> None:
        """Bytes of the socket."""
        if wire is not self.wire:
            return
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                wire.cut()
                return
            data, self._head = self._head[end + 4 :], None
            self.is_live_since = self._world.time()
            for part in self.parts:
                part.connected()
        self._buffer += data
        for opcode, payload in messages(self._buffer):
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big")
                self._world.note(f"{self.name} is closed with {code}")
                if code == 1008:
                    self.token = None
            elif opcode == TEXT:
                self._frame(wire, msgspec.json.decode(payload), written_at)
            elif opcode == BINARY:
                for part in self.parts:
                    part.binary(payload)

    def _frame(self, wire: Wire, event: Row, written_at: float) -> None:
        if "kind" not in event:
            if event["type"] == "scoped":
                self._scoped(wire)
            for part in self.parts:
                part.heard(event)
            return
        assert event["seq"] > self._last_seq, f"{event} after {self._last_seq}"
        self._last_seq = event["seq"]
        self._saw(event, written_at - WINDOW_SECONDS, written_at)
        if self._waiting is None:
            self._follow(event)
        else:
            self._waiting.append(event)

    def _follow(self, event: Row) -> None:
        if event["seq"] > self.cursor:
            self._apply(event)
            self.cursor = event["seq"]

    def closed(self, wire: Wire) -> None:
        """The socket is gone."""
        if wire is self.wire:
            self.is_live_since = None
            self.wire = None
            self._closed.set()

    # -- its writes ----------------------------------------------------------------------------------------------

    async def write(self) -> None:
        """Queue changes, and call what can't be queued, until told to stop."""
        while self.is_writing:
            await asyncio.sleep(self._world.between(0.005, 0.3))
            if self._world.happens(0.1):
                await self._bump()
            elif self._world.happens(0.02):
                self.change_mind()
            else:
                self._queue_change()

    def _queue_change(self) -> None:
        chance = self._world.chance
        mark = f"{self.name}-{next(self._serial)}"
        mine = [key for key in self.rows if key[0] != "Member"]
        roll = chance.random()
        change: dict[str, Any]
        if roll < 0.5 or not mine:
            entity = chance.choice(("Open", "Own", "Draft", "Task", "Story", "Page", "Local"))
            row_id = f"{chance.getrandbits(160):040x}"
            data: Row = {"id": row_id, "mark": mark}
            if entity == "Task":
                data["team"] = chance.choice(TEAMS)
            elif entity == "Story":
                data |= {"shelf": chance.choice(("open", "closed")), "notes": mark}
            elif entity not in ("Open", "Local"):
                data["owner"] = self.user if chance.random() < 0.9 else chance.choice(USERS)
            if entity == "Draft":
                data["status"] = chance.choice(("draft", "live"))
            if entity == "Page":
                data["shared"] = chance.random() < 0.7
            change = {"entity": entity, "row_id": row_id, "kind": "insert", "data": data}
        else:
            entity, row_id = chance.choice(mine)
            if roll < 0.85:
                data = {"mark": mark}
                if entity == "Own" and chance.random() < 0.3:
                    data["owner"] = chance.choice(USERS)
                if entity == "Draft" and chance.random() < 0.5:
                    data["status"] = chance.choice(("draft", "live"))
                if entity == "Story" and chance.random() < 0.5:
                    data["shelf"] = chance.choice(("open", "closed"))
                if entity == "Page" and chance.random() < 0.5:
                    data["shared"] = chance.random() < 0.7
                if entity == "Task" and chance.random() < 0.2:
                    data["team"] = chance.choice(TEAMS)
                change = {"entity": entity, "row_id": row_id, "kind": "update", "data": data}
            else:
                change = {"entity": entity, "row_id": row_id, "kind": "delete"}
        change["op_id"] = mark
        self.queue.append(change)

    async def push(self) -> None:
        """Push what is queued until it is answered."""
        while self.is_writing or self.queue:
            await asyncio.sleep(self._world.between(0.01, 0.2))
            if not self.queue or self.token is None:
                continue
            batch = self.queue[: self._world.chance.randrange(1, 6)]
            body = msgspec.json.encode({"changes": batch, "client_id": self.name})
            try:
                status, answer = await self.link.request("POST", "/api/sync/push", body, token=self.token)
            except Lost:
                continue
            if status != 200:
                continue
            for change, result in zip(batch, msgspec.json.decode(answer)["results"], strict=True):
                self.queue.remove(change)
                if result["status"] != "error":
                    self._oracle.acknowledged.append(change)

    async def _bump(self) -> None:
        open_rows = [row_id for entity, row_id in self.rows if entity == "Open"]
        if not open_rows or self.token is None:
            return
        row_id = self._world.chance.choice(open_rows)
        self._oracle.unknown_bumps[row_id] += 1
        body = msgspec.json.encode({"row": row_id})
        try:
            status, _ = await self.link.request("POST", "/api/fn/bump", body, token=self.token)
        except Lost:
            return
        self._oracle.unknown_bumps[row_id] -= 1
        self._oracle.bumps[row_id] += status == 200
