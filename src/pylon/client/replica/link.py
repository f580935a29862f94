"""How a replica keeps up: connect, catch up, follow; and again when that breaks (spec 02 §5, §16.3).

The socket is opened first and its messages wait while the log is read: so whatever is not in the one is in the other,
and events at or below the cursor are dropped. While no socket can be had, the log is read at each try.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from pylon.client.errors import ApiError, ClientError, Unreachable
from pylon.client.http import Http
from pylon.client.replica.changes import Key, ServerEvent, View
from pylon.client.replica.inbox import Inbox, Message
from pylon.client.replica.storage import Storage
from pylon.client.replica.switched import SwitchBoard
from pylon.client.sockets import Dial, Socket

log = logging.getLogger("pylon.client")

PAGE = 1000

State = Literal["offline", "catching-up", "live", "signed-out", "closed"]

Rows = dict[str, dict[str, dict[str, Any]]]


class SessionEnded(ClientError):
    """The token is nobody's any more; the replica waits for another."""


class Link:
    """The connection of one replica. `changed` is called with the rows that may be different, None for any."""

    def __init__(
        self,
        http: Http,
        dial: Dial,
        view: View,
        storage: Storage,
        scope: dict[str, Any] | None,
        changed: Callable[[set[Key] | None], None],
        switches: SwitchBoard,
    ) -> None:
        self._switches = switches
        self._http = http
        self._dial = dial
        self._view = view
        self._storage = storage
        self._scope = None if scope is None else msgspec.json.encode(scope).decode()
        self._changed = changed
        self._pulling = asyncio.Lock()
        self._again = asyncio.Event()
        self._advice: float | None = None
        self.state: State = "offline"
        self.error: ClientError | None = None
        self.user: str | None = None
        self.fetched = 0
        self.reconnects = 0
        self.socket: Socket | None = None
        self.on_socket: Callable[[], None] = lambda: None
        self.on_message: Callable[[Message], None] = lambda message: None

    # -- the loop ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep up until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._advice = None
            self._again.clear()
            self.user = None
            try:
                await self._follow_until_anew()
                continue
            except SessionEnded as error:
                self._is_now("signed-out", error)
                await self._again.wait()
                continue
            except ClientError as error:
                if error.code == "MAINTENANCE":
                    self._switches.refused(error.message, error.extra or {})
                self._is_now("offline", error)
                if isinstance(error, ApiError) and error.retry_after is not None:
                    self._advice = self._http.backoff.advised(error.retry_after)
            except sqlite3.Error as error:  # a full disk, most likely: what is here stays as it is
                self._is_now("offline", ClientError("REPLICA_UNWRITABLE", str(error), status=507))
            except Exception as error:  # a supervised boundary: whatever the other side says, there is a next time
                log.exception("the replica's connection failed")
                self._is_now("offline", ClientError("INTERNAL", f"{self._http.url} made no sense: {error!r}"))
            failures = 1 if loop.time() - began >= self._http.backoff.stable else failures + 1
            self.reconnects += 1
            await self._pause(self._http.backoff.delay(failures) if self._advice is None else self._advice)

    async def _follow_until_anew(self) -> None:
        """Follow until that fails, which it raises, or until it is to begin anew."""
        following = asyncio.create_task(self._follow())
        again = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait((following, again), return_when=asyncio.FIRST_COMPLETED)
        finally:
            again.cancel()
            if not following.done():
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        if not following.cancelled():
            following.result()

    def begin_anew(self) -> None:
        """There is another token: until it is known whose it is, nothing is sent."""
        self.user = None
        self._again.set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._again.wait(), seconds)
        except TimeoutError:
            return

    def _is_now(self, state: State, error: ClientError | None) -> None:
        if error is not None and (self.error is None or error.code != self.error.code):
            log.info("replica %s: %s", state, error)
        self.state, self.error = state, error
        self._changed(set())

    async def _follow(self) -> None:
        await self._identify()
        self._is_now("catching-up", self.error)
        is_open = False
        try:
            async with self._dial(self._socket_url(), self._http.headers()) as socket:
                is_open = True
                await self._converse(socket)
        except (Unreachable, ApiError):
            if not is_open:
                await self.catch_up()
            raise
        finally:
            self.socket = None

    async def _converse(self, socket: Socket) -> None:
        inbox = Inbox(socket)
        reading = asyncio.create_task(inbox.run())
        try:
            self.socket = socket
            self._switches.begin()
            self.on_socket()
            await self.catch_up()
            await self._take(inbox.waiting())  # what the server tells of itself first is among it
            self._switches.complete()
            self._is_now("live", None)
            while True:
                await self._take(await inbox.take())
        finally:
            reading.cancel()

    async def _identify(self) -> None:
        """Whose replica this is. Rows of somebody else are dropped; his changes wait for him."""
        fingerprint = self._http.fingerprint()
        me = await self._http.call("GET", "/api/auth/me", tries=1)
        user: str = me["user_id"] or ""
        known = self._storage.meta("user")
        if user == "" and self._http.token is not None:
            raise SessionEnded("SESSION_EXPIRED", "The session is expired or revoked: set another token", status=401)
        whose = f"{user}/{_rights_of(me)}" if user else ""
        mine = {fingerprint}
        if known is not None and self._storage.meta("token") == fingerprint:
            mine.add(known.rpartition("/")[0])  # the same session is another user's, as when a guest signs in
        self._reassign(mine, user)
        if known is not None and known != whose:
            async with self._pulling:  # what is being read now was read by the one before
                self._forget_rows()
        self._storage.keep("user", whose)
        self._storage.keep("token", fingerprint)
        self.user = user
        self._changed(self._view.become(user))

    def _reassign(self, mine: set[str], user: str) -> None:
        changes = [change for change in self._view.waiting.values() if change.user in mine and change.user != user]
        for change in changes:
            change.user = user
        if changes:
            self._storage.reassign(changes)

    def _forget_rows(self) -> None:
        self._storage.clear()
        self._view.replace({}, 0)
        self._changed(None)

    def _socket_url(self) -> str:
        url = "ws" + self._http.url.removeprefix("http") + "/api/sync/ws"
        return url if self._scope is None else f"{url}?scope={quote(self._scope, safe='')}"

    # -- messages ------------------------------------------------------------------------------------------------

    async def _take(self, messages: Sequence[Message]) -> None:
        """What came, in order: neighbouring events in one step."""
        events: list[ServerEvent] = []
        for message in messages:
            if "seq" in message and "entity" in message:
                events.append(msgspec.convert(message, ServerEvent))
                continue
            self.apply(events)
            events = []
            match message.get("type"):
                case "reconnect":
                    self._advice = float(message["after_ms"]) / 1000
                case "switch" | "maintenance":
                    self._switches.heard(message)
                case "session-changed":
                    self._switches.begin()
                    await self._identify()
                    await self.resync()
                    self.on_socket()  # a room is left with the user that one was
                    self._switches.complete()
                case str():
                    self.on_message(message)
        self.apply(events)

    def apply(self, events: Sequence[ServerEvent], cursor: int = 0) -> None:
        """Apply what is news, and with it take off our changes that are settled: on disk in one step, then here."""
        fresh = self._view.fresh(events)
        cursor = max(cursor, fresh[-1].seq if fresh else 0, self._view.cursor)
        if cursor == self._view.cursor:
            return
        settled = self._view.reached(cursor)
        self._storage.apply(fresh, cursor, settled)
        touched = self._view.apply(fresh, cursor)
        self._changed(touched | self._view.drop(settled))

    # -- catching up ---------------------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Read the log to its end, or a snapshot first where there is no cursor or it is too old."""
        async with self._pulling:
            await self._until_current()

    async def resync(self) -> None:
        """Fetch everything anew; what is here stays to be looked at until that is complete."""
        async with self._pulling:
            self._start_over()
            await self._until_current()

    def _start_over(self) -> None:
        self._storage.restart()
        self._view.cursor = 0

    async def _until_current(self) -> None:
        resyncs, backoff = 0, self._http.backoff
        while not await self._catch_up():
            resyncs += 1
            self._start_over()
            if resyncs > 1:
                await asyncio.sleep(min(backoff.most, backoff.first * 2 ** min(resyncs, 5)))

    async def _catch_up(self) -> bool:
        """False when the server no longer knows the cursor."""
        if self._view.cursor == 0:
            await self._snapshot()
        while self._view.cursor:
            accepted = [n for n, change in self._view.waiting.items() if change.seq]
            try:
                answer = await self._pull(since=self._view.cursor)
            except ApiError as error:
                if error.status == 410:
                    return False
                raise
            self.apply(_events(answer), answer["cursor"]["last_seq"])
            if not answer["has_more"]:
                # What the server took before this question and its log does not hold was lost with it, in a restore.
                self._storage.drop(accepted)
                if touched := self._view.drop(accepted):
                    self._changed(touched)
                break
        return True

    async def _snapshot(self) -> None:
        token = self._storage.meta("snapshot")
        rows: Rows = {}
        if token is not None:  # it goes on where the process before this one was
            for (entity, row_id), row in self._storage.snapshot_rows():
                rows.setdefault(entity, {})[row_id] = row
        self.fetched = sum(map(len, rows.values()))
        while True:
            try:
                answer = await self._pull(since=0, page_size=PAGE, snapshot_after=token)
            except ApiError as error:
                if token is None or error.code not in ("SNAPSHOT_CURSOR_INVALID", "RESYNC_REQUIRED"):
                    raise
                self._storage.restart()
                token, rows, self.fetched = None, {}, 0
                continue
            events = _events(answer)
            token = answer.get("snapshot_after")
            self._storage.page(events, token)
            for event in events:
                rows.setdefault(event.entity, {})[event.row_id] = {**(event.data or {}), "id": event.row_id}
            self.fetched += len(events)
            if token is None or not answer["has_more"]:
                break
        cursor = answer["cursor"]["last_seq"]
        self._storage.replace(cursor)
        self._view.replace(rows, cursor)
        self._changed(None)

    async def _pull(self, **params: Any) -> Any:
        if self.user is None:  # rows of whom? The next connection asks
            raise ClientError("SESSION_CHANGED", "The server has not said yet whose the token is.", status=401)
        wanted = {name: value for name, value in params.items() if value is not None}
        if self._scope is not None:
            wanted["scope"] = self._scope
        return await self._http.call("GET", "/api/sync/pull", params=wanted, tries=1, user=self.user)


def _rights_of(me: dict[str, Any]) -> str:
    """What decides which rows a user may read, beside who it is: with other rights they are other rows."""
    rights = [me.get("tenant_id"), sorted(me.get("roles") or ()), bool(me.get("is_admin"))]
    return hashlib.sha256(msgspec.json.encode(rights)).hexdigest()[:16]


def _events(answer: Any) -> list[ServerEvent]:
    return msgspec.convert(answer["changes"], list[ServerEvent])
