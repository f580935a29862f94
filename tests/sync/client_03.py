"""A client that behaves as the 0.3.x TypeScript client does (spec 02 §16), step by step and without threads: what the
server must do for it, and what it must not rely on, is written here once.

It is a driver for tests, not a client to use: its weaknesses are kept. It never looks at `results`, `snapshot_after` or
frame types that it doesn't know; it ignores every event at or below its cursor, and every one below a row's tombstone.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import socket
import time
import uuid
from typing import Any
from urllib.parse import quote, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

FOREVER = 2**53 - 1
"""The tombstone of a row that was deleted here: it never comes back in this session."""

STABLE_SECONDS = 5.0
MAX_PULLS = 10_000
_PLAIN: dict[str, Any] = {
    "proxy": None,
    "compression": None,
    "ping_interval": None,
    "max_size": None,
    "max_queue": None,
}


def socket_url(base: str) -> str:
    """§16.4: the port above an explicit one, else the main port; always the path `/`."""
    parts = urlsplit(base)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.hostname}:{parts.port + 1}/" if parts.port else f"{scheme}://{parts.hostname}/"


def stream_url(base: str) -> str:
    """§16.4: two ports up, whatever the scheme."""
    parts = urlsplit(base)
    return f"http://{parts.hostname}:{(parts.port or 4321) + 2}/events"


class Client03:
    """One engine. `address` is where its host name leads: a TLS proxy has no explicit port in `base`."""

    def __init__(self, base: str, token: str | None = None, *, address: tuple[str, int] | None = None) -> None:
        parts = urlsplit(base)
        self.base = base
        self.token = token
        self.address = address or (parts.hostname or "", parts.port or 80)
        self._is_proxied = address is not None
        self.client_id = str(uuid.uuid4())
        self.session: dict[str, Any] = {}
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.tombstones: dict[tuple[str, str], int] = {}
        self.cursor = 0
        self.pending: list[dict[str, Any]] = []
        self.failed: list[tuple[dict[str, Any], str]] = []
        self.attempts = 0
        self.resyncs = 0
        self.pulls = 0
        self.socket: ClientConnection | None = None
        self._opening = contextlib.ExitStack()
        self.opened_at = 0.0
        self.frames: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        self.seqs: list[int] = []
        self._token_of_pull = token
        self._numbers = itertools.count(1)

    # -- §16.1: start --------------------------------------------------------------------------------------------

    def start(self) -> Client03:
        """Who am I, pull, connect; in this order. The queue is not pushed."""
        self.refresh_session()
        self.pull()
        self.connect()
        return self

    def refresh_session(self) -> None:
        """`/api/auth/me`; another tenant than before drops the replica."""
        status, body = self.request("GET", "/api/auth/me")
        if status != 200:
            return
        before = self.session
        self.session = {
            "user_id": body.get("user_id"),
            "tenant_id": body.get("tenant_id"),
            "is_admin": body.get("is_admin", False),
            "roles": body.get("roles", []),
        }
        if before and before["tenant_id"] != self.session["tenant_id"]:
            self.reset()

    def connect(self) -> None:
        """A socket, with the token as its protocol. It keeps this token until it is opened again."""
        options: dict[str, Any] = {}
        if self.token:
            options["subprotocols"] = [f"bearer.{quote(self.token, safe='')}"]
        if self._is_proxied:
            options["sock"] = socket.create_connection(self.address, timeout=5)
        self.seqs = []
        try:
            self.socket = self._opening.enter_context(connect(socket_url(self.base), **_PLAIN, **options))
        except (OSError, InvalidHandshake):
            self.socket = None
            self.attempts += 1
            return
        self.opened_at = time.monotonic()

    # -- §16.2: what arrives -------------------------------------------------------------------------------------

    def receive(self, until: Any, seconds: float = 5.0) -> None:
        """Handle messages until a condition holds. Raises ConnectionClosed, TimeoutError."""
        end = time.monotonic() + seconds
        while not until():
            assert self.socket is not None
            self.handle(self.socket.recv(timeout=max(0.0, end - time.monotonic())))

    def handle(self, message: str | bytes) -> None:
        """One message."""
        if isinstance(message, bytes):
            self.binary.append(message)
            return
        event = json.loads(message)
        if event.get("seq") and event.get("entity") and event.get("kind"):
            self.seqs.append(event["seq"])
            if event["seq"] > self.cursor:
                self.apply(event)
                self.cursor = event["seq"]
            return
        self.frames.append(event)

    def apply(self, event: dict[str, Any]) -> None:
        """An event of a pull or of the socket."""
        table = self.rows.setdefault(event["entity"], {})
        key = event["entity"], event["row_id"]
        if event["kind"] == "delete":
            table.pop(event["row_id"], None)
            self.tombstones[key] = max(self.tombstones.get(key, 0), event["seq"])
            return
        if event["seq"] < self.tombstones.get(key, 0) or not event.get("data"):
            return
        before = table.get(event["row_id"], {}) if event["kind"] == "update" else {}
        table[event["row_id"]] = {**before, **event["data"], "id": event["row_id"]}

    # -- §16.3: pull and reconnect -------------------------------------------------------------------------------

    def pull(self) -> None:
        """From the cursor, again while there is more. Errors other than 410 and 429 are swallowed."""
        if self.token != self._token_of_pull:
            self._token_of_pull = self.token
            self.reset()
            self.refresh_session()
        has_reset = False
        for _ in range(MAX_PULLS):
            self.pulls += 1
            since = self.cursor
            status, answer = self.request("GET", f"/api/sync/pull?since={since}")
            if status == 410:
                self.resyncs += 1
                self.reset()
                if has_reset:
                    return  # a timer, min(30 s, 1 s·2^min(n,5))
                has_reset = True
                continue
            if status == 429:
                self.attempts += 3
            if status != 200:
                return
            for event in answer["changes"]:
                self.apply(event)
            self.cursor = answer["cursor"]["last_seq"]
            if not answer["has_more"]:
                return
            assert self.cursor > since, "has_more with a cursor that stands: this client would ask for ever"
        raise AssertionError("pulled without end")

    def reset(self) -> None:
        """Drop the replica."""
        self.rows, self.tombstones, self.cursor = {}, {}, 0

    def lost(self) -> float:
        """The socket is closed, for whatever reason; the seconds to wait before `reconnect`."""
        if time.monotonic() - self.opened_at >= STABLE_SECONDS:
            self.attempts = 0
        self.attempts += 1
        self.drop()
        return random.uniform(0, min(30.0, 2.0 ** (self.attempts - 1)))

    def reconnect(self) -> None:
        """Pull, then connect: nothing is pulled once the socket is open."""
        self.pull()
        self.connect()

    def drop(self) -> None:
        """Close the socket."""
        self._opening.close()
        self.socket = None

    # -- §16.5: the queue ----------------------------------------------------------------------------------------

    def insert(self, entity: str, data: dict[str, Any]) -> str:
        """Insert optimistically and push; the temporary id, under which the row stays beside the real one."""
        row_id = f"_pending_{int(time.time() * 1000)}_{next(self._numbers)}{uuid.uuid4().hex[:6]}"
        self.rows.setdefault(entity, {})[row_id] = {**data, "id": row_id}
        self._queue(entity, row_id, "insert", data)
        return row_id

    def update(self, entity: str, row_id: str, data: dict[str, Any]) -> None:
        """Update optimistically and push."""
        if (row := self.rows.get(entity, {}).get(row_id)) is not None:
            row.update(data)
        self._queue(entity, row_id, "update", data)

    def delete(self, entity: str, row_id: str) -> None:
        """Delete optimistically, for ever, and push."""
        self.rows.get(entity, {}).pop(row_id, None)
        self.tombstones[entity, row_id] = FOREVER
        self._queue(entity, row_id, "delete", None)

    def _queue(self, entity: str, row_id: str, kind: str, data: dict[str, Any] | None) -> None:
        change: dict[str, Any] = {"entity": entity, "row_id": row_id, "kind": kind}
        if data is not None:
            change["data"] = data
        self.pending.append({**change, "op_id": f"mut_{int(time.time() * 1000)}_{uuid.uuid4().hex[:8]}"})

    def push(self) -> int:
        """Send the queue; the status. `applied` is a prefix, `errors` are of those behind it, the rest stays."""
        sent = list(self.pending)
        status, answer = self.request("POST", "/api/sync/push", {"changes": sent, "client_id": self.client_id})
        if not 200 <= status < 300:
            return status
        applied, errors = answer["applied"], answer["errors"]
        assert isinstance(applied, int)
        assert isinstance(errors, list)
        kept = []
        for i, change in enumerate(sent):
            if i < applied:
                continue
            if i - applied < len(errors):
                self.failed.append((change, errors[i - applied]))
            else:
                kept.append(change)
        self.pending = kept
        return status

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON), (0, None) when nobody answers."""
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            return 0, None
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, None


def closed_with(client: Client03) -> int | None:
    """Receive until the server closes; its code."""
    try:
        client.receive(lambda: False)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    raise AssertionError("unreachable")
