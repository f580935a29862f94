"""A client that behaves as those of the 0.11 generation do (spec 02, the columns "R"): what it does otherwise than one
of 0.3.x, and nothing else.

It connects on the main port, names its rows itself, reads `results`, and follows rooms, live queries and its session.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from tests.sync.client_03 import _PLAIN, Client03


class Client11(Client03):
    """One engine. `page_size` makes it page its snapshots by the server's token."""

    def __init__(self, base: str, token: str | None = None, *, page_size: int | None = None) -> None:
        super().__init__(base, token)
        self.page_size = page_size
        self.tokens: list[str] = []
        self.results: list[dict[str, Any]] = []

    def connect(self) -> None:
        """A socket on the main port."""
        options: dict[str, Any] = {"subprotocols": [f"bearer.{quote(self.token, safe='')}"]} if self.token else {}
        self.seqs = []
        try:
            self.socket = self._opening.enter_context(
                connect(f"ws://{urlsplit(self.base).netloc}/api/sync/ws", **_PLAIN, **options)
            )
        except (OSError, InvalidHandshake):
            self.socket = None
            self.attempts += 1
            return
        self.opened_at = time.monotonic()

    def handle(self, message: str | bytes) -> None:
        """One message; `session-changed` makes it begin anew."""
        super().handle(message)
        if self.frames and self.frames[-1].get("type") == "session-changed" and isinstance(message, str):
            self.reset()
            self.pull()

    def pull(self) -> None:
        """Pages of a snapshot by the token, sent back as it came; then the log."""
        token: str | None = None
        while self.cursor == 0 and (self.page_size or token):
            target = f"/api/sync/pull?since=0&page_size={self.page_size}"
            status, answer = self.request("GET", target + (f"&snapshot_after={token}" if token else ""))
            assert status == 200, answer
            for event in answer["changes"]:
                self.apply(event)
            token = answer["snapshot_after"]
            assert answer["has_more"] or token is None
            if token is None:
                self.cursor = answer["cursor"]["last_seq"]
            else:
                self.tokens.append(token)
        super().pull()

    def insert(self, entity: str, data: dict[str, Any]) -> str:
        """Insert optimistically under an id of its own."""
        row_id = uuid.uuid4().hex + "00000000"
        self.rows.setdefault(entity, {})[row_id] = {**data, "id": row_id}
        self._queue(entity, row_id, "insert", {**data, "id": row_id})
        return row_id

    def push(self) -> int:
        """Send the queue; each change by its own result."""
        sent = list(self.pending)
        status, answer = self.request("POST", "/api/sync/push", {"changes": sent, "client_id": self.client_id})
        if not 200 <= status < 300:
            return status
        self.results = answer["results"]
        assert [result["op_id"] for result in self.results] == [change["op_id"] for change in sent]
        for change, result in zip(sent, self.results, strict=True):
            self.pending.remove(change)
            if result["status"] == "error":
                self.failed.append((change, result["error"]["code"]))
        return status

    def say(self, **message: Any) -> None:
        """Send a frame."""
        assert self.socket is not None
        self.socket.send(json.dumps(message))

    def heard(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next frame of this type that says this."""

        def found() -> list[dict[str, Any]]:
            return [f for f in self.frames if f.get("type") == kind and fields.items() <= f.items()]

        self.receive(found)
        [frame] = found()
        self.frames.remove(frame)
        return frame
