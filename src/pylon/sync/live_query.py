"""Live queries as values: who subscribed to what, what a run came to, and the frames that say so (spec 02 §9.2)."""

from __future__ import annotations

import asyncio
import enum

import msgspec

from pylon.compute.functions import Watched
from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.sync.connection import Connection
from pylon.sync.events import Event, Frames

Key = tuple[str, bytes, Identity]
"""Function, arguments and identity class: all that a query's result can depend on besides the data."""


class Answer(msgspec.Struct, frozen=True):
    """A result as JSON, None where it isn't kept, and the hash that tells it from others."""

    body: bytes | None
    hash: bytes

    @property
    def size(self) -> int:
        """Bytes that it keeps."""
        return 0 if self.body is None else len(self.body)

    def is_as(self, other: Answer | Refusal | None) -> bool:
        """Whether a client would see no difference."""
        return isinstance(other, Answer) and other.hash == self.hash

    def frames(self, sub_id: str) -> Frames:
        """What a subscriber is sent."""
        assert self.body is not None
        head = b'{"type":"reactive-result","sub_id":%b,"result":' % msgspec.json.encode(sub_id)
        return Frames([Event(b"%b%b}" % (head, self.body))])


class Refusal(msgspec.Struct, frozen=True):
    """A run that failed, as its subscribers are told. `is_passing` says that it may succeed without a change."""

    code: str
    message: str
    is_passing: bool = False

    @classmethod
    def of(cls, error: PylonError) -> Refusal:
        """What an error means for subscribers."""
        if error.code in ("FN_TIMEOUT", "QUERY_TIMEOUT"):  # which of the two it is, is chance
            return cls("FN_TIMEOUT", "Function exceeded the configured call timeout", is_passing=True)
        return cls(error.code, error.message, is_passing=error.status >= 429)

    def is_as(self, other: Answer | Refusal | None) -> bool:
        """Whether a client would see no difference."""
        return isinstance(other, Refusal) and (other.code, other.message) == (self.code, self.message)

    def frames(self, sub_id: str) -> Frames:
        """What a subscriber is sent."""
        payload = {"type": "reactive-error", "sub_id": sub_id, "code": self.code, "message": self.message}
        return Frames([Event(msgspec.json.encode(payload))])


Outcome = Answer | Refusal


class Subscription:
    """One `sub_id` of one connection. `query` is None while it has none, after a refusal, which `is_passing` says may
    not be the last word; `is_told` once it was sent what the query came to last."""

    __slots__ = ("arguments", "connection", "is_passing", "is_told", "name", "payer", "query", "sub_id")

    def __init__(self, connection: Connection, sub_id: str, name: object, arguments: object) -> None:
        self.connection = connection
        self.sub_id = sub_id
        self.name = name
        self.arguments = arguments
        self.query: SharedQuery | None = None
        self.payer: str | None = None
        self.is_told = self.is_passing = False


class State(enum.Enum):
    """What a query does: nothing, wait for its run, or run."""

    IDLE = "idle"
    WAITING = "waiting"
    RUNNING = "running"


class SharedQuery:
    """The `number`-th query: one for everybody of an identity class who asked for it with the same arguments. `payer`
    is whose budget its runs come from, None for nobody's; `seq` the newest change that `outcome` knows of; `not_before`
    when it may run again, and `due` when it will; `is_wanted` says that it must run once more when its run is over,
    `is_audited` that whom its rows are shown to is recorded."""

    __slots__ = (
        "caller",
        "due",
        "failures",
        "flags",
        "is_audited",
        "is_wanted",
        "key",
        "not_before",
        "number",
        "outcome",
        "payer",
        "seq",
        "state",
        "subscriptions",
        "timer",
        "watched",
    )

    def __init__(self, key: Key, watched: Watched, caller: Caller, payer: str | None, number: int) -> None:
        self.key = key
        self.number = number
        self.watched = watched
        self.caller = caller
        self.payer = payer
        self.subscriptions: dict[Subscription, None] = {}
        self.state = State.IDLE
        self.timer: asyncio.TimerHandle | None = None
        self.not_before = 0.0
        self.failures = 0
        self.due = 0.0
        self.flags = self.is_wanted = self.is_audited = False
        self.seq = -1
        self.outcome: Outcome | None = None
