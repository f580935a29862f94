"""Pages that a client has open: it edits its copies, pushes the edits until they are answered, and takes those of
others (spec 02 §10)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec

from tests.documents.peer import Peer
from tests.simulation.client import Client
from tests.simulation.network import Lost, Row
from tests.simulation.oracle import Oracle
from tests.simulation.world import World

SNAPSHOT, UPDATE = 0x10, 0x11
OPEN_AT_ONCE = 3
RETRIED = (401, 408, 429)


class Copy:
    """A document on a client. `is_whole` once this connection sent it, `was_whole` once any did; `queue` is to push."""

    def __init__(self, number: int) -> None:
        self.peer = Peer(number)
        self.is_whole = False
        self.was_whole = False
        self.queue: deque[tuple[str, bytes]] = deque()


class Editor:
    """The documents of one client."""

    def __init__(self, world: World, client: Client, oracle: Oracle) -> None:
        self.copies: dict[str, Copy] = {}
        self._begun: set[str] = set()
        self._world = world
        self.client = client
        self._oracle = oracle

    # -- what the connection brings ------------------------------------------------------------------------------

    def connected(self) -> None:
        """Ask for everything that is open again."""
        self._begun.clear()
        for row_id, copy in self.copies.items():
            copy.is_whole = False
            self._ask("crdt-subscribe", row_id)

    def applied(self, event: Row) -> None:
        """A change event: a page may have come into view, or left it."""
        row_id = event["row_id"]
        copy = self.copies.get(row_id)
        if event["entity"] != "Page" or copy is None:
            return
        if event["kind"] != "delete":
            if not copy.is_whole:
                self._ask("crdt-subscribe", row_id)
        elif self._world.happens(0.5):
            self._close(row_id)

    def heard(self, message: Row) -> None:
        """Frames about other things."""

    def binary(self, payload: bytes) -> None:
        """A document's frame."""
        kind = payload[0]
        size = int.from_bytes(payload[1:3], "big")
        entity, rest = payload[3 : 3 + size].decode(), payload[3 + size :]
        size = int.from_bytes(rest[:2], "big")
        row_id, data = rest[2 : 2 + size].decode(), rest[2 + size :]
        assert entity == "Page"
        copy = self.copies.get(row_id)
        if copy is None:
            return
        assert kind == SNAPSHOT or row_id in self._begun, f"an edit before the document of {row_id}"
        self._begun.add(row_id)
        if kind == UPDATE and not copy.is_whole:
            return  # it was closed and opened again: this one is of before
        copy.peer.taken()
        status = copy.peer.doc.import_(data)
        assert not status.pending, f"an edit of {row_id} builds on what {self.client.name} was never sent"
        copy.is_whole = copy.was_whole = True
        now = self._world.time()
        self._oracle.saw(self.client.user, {"entity": entity, "data": copy.peer.row}, now, now)

    # -- what the client does ------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Open pages and edit them, until told to stop."""
        world, chance = self._world, self._world.chance
        while True:
            await asyncio.sleep(world.between(0.02, 0.4))
            if not self.client.is_writing:
                return
            open_now = [row_id for row_id, copy in self.copies.items() if copy.was_whole]
            if len(self.copies) < OPEN_AT_ONCE and (not open_now or world.happens(0.3)):
                self._open()
            elif open_now and world.happens(0.1):
                self._ask("crdt-subscribe", chance.choice(open_now))
            elif open_now:
                self._edit(chance.choice(open_now))

    def _open(self) -> None:
        pages = sorted(row_id for entity, row_id in self.client.rows if entity == "Page")[:OPEN_AT_ONCE]
        pages = [row_id for row_id in pages if row_id not in self.copies]
        if pages:  # of the few that the others edit as well
            row_id = self._world.chance.choice(pages)
            self.copies[row_id] = Copy(self._world.chance.getrandbits(60))
            self._ask("crdt-subscribe", row_id)

    def _edit(self, row_id: str) -> None:
        copy, chance = self.copies[row_id], self._world.chance
        doc: Any = copy.peer.doc
        # Older clients write into a root text of the field's name instead of the field's own.
        text = doc.get_text("body") if chance.random() < 0.2 else copy.peer.field("body")
        token = self._oracle.token(row_id)
        copy.peer.taken()
        text.insert(chance.randrange(text.len_unicode + 1), token)
        copy.queue.append((token, copy.peer.taken()))

    async def push(self) -> None:
        """Push edits until they are answered."""
        client = self.client
        while client.is_writing or any(copy.queue for copy in self.copies.values()):
            await asyncio.sleep(self._world.between(0.01, 0.3))
            for row_id, copy in list(self.copies.items()):
                if copy.queue and client.token is not None:
                    await self._push(row_id, copy)

    async def _push(self, row_id: str, copy: Copy) -> None:
        token, update = copy.queue[0]
        body = msgspec.json.encode({"update": update.hex()})
        try:
            status, _ = await self.client.link.request(
                "POST", f"/api/crdt/Page/{row_id}", body, token=self.client.token
            )
        except Lost:
            return
        if status == 200:
            self._oracle.acknowledged_edits.add(token)
            copy.queue.popleft()
        elif status < 500 and status not in RETRIED and self.copies.get(row_id) is copy:
            self._close(row_id)  # what was refused is in the copy: it is of no use any more

    def _close(self, row_id: str) -> None:
        del self.copies[row_id]
        self._ask("crdt-unsubscribe", row_id)

    def _ask(self, kind: str, row_id: str) -> None:
        self.client.say({"type": kind, "entity": "Page", "rowId": row_id})

    # -- what holds in the end -----------------------------------------------------------------------------------

    def wrong(self) -> str | None:
        """What is not as it must be after quiet, None when all is."""
        for row_id, copy in self.copies.items():
            page = self._oracle.rows.get(("Page", row_id))
            if page is None or not (page["shared"] or page["owner"] == self.client.user):
                continue
            if not copy.is_whole:
                return f"{self.client.name} was not sent the document of {row_id}"
            shown = copy.peer.row
            for name in ("body", "mark", "owner", "shared"):
                if shown[name] != page[name]:
                    return f"{self.client.name} has {name} {shown[name]!r} in the document of {page}"
        return None
