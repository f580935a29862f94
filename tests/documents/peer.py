"""Somebody who edits a document with loro, as clients do, and what the server makes of it in process."""

from __future__ import annotations

from typing import Any

from loro import ExportMode, LoroDoc, VersionVector

from pylon.engine.caller import Caller
from pylon.engine.documents.documents import Shown
from pylon.engine.engine import Engine
from pylon.model.change import Change


class Peer:
    """One client's copy. `taken()` is what it has to push."""

    def __init__(self, number: int) -> None:
        self.doc: LoroDoc = LoroDoc()  # type: ignore[no-untyped-call]
        self.doc.peer_id = number
        self._sent: VersionVector = self.doc.oplog_vv

    def receive(self, data: bytes) -> None:
        """Import a snapshot or update."""
        self.taken()
        self.doc.import_(data)
        self._sent = self.doc.oplog_vv

    def taken(self) -> bytes:
        """The edits since the last time."""
        self.doc.commit()
        update = self.doc.export(ExportMode.Updates(self._sent))
        self._sent = self.doc.oplog_vv
        return update

    def field(self, name: str) -> Any:
        """The field's container."""
        held: Any = self.doc.get_map("row").get(name)
        return held.container

    @property
    def row(self) -> dict[str, Any]:
        """What the document shows."""
        value: Any = self.doc.get_deep_value()
        fields: dict[str, Any] = value["row"]
        return fields


async def show(engine: Engine, caller: Caller, entity: str, row_id: str) -> Shown | None:
    """The document as a subscriber gets it."""
    plan = engine.plans[entity]
    return (await engine.run(caller, lambda tx: engine.documents.show(tx, plan, row_id, caller.identity))).value


async def joined(engine: Engine, caller: Caller, entity: str, row_id: str, number: int) -> Peer:
    """A peer that subscribed."""
    shown = await show(engine, caller, entity, row_id)
    assert shown is not None
    peer = Peer(number)
    peer.receive(shown.snapshot)
    return peer


async def push(engine: Engine, caller: Caller, entity: str, row_id: str, update: bytes) -> Change | None:
    """Push an edit."""
    plan = engine.plans[entity]
    return (await engine.run(caller, lambda tx: engine.documents.push(tx, plan, row_id, update))).value
