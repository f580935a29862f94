"""The way of our changes to the server: in order, in batches, each once however often it is sent (spec 02 §6).

An op-id goes with each, which the server remembers with what it did. What it refuses is handed to the caller, who may
mend it; anything else stays queued and is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.client.errors import ApiError, ClientError
from pylon.client.http import Http
from pylon.client.replica.changes import Change, Key, Row, View
from pylon.client.replica.link import Link
from pylon.client.replica.storage import Storage

log = logging.getLogger("pylon.client")

BATCH = 200
LATER = frozenset({"RATE_LIMITED", "BUDGET_EXCEEDED", "MAINTENANCE", "OVERLOADED", "STORAGE_UNAVAILABLE"})
"""Not a verdict on the change: it waits."""

ENDED = frozenset({"SESSION_EXPIRED", "SESSION_CHANGED"})
"""The server takes us for somebody else, and did nothing."""

MENDS = 10
"""How often one change may be mended."""

SETTLE_SECONDS = 0.3
"""How long a change that the server took is waited for on the socket, before the log is asked: we may not see it."""


class Conflict(msgspec.Struct):
    """A change that the server refused: what it was, why not, and the row as the server last told it (None without)."""

    change: Change
    error: ApiError
    row: Row | None


OnConflict = Callable[[Conflict], Row | None]
"""Answers with other data for the change, or None to give it up."""


class Pusher:
    """Sends what waits in one replica."""

    def __init__(
        self,
        http: Http,
        view: View,
        storage: Storage,
        link: Link,
        client_id: str,
        on_conflict: OnConflict | None,
        changed: Callable[[set[Key]], None],
    ) -> None:
        self._http = http
        self._view = view
        self._storage = storage
        self._link = link
        self._client_id = client_id
        self._on_conflict = on_conflict
        self._changed = changed
        self._size = BATCH
        self._news = asyncio.Event()
        self._retries = 0
        self.refused = 0

    def wake(self) -> None:
        """There is something to send, or somebody to send it to."""
        self._news.set()

    def retry(self) -> None:
        """What is switched off is other than before: what waits for that may be taken soon, though not everybody's at
        once."""

        def now() -> None:
            self._retries += 1
            self._news.set()

        asyncio.get_running_loop().call_later(self._http.backoff.delay(1), now)

    def unsent(self) -> list[Change]:
        """What this user's next batch is; nothing until it is known who he is."""
        user = self._link.user
        if user is None:
            return []
        mine = (c for c in self._view.waiting.values() if not c.seq and c.user == user)
        return [change for change, _ in zip(mine, range(self._size), strict=False)]

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            self._news.clear()
            batch = self.unsent()
            try:
                if batch:
                    await self._send(batch)
                else:
                    await self._settle()
                    await self._news.wait()
                failures = 0
            except ClientError as error:
                failures += 1
                advice = error.retry_after if isinstance(error, ApiError) else None
                backoff = self._http.backoff
                await self._pause(backoff.delay(failures) if advice is None else backoff.advised(advice))
            except Exception:  # a supervised boundary: whatever the other side says, the queue stays and is sent again
                failures += 1
                log.exception("pushing failed")
                await self._pause(self._http.backoff.delay(failures))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the link is up again, or what is switched off changes."""
        until = asyncio.get_running_loop().time() + seconds
        was_live, retries = self._link.state == "live", self._retries
        while (left := until - asyncio.get_running_loop().time()) > 0:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return
            if retries != self._retries or (not was_live and self._link.state == "live"):
                return

    async def _send(self, batch: list[Change]) -> None:
        self._storage.sending(batch)
        for change in batch:
            change.tries += 1
        body = {"changes": [_wire(change) for change in batch], "client_id": self._client_id}
        try:
            answer = await self._http.call("POST", "/api/sync/push", body, tries=1, user=batch[0].user)
        except ApiError as error:
            if error.code in ENDED:
                self._link.begin_anew()
            if error.status not in (400, 413):
                raise
            if len(batch) > 1:  # one of them is too large or malformed: find it
                self._size = len(batch) // 2
                return
            self._refuse(batch[0], error)
            return
        self._size = min(BATCH, self._size * 2)
        self._record(batch, answer)

    def _record(self, batch: list[Change], answer: Any) -> None:
        accepted, refused = [], []
        later: ApiError | None = None
        for change, result in zip(batch, answer["results"], strict=True):
            if result["status"] != "error":
                change.seq = result["seq"]
                accepted.append(change)
            elif _is_done_before(change, result["error"]["code"]):
                change.seq = answer["cursor"]["last_seq"]
                accepted.append(change)
            else:
                error = ApiError(result["error"]["code"], result["error"]["message"])
                if error.code in LATER:
                    later = error
                else:
                    refused.append((change, error))
        self._storage.accepted(accepted)
        for change, error in refused:
            self._refuse(change, error)
        settled = self._view.reached(self._view.cursor)
        self._storage.drop(settled)
        self._changed(self._view.drop(settled))
        if later is not None:
            raise later

    def _refuse(self, change: Change, error: ApiError) -> None:
        self.refused += 1
        mended = None
        if self._on_conflict is None:
            log.warning("the server refused to %s %s: %s", change.kind, change.entity, error)
        elif change.rewrites < MENDS:
            row = self._view.rows.get(change.entity, {}).get(change.row_id)
            try:
                mended = self._on_conflict(Conflict(change, error, row))
            except Exception:  # the caller's code: the queue behind it must go on
                log.exception("on_conflict failed")
        if mended is None:
            self._storage.drop([change.n])
            self._changed(self._view.drop([change.n]))
        else:
            key = self._view.mend(change, new_op_id(), mended)
            self._storage.rewrite(change)
            self._changed({key})

    async def _settle(self) -> None:
        """Wait until the rows hold what the server took; where the socket doesn't bring it, ask."""
        wanted = max((c.seq for c in self._view.waiting.values()), default=0)
        if wanted <= self._view.cursor:
            return
        until = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while self._link.state == "live" and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
            if wanted <= self._view.cursor:
                return
        await self._link.catch_up()


def new_op_id() -> str:
    """An id that no other change has."""
    return f"py_{secrets.token_hex(16)}"


def _wire(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {
        "entity": change.entity,
        "row_id": change.row_id,
        "kind": change.kind,
        "op_id": change.op_id,
    }
    if change.kind == "insert":
        told["data"] = {**(change.data or {}), "id": change.row_id}
    elif change.kind == "update":
        told["data"] = change.data or {}
    return told


def _is_done_before(change: Change, code: str) -> bool:
    """An insert whose answer was lost longer ago than the server remembers: nobody else can have made our id."""
    return code == "OPTIMISTIC_ID_CONFLICT" and change.is_own_id and change.tries > 1
