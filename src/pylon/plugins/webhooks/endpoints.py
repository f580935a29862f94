"""Endpoints and what is known of their deliveries, as records beside the data: no event is copied, a delivery that
failed for good is remembered by the seq of its change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from pylon.auth.vault import Vault
from pylon.engine.plan import Plans
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.outbound import check_url

ENDPOINT = "webhook"
CURSOR = "webhook-cursor"
DEAD = "webhook-dead"

MAX_ENDPOINTS = 100
MAX_DEAD = 1000
"""Failed deliveries that are remembered for an endpoint; beyond, the oldest is forgotten."""

MIN_SECRET = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

ChangeKind = Literal["insert", "update", "delete"]
KINDS: tuple[ChangeKind, ...] = ("insert", "update", "delete")


class Endpoint:
    """Who wants to know what: changes of these `entities` (names or classes; none means all) of these `kinds`, posted
    to `url` and signed with `secret`."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        secret: str,
        entities: Iterable[type | str] = (),
        kinds: Sequence[ChangeKind] = KINDS,
    ) -> None:
        self.name = name
        self.url = url
        self.secret = secret
        self.entities = tuple(entities)
        self.kinds = tuple(kinds)


class StoredEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as it is stored. Its URL is sealed with its secret: the path of many is a secret itself. `host` is
    what is shown of it. `is_declared` is set for one that the app declares."""

    name: str
    host: str
    sealed: bytes
    entities: tuple[str, ...] = ()
    kinds: tuple[ChangeKind, ...] = KINDS
    is_declared: bool = False
    created_at: float = 0.0

    def wants(self, entity: str, kind: str) -> bool:
        """Whether a change is for it."""
        return kind in self.kinds and (not self.entities or entity in self.entities)


class Target(msgspec.Struct, frozen=True):
    """What is sealed of an endpoint."""

    url: str
    secret: str


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far an endpoint is. `attempts` were made for the next change in vain, and the next is due at `next_at` (Unix
    seconds). `delivered` and `missed` count: changes that arrived, and log entries that were pruned before they could
    be looked at."""

    seq: int
    attempts: int = 0
    next_at: float = 0.0
    error: str = ""
    delivered: int = 0
    missed: int = 0


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that failed for good; `is_due` once somebody wants it tried again."""

    seq: int
    entity: str
    row_id: str
    kind: str
    error: str
    at: float
    is_due: bool = False


def dead_key(name: str, seq: int) -> str:
    """The key of a failed delivery; they sort by seq."""
    return f"{name}/{seq:020d}"


def seal(vault: Vault, endpoint: Endpoint, plans: Plans, *, is_declared: bool, now: float) -> StoredEndpoint:
    """An endpoint as it is stored. Raises INVALID_DATA naming what is wrong with it."""
    if not _NAME.match(endpoint.name):
        raise PylonError("INVALID_DATA", "a webhook's name is letters, digits, '.', '_' and '-', at most 64")
    parts = check_url(endpoint.url)
    if len(endpoint.secret) < MIN_SECRET:
        raise PylonError("INVALID_DATA", f"secret has at least {MIN_SECRET} characters")
    names = {plan.spec.python_class: name for name, plan in plans.items() if plan.spec.python_class is not None}
    entities = tuple(e if isinstance(e, str) else names.get(e, e.__name__) for e in endpoint.entities)
    for entity in entities:
        if entity not in plans:
            raise PylonError("INVALID_DATA", f"webhook {endpoint.name}: the app declares no entity {entity[:100]!r}")
    if not endpoint.kinds or not set(endpoint.kinds) <= set(KINDS):
        raise PylonError("INVALID_DATA", f"kinds are some of {', '.join(KINDS)}")
    target = msgspec.json.encode(Target(endpoint.url, endpoint.secret))
    return StoredEndpoint(
        name=endpoint.name,
        host=f"{parts.scheme}://{parts.netloc}",
        sealed=vault.seal(ENDPOINT, target, endpoint.name),
        entities=entities,
        kinds=endpoint.kinds,
        is_declared=is_declared,
        created_at=now,
    )


def target_of(vault: Vault, endpoint: StoredEndpoint) -> Target:
    """Where it leads, and its secret. Raises SEALED_UNREADABLE."""
    return msgspec.json.decode(vault.open(ENDPOINT, endpoint.sealed, endpoint.name), type=Target)


def put(transaction: Transaction, endpoint: StoredEndpoint, head: int) -> None:
    """Store an endpoint. A new one begins with what is committed after now."""
    session = transaction.session
    if session.record(CURSOR, endpoint.name) is None:
        session.put_record(CURSOR, endpoint.name, msgspec.json.encode(Cursor(seq=head)))
    session.put_record(ENDPOINT, endpoint.name, msgspec.json.encode(endpoint))
    transaction.note("webhook.put", endpoint.name, host=endpoint.host)


def forget(transaction: Transaction, name: str, dead: Iterable[Dead]) -> None:
    """Forget an endpoint and all about it. Raises NOT_FOUND."""
    session = transaction.session
    if not session.delete_record(ENDPOINT, name):
        raise PylonError("NOT_FOUND", "No such webhook")
    session.delete_record(CURSOR, name)
    for letter in dead:
        session.delete_record(DEAD, dead_key(name, letter.seq))
    transaction.note("webhook.delete", name)


def shown(endpoint: StoredEndpoint, cursor: Cursor, head: int, dead: int) -> dict[str, Any]:
    """What an operator sees of it."""
    return {
        "name": endpoint.name,
        "host": urlsplit(endpoint.host).netloc,
        "entities": list(endpoint.entities),
        "kinds": list(endpoint.kinds),
        "declared": endpoint.is_declared,
        "behind": max(0, head - cursor.seq),
        "delivered": cursor.delivered,
        "missed": cursor.missed,
        "dead": dead,
        "attempts": cursor.attempts,
        "next_at": cursor.next_at or None,
        "error": cursor.error or None,
    }
