"""The queue of letters: one is put into it in the transaction of what it tells of, and leaves when its transport takes
it.

    queue(tx) ──commit──▶ waiting ──taken by the transport──▶ sent
                            │  ▲
              not now, later└──┘        refused, tried too often, or of no use any more ──▶ dead

A letter that was committed is sent at least once, whatever happens to the process: it is claimed for a while before it
is handed over, and tried again when nothing is heard of it. What is stored opens nothing without the key ring.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from pylon.auth.mail.kinds import SAMPLES, MailKind
from pylon.auth.mail.templates import Templates
from pylon.auth.mail.transport import Letter, MailError, MailRefused, MailUnavailable, Transport
from pylon.auth.vault import Vault, new_id
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.usage import Meter
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import ANONYMOUS
from pylon.signals.logs import Log
from pylon.store.mail import MailRecord, MailState

log = Log("pylon.mail")

T = TypeVar("T")

SWITCH = "mail"
"""The target of `pylon switch on auth mail`, which holds letters back."""

MAX_WAITING = 20_000
AT_ONCE = 8
LOOK_SECONDS = 1.0
CLAIM_SECONDS = 60.0
"""How long a letter that was handed over is left alone before it counts as lost."""

FIRST_WAIT, LONGEST_WAIT = 5.0, 3600.0
MAX_ATTEMPTS = 12
HOLD_SECONDS = 60.0
DAY = 86_400
_PURPOSE = "mail"
_STOP_SECONDS = 5.0
_MAX_ERROR = 300


class _Contents(msgspec.Struct, frozen=True):
    to: str
    values: dict[str, str]
    languages: list[str]


class Outbox:
    """The letters of one server. Without a transport nothing can be queued, and `is_on` says so."""

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        templates: Templates,
        transport: Transport | None,
        sender: str,
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._templates = templates
        self._transport = transport
        self._sender = sender
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waiting = 0
        self.sent: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.given_up = 0

    @property
    def is_on(self) -> bool:
        """Whether letters leave this server."""
        return self._transport is not None

    @property
    def transport(self) -> str:
        """What carries them, "off" for nothing."""
        return "off" if self._transport is None else self._transport.name

    # -- putting in ----------------------------------------------------------------------------------------------

    def queue(
        self,
        tx: Transaction,
        kind: MailKind,
        to: str,
        *,
        user_id: str | None = None,
        languages: Iterable[str] = (),
        seconds: int = DAY,
        **values: str,
    ) -> None:
        """Put a letter in, with this transaction; call `wake` after its commit. It is of use for so many `seconds`.
        Raises MAIL_NOT_CONFIGURED, OVERLOADED."""
        if self._transport is None:
            raise PylonError("MAIL_NOT_CONFIGURED", "This server sends no mail")
        if self._waiting >= MAX_WAITING:
            raise PylonError("OVERLOADED", "Too much mail waits to be sent. Retry later.")
        assert values.keys() == SAMPLES[kind].keys(), kind
        now = self._engine.clock()
        identifier = new_id("mail_")
        contents = msgspec.json.encode(_Contents(to, values, list(languages)))
        tx.session.identity.put(
            MailRecord(
                id=identifier,
                kind=kind.value,
                state=MailState.WAITING.value,
                user_id=user_id,
                recipient=masked(to),
                sealed=self._vault.seal(_PURPOSE, contents, identifier),
                created_at=int(now),
                due_at=now,
                expires_at=int(now) + seconds,
            )
        )
        self._waiting += 1

    def wake(self) -> None:
        """Something was committed: look now."""
        self._wake.set()

    # -- sending -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send on the running loop."""
        if self._transport is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let what is being handed over finish, for a moment, and stop. What waits is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._transport is not None:
            await self._transport.close()

    async def _run(self) -> None:
        task = self._engine.tasks.add("mail", LOOK_SECONDS)
        while True:
            try:
                with task.turn():
                    while await self.send_due():
                        pass
            except Exception:  # a supervised boundary: the next round tries again
                log.exception("sending mail failed")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def send_due(self) -> int:
        """Send what is due, a few at once; how many were tried."""
        if self._transport is None or self._is_held():
            return 0
        now = self._engine.clock()
        self._waiting = self._engine.reads.identity.mail_counted(MailState.WAITING, MAX_WAITING)[0]
        due = self._engine.reads.identity.mail_due(now, AT_ONCE)
        if not due:
            return 0
        claimed = await self._claim(due, now)
        sending = asyncio.gather(*[self._send(record) for record in claimed])
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sending, _STOP_SECONDS)
            raise
        return len(claimed)

    def _is_held(self) -> bool:
        board = self._engine.switches.board
        if board.is_quiet:
            return False
        try:
            board.check_auth(SWITCH, ANONYMOUS)
        except PylonError:
            return True
        return False

    async def _claim(self, due: list[MailRecord], now: float) -> list[MailRecord]:
        """Take letters before another process does, or give them up."""

        def claim(tx: Transaction) -> list[MailRecord]:
            taken = []
            for record in due:
                values: dict[str, object] = {"due_at": now + CLAIM_SECONDS, "attempts": record.attempts + 1}
                useless = "EXPIRED" if record.expires_at <= now else "" if record.attempts < MAX_ATTEMPTS else "GAVE_UP"
                if useless:
                    values = {"state": MailState.DEAD.value, "error": f"{useless} {record.error}".strip()}
                where = {"id": record.id, "state": MailState.WAITING.value, "due_at": record.due_at}
                if not tx.session.identity.change(MailRecord, values, **where):
                    continue
                if useless:
                    self.given_up += 1
                    log.warning("a letter was given up", id=record.id, kind=record.kind, error=values["error"])
                else:
                    taken.append(msgspec.structs.replace(record, attempts=record.attempts + 1))
            return taken

        return await self._write(claim)

    async def _send(self, record: MailRecord) -> None:
        assert self._transport is not None
        try:
            if record.attempts == 1:
                self._engine.budgets.spend(Meter.MAIL, record.user_id, 1)
            letter = await asyncio.to_thread(self._letter, record)
            await self._transport.send(letter)
        except MailUnavailable as problem:
            await self._later(record, str(problem), max(problem.wait, _wait(record.attempts)))
            return
        except MailRefused as problem:
            await self._give_up(record, str(problem))
            return
        except PylonError as problem:
            if problem.code == "BUDGET_EXCEEDED":
                await self._later(record, problem.code, HOLD_SECONDS, counts=False)
            else:  # a template that fails, or keys that are gone
                await self._give_up(record, f"{problem.code}: {problem.message}")
            return
        now = int(self._engine.clock())
        await self._change(record, {"state": MailState.SENT.value, "sent_at": now, "sealed": b"", "error": ""})
        self.sent[record.kind] += 1

    def _letter(self, record: MailRecord) -> Letter:
        raw = self._vault.open(_PURPOSE, record.sealed, record.id)
        contents = msgspec.json.decode(raw, type=_Contents)
        return self._written(record.id, record.kind, contents)

    def _written(self, identifier: str, kind: str, contents: _Contents) -> Letter:
        made = self._templates.render(kind, contents.values, contents.languages)
        return Letter(
            id=identifier, to=contents.to, sender=self._sender, subject=made.subject, text=made.text, html=made.html
        )

    async def _later(self, record: MailRecord, error: str, wait: float, *, counts: bool = True) -> None:
        self.failures["unavailable"] += 1
        attempts = record.attempts if counts else record.attempts - 1
        values = {"due_at": self._engine.clock() + wait, "error": error[:_MAX_ERROR], "attempts": attempts}
        await self._change(record, values)
        log.warning("a letter could not be sent yet", id=record.id, kind=record.kind, error=error, again_in=round(wait))

    async def _give_up(self, record: MailRecord, error: str) -> None:
        self.failures["refused"] += 1
        self.given_up += 1
        await self._change(record, {"state": MailState.DEAD.value, "error": error[:_MAX_ERROR]})
        log.warning("a letter was refused", id=record.id, kind=record.kind, error=error)

    async def _change(self, record: MailRecord, values: dict[str, object]) -> None:
        where = {"id": record.id, "state": MailState.WAITING.value}
        await self._write(lambda tx: tx.session.identity.change(MailRecord, values, **where))

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        return (await self._engine.run(SYSTEM, work, authority=Authority.TRUSTED)).value

    # -- for operators -------------------------------------------------------------------------------------------

    def listed(self, state: str = "", limit: int = 100) -> list[MailRecord]:
        """Letters, newest first."""
        return self._engine.reads.identity.mail_listed(state, limit)

    def counts(self) -> dict[str, int]:
        """How many wait, and for how long the oldest has; how many were given up."""
        waiting, oldest = self._engine.reads.identity.mail_counted(MailState.WAITING, MAX_WAITING)
        dead, _ = self._engine.reads.identity.mail_counted(MailState.DEAD, MAX_WAITING)
        age = max(0, int(self._engine.clock()) - oldest) if oldest else 0
        return {"waiting": waiting, "dead": dead, "oldest_secs": age}

    async def retry(self, caller: Caller, identifier: str) -> None:
        """Try a letter again that was given up, or that waits. Raises NOT_FOUND, MAIL_EXPIRED."""
        now = self._engine.clock()

        def again(tx: Transaction) -> None:
            record = tx.session.identity.one(MailRecord, id=identifier)
            if record is None or record.state == MailState.SENT:
                raise PylonError("NOT_FOUND", "No such letter waits or was given up")
            if record.expires_at <= now:
                raise PylonError("MAIL_EXPIRED", "What this letter tells is of no use any more")
            values = {"state": MailState.WAITING.value, "due_at": now, "attempts": 0}
            tx.session.identity.change(MailRecord, values, id=identifier)
            tx.note("mail.retry", identifier)

        await self._engine.run(caller, again, authority=Authority.TRUSTED)
        self.wake()

    async def test(self, caller: Caller, to: str) -> None:
        """Send a test letter now, past the queue. Raises MAIL_NOT_CONFIGURED, MAIL_FAILED with what the other side
        says."""
        if self._transport is None:
            raise PylonError("MAIL_NOT_CONFIGURED", "This server sends no mail")
        await self._engine.audit.note(caller, "mail.test", masked(to))
        letter = self._written(new_id("mail_"), MailKind.TEST, _Contents(to, {}, []))
        try:
            await self._transport.send(letter)
        except MailError as problem:
            raise PylonError("MAIL_FAILED", f"{self._transport.name} did not take it: {problem}") from None
        self._engine.usage.add(Meter.MAIL, None)
        self.sent[MailKind.TEST] += 1


def _wait(attempts: int) -> float:
    """Seconds before the next try: longer each time, and never the same for all."""
    longest = min(FIRST_WAIT * 3.0 ** (attempts - 1), LONGEST_WAIT)
    return longest * random.uniform(0.7, 1.3)  # noqa: S311 - spreads load, guards nothing


def masked(address: str) -> str:
    """An address that people who know it recognise, and nobody else."""
    local, _, domain = address.rpartition("@")
    return f"{local[:2]}***@{domain}"
