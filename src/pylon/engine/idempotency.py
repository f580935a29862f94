"""Requests that happen once, however often they are sent (draft-ietf-httpapi-idempotency-key-header).

The answer is stored with the write it speaks of, in the same commit: who sends the key again gets the same answer, also
after a restart, and nothing happens a second time. What failed is not remembered, so that a retry is tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.store.protocol import StoredAnswer

MAX_KEY = 255
_SEALED = b"\x01"  # which no answer begins with
_PURPOSE = "answer"
KEEP_BYTES = 65_536
"""The largest answer that is kept."""


class Once(msgspec.Struct, frozen=True):
    """One key of one principal; `fingerprint` tells a retry from another request that carries the same key."""

    principal: str
    key: str
    fingerprint: bytes


class Answer(msgspec.Struct, frozen=True):
    """What a write is answered."""

    body: bytes
    status: int = 200
    etag: str | None = None
    is_replay: bool = False


def once_of(principal: str, key: str, *request: bytes) -> Once:
    """The key of a request that these bytes describe. Raises INVALID_DATA."""
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise PylonError("INVALID_DATA", f"Idempotency-Key must be 1 to {MAX_KEY} printable characters")
    digest = hashlib.blake2b(digest_size=16)
    for part in request:
        digest.update(len(part).to_bytes(8, "big") + part)
    return Once(principal, key, digest.digest())


def answer_once(transaction: Transaction, once: Once | None, operation: Callable[[Transaction], Answer]) -> Answer:
    """The stored answer of this key, or what the operation answers now. Raises IDEMPOTENCY_MISMATCH for a key that came
    with another request, and what the operation raises."""
    if once is None:
        return operation(transaction)
    held = transaction.session.answer(once.principal, once.key)
    if held is not None:
        if held.fingerprint != once.fingerprint:
            raise PylonError("IDEMPOTENCY_MISMATCH", "This Idempotency-Key came with another request before.")
        return Answer(_opened(transaction, once, held.body), held.status, is_replay=True)
    answer = operation(transaction)
    if len(answer.body) <= KEEP_BYTES:
        stored = StoredAnswer(once.fingerprint, answer.status, _sealed(transaction, once, answer.body))
        transaction.session.put_answer(once.principal, once.key, stored)
    return answer


def _sealed(transaction: Transaction, once: Once, body: bytes) -> bytes:
    """The answer as it is kept: sealed in an app with encrypted fields, since a function may have told one."""
    if not transaction.plans.has_sealed:
        return body
    return _SEALED + transaction.plans.field_keys.need().seal(_PURPOSE, body, _context(once))


def _opened(transaction: Transaction, once: Once, body: bytes) -> bytes:
    if not body.startswith(_SEALED):
        return body
    return transaction.plans.field_keys.need().open(_PURPOSE, body[len(_SEALED) :], _context(once))


def _context(once: Once) -> bytes:
    return f"{once.principal}\0{once.key}".encode()
