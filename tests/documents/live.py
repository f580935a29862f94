"""A client of a real server: its replica of one document, over a socket and HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

from loro import LoroDoc
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ServerProcess
from tests.documents.peer import Peer


def frame_of(data: bytes) -> tuple[int, str, str, bytes]:
    """(type, entity, row, payload) of a binary frame, decoded as clients do."""
    name_end = 3 + int.from_bytes(data[1:3], "big")
    row_end = name_end + 2 + int.from_bytes(data[name_end : name_end + 2], "big")
    return data[0], data[3:name_end].decode(), data[name_end + 2 : row_end].decode(), data[row_end:]


class Editor:
    """Somebody with a socket and a document."""

    def __init__(self, server: ServerProcess, user: str, number: int, *, port: int = 0) -> None:
        self.server = server
        self.token = server.token_of(user)
        self.peer = Peer(number)
        self.seen: list[Any] = []
        self._connecting = connect(
            f"ws://127.0.0.1:{server.port + port}/",
            proxy=None,
            compression=None,
            ping_interval=None,
            max_size=None,
            additional_headers={"Authorization": f"Bearer {self.token}"},
        )

    def __enter__(self) -> Editor:
        self.socket: ClientConnection = self._connecting.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def doc(self) -> LoroDoc:
        return self.peer.doc

    def say(self, kind: str, entity: str, row_id: str) -> None:
        self.socket.send(json.dumps({"type": kind, "entity": entity, "rowId": row_id}))

    def subscribe(self, entity: str, row_id: str) -> None:
        """Subscribe, and wait for the whole document."""
        self.say("crdt-subscribe", entity, row_id)
        while not (binary := self.hear()) or binary[0] != 0x10:
            pass

    def hear(self, timeout: float = 5.0) -> tuple[int, str, str, bytes] | None:
        """Take in one message; the frame if it was a binary one."""
        message = self.socket.recv(timeout=timeout)
        if isinstance(message, str):
            self.seen.append(json.loads(message))
            return None
        frame = frame_of(message)
        self.seen.append(frame[0])
        self.peer.receive(frame[3])
        return frame

    def until(self, condition: Any, seconds: float = 5.0) -> None:
        """Take in messages until it holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.hear(max(0.01, deadline - time.monotonic()))

    def events(self, row_id: str, kind: str | None = None, **data: Any) -> list[dict[str, Any]]:
        """The change events of a row seen so far that say this."""
        return [
            event
            for event in self.seen
            if isinstance(event, dict)
            and event.get("row_id") == row_id
            and kind in (None, event["kind"])
            and data.items() <= event["data"].items()
        ]

    def until_event(self, row_id: str, kind: str | None = None, **data: Any) -> None:
        """Take in messages until such an event was seen."""
        self.until(lambda: self.events(row_id, kind, **data))

    def push(self, entity: str, row_id: str) -> tuple[int, Any]:
        """Push what was edited."""
        return self.server.request(
            "POST", f"/api/crdt/{entity}/{row_id}", {"update": self.peer.taken().hex()}, token=self.token
        )
