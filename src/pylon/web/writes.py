"""What the headers of a write ask for beyond its body: happen once, happen only to the row as it was read."""

from __future__ import annotations

from collections.abc import Callable

import falcon.asgi

from pylon.engine.idempotency import Answer, Once, answer_once, once_of
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.web.preconditions import Check, check_of, etag_of
from pylon.web.request import Request

Write = Callable[[Transaction, EntityPlan], Answer]


def once_from(req: Request, body: bytes) -> Once | None:
    """The request's Idempotency-Key, None without one. Raises INVALID_DATA."""
    key = req._asgi_headers.get(b"idempotency-key")
    if key is None:
        return None
    return once_of(req.caller.principal, key.decode("latin-1"), req.method.encode(), req.path.encode(), body)


def is_plain(req: Request) -> bool:
    """Whether no header asks for anything: the short way will do."""
    headers = req._asgi_headers
    return b"idempotency-key" not in headers and b"if-match" not in headers and b"if-none-match" not in headers


async def write(
    req: Request, resp: falcon.asgi.Response, entity: str, row_id: str | None, body: bytes, operation: Write
) -> None:
    """Run a write of one row with everything that its headers ask for, and answer. Raises PRECONDITION_FAILED,
    IDEMPOTENCY_MISMATCH, and what the write raises."""
    once = once_from(req, body)
    check = check_of(req.get_header("If-Match"), req.get_header("If-None-Match"))
    engine = req.doors.engine
    plan = engine.plans.for_write(entity, req.session.identity)

    def run(transaction: Transaction) -> Answer:
        return answer_once(transaction, once, lambda tx: _guarded(tx, plan, row_id, check, operation))

    outcome = await engine.run(req.caller, run)
    answer = outcome.value
    resp.status = answer.status
    resp.data = answer.body
    if outcome.seq:
        resp.set_header("X-Pylon-Change-Seq", str(outcome.seq))
    if answer.etag is not None:
        resp.set_header("ETag", answer.etag)
    if answer.is_replay:
        resp.set_header("Idempotency-Replayed", "true")


def _guarded(
    transaction: Transaction, plan: EntityPlan, row_id: str | None, check: Check | None, operation: Write
) -> Answer:
    """The write comes first and its precondition after, which undoes it: who may not write learns from the policy's
    refusal, never from the tag's."""
    before = transaction.session.get_json(plan.name, row_id, None, {}) if check is not None and row_id else None
    answer = operation(transaction, plan)
    if check is not None:
        check(before)
        if row_id is not None and (after := transaction.session.get_json(plan.name, row_id, None, {})) is not None:
            return Answer(answer.body, answer.status, etag_of(after))
    return answer


def created(row_id: str) -> Answer:
    """What a new row is answered."""
    return Answer(b'{"id":"%b"}' % row_id.encode(), 201)
