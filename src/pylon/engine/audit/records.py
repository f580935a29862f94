"""What the audit trail records, as it is stored: one JSON object per request, many to a block.

Keys are short because there is one record for every write: `u` user, `a` 1 for an admin, `ip`, `q` request id, `d`
door, `k` the beginning of the admin token's hash. A write adds `c`, its changes as [kind, entity, row id, seq, changed
fields]; a read `e` and `r`, the entity and the row ids it was shown, and `n`, how many times; an operator's action `x`,
`t` and `m`: action, target and details. What people do to prove who they are has `i`, `x`, `s`, `n`, `w`, `f` and `m`:
id, action, whose account, organisation, browser, why it failed, details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pylon.engine.caller import Caller
from pylon.model.change import Change

WRITE, READ, OPERATOR, AUTH = "write", "read", "operator", "auth"
KINDS = (WRITE, READ, OPERATOR, AUTH)

Detail = str | int | float | bool | None


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """Whose request it was; what it did stands in the subclasses."""

    u: str | None = None
    a: int = 0
    ip: str = ""
    q: str = ""
    d: str = ""
    k: str = ""


class WriteRecord(Record, omit_defaults=True, gc=False):
    """Changes of rows."""

    c: Sequence[tuple[str, str, str, int, tuple[str, ...]]] = ()


class ReadRecord(Record, omit_defaults=True, gc=False):
    """Rows shown."""

    e: str = ""
    r: msgspec.Raw = msgspec.Raw(b"[]")
    n: int = 1


class ActionRecord(Record, omit_defaults=True, gc=False):
    """An operator's action."""

    x: str = ""
    t: str = ""
    m: dict[str, Detail] = {}


class AuthRecord(Record, omit_defaults=True, gc=False):
    """Something that happened to somebody's account or session; `f` is empty for a success."""

    i: str = ""
    x: str = ""
    s: str | None = None
    n: str | None = None
    w: str = ""
    f: str = ""
    m: dict[str, Detail] = {}


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as people ask for it. `at` is Unix seconds; `rows` has one id for a write and those
    that were shown for a read; `token` is the id of the admin token that was used."""

    at: float
    kind: str
    user: str | None
    actor_is_admin: bool
    ip: str
    request_id: str
    door: str
    token: str
    action: str
    entity: str = ""
    rows: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    seq: int = 0
    details: dict[str, Any] = {}


def of_writes(caller: Caller, changes: list[Change]) -> Record:
    """The record of one request's changes."""
    done = [(c.kind, c.entity, c.row_id, c.seq, c.fields) for c in changes]
    return WriteRecord(*_who(caller), done)


def of_read(caller: Caller, entity: str, row_ids: bytes) -> ReadRecord:
    """The record of rows shown; `row_ids` is a JSON array."""
    return ReadRecord(*_who(caller), entity, msgspec.Raw(row_ids))


def of_action(caller: Caller, action: str, target: str, details: dict[str, Detail]) -> Record:
    """The record of an operator's action."""
    return ActionRecord(*_who(caller), action, target, details)


def of_auth(
    caller: Caller,
    action: str,
    subject: str | None,
    *,
    identifier: str,
    tenant: str | None,
    agent: str,
    failure: str,
    details: dict[str, Detail],
) -> Record:
    """The record of something that happened to `subject`'s account; `failure` says why it did not, "" that it did."""
    return AuthRecord(*_who(caller), identifier, action, subject, tenant, agent, failure, details)


def _who(caller: Caller) -> tuple[str | None, int, str, str, str, str]:
    identity = caller.identity
    if not identity.is_admin:
        return identity.user_id, 0, caller.ip, caller.request_id, caller.door, ""
    token = caller.session.hex()[:12] if caller.session is not None and len(caller.session) == 32 else ""
    return identity.user_id, 1, caller.ip, caller.request_id, caller.door, token


_decode_writes = msgspec.json.Decoder(list[WriteRecord]).decode
_decode_reads = msgspec.json.Decoder(list[ReadRecord]).decode
_decode_actions = msgspec.json.Decoder(list[ActionRecord]).decode
_decode_auth = msgspec.json.Decoder(list[AuthRecord]).decode
_decode_ids = msgspec.json.Decoder(tuple[str, ...]).decode
encode_records = msgspec.json.Encoder().encode


def entries(at: int, kind: str, records: bytes) -> list[AuditEntry]:
    """A block's records as entries, in order. `at` is Unix milliseconds. Raises ValidationError for what is none."""
    found: list[AuditEntry] = []
    if kind == WRITE:
        for written in _decode_writes(records):
            who = _origin(at, kind, written)
            for change, entity, row_id, seq, fields in written.c:
                found.append(AuditEntry(**who, action=change, entity=entity, rows=(row_id,), fields=fields, seq=seq))
    elif kind == READ:
        for read in _decode_reads(records):
            rows = _decode_ids(read.r)
            times = {"times": read.n} if read.n > 1 else {}
            who = _origin(at, kind, read)
            found.append(AuditEntry(**who, action="read", entity=read.e, rows=rows, details=times))
    elif kind == AUTH:
        for event in _decode_auth(records):
            found.append(AuditEntry(**_origin(at, kind, event), action=event.x, details=_auth_details(event)))
    else:
        for done in _decode_actions(records):
            details = {"target": done.t, **done.m} if done.t else dict(done.m)
            found.append(AuditEntry(**_origin(at, kind, done), action=done.x, details=details))
    return found


def _auth_details(event: AuthRecord) -> dict[str, Detail]:
    return {
        **event.m,
        "id": event.i,
        "subject": event.s,
        "tenant": event.n,
        "user_agent": event.w,
        "success": not event.f,
        "reason": event.f or None,
    }


def _origin(at: int, kind: str, record: Record) -> dict[str, Any]:
    return {
        "at": at / 1000,
        "kind": kind,
        "user": record.u,
        "actor_is_admin": bool(record.a),
        "ip": record.ip,
        "request_id": record.q,
        "door": record.d,
        "token": f"adm_{record.k}" if record.k else "",
    }
