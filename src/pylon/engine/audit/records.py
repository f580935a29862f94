"""What the audit trail records, as it is stored: one JSON object per request, many to a block.

Keys are short because there is one record for every write: `u` user, `a` 1 for an admin, `ip`, `q` request id, `d`
door. A write adds `c`, its changes as [kind, entity, row id, seq, changed fields]; a read `e` and `r`, the entity and
the row ids it was shown; an operator's action `x`, `t` and `m`: action, target and details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pylon.engine.caller import Caller
from pylon.model.change import Change

WRITE, READ, OPERATOR = "write", "read", "operator"
KINDS = (WRITE, READ, OPERATOR)

Detail = str | int | float | bool | None


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """One request's record."""

    u: str | None = None
    a: int = 0
    ip: str = ""
    q: str = ""
    d: str = ""
    c: Sequence[tuple[str, str, str, int, tuple[str, ...]]] = ()
    e: str = ""
    r: msgspec.Raw | None = None
    x: str = ""
    t: str = ""
    m: dict[str, Detail] = {}


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as people ask for it. `at` is Unix seconds; `rows` has one id for a write and those
    that were shown for a read."""

    at: float
    kind: str
    user: str | None
    actor_is_admin: bool
    ip: str
    request_id: str
    door: str
    action: str
    entity: str = ""
    rows: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    seq: int = 0
    details: dict[str, Any] = {}


def of_writes(caller: Caller, changes: list[Change]) -> Record:
    """The record of one request's changes."""
    identity = caller.identity
    done = [(c.kind, c.entity, c.row_id, c.seq, c.fields) for c in changes]
    return Record(identity.user_id, int(identity.is_admin), caller.ip, caller.request_id, caller.door, done)


def of_read(caller: Caller, entity: str, row_ids: bytes) -> Record:
    """The record of rows shown; `row_ids` is a JSON array."""
    identity = caller.identity
    return Record(
        identity.user_id,
        int(identity.is_admin),
        caller.ip,
        caller.request_id,
        caller.door,
        e=entity,
        r=msgspec.Raw(row_ids),
    )


def of_action(caller: Caller, action: str, target: str, details: dict[str, Detail]) -> Record:
    """The record of an operator's action."""
    identity = caller.identity
    return Record(
        identity.user_id,
        int(identity.is_admin),
        caller.ip,
        caller.request_id,
        caller.door,
        x=action,
        t=target,
        m=details,
    )


_decode_records = msgspec.json.Decoder(list[Record]).decode
_decode_ids = msgspec.json.Decoder(tuple[str, ...]).decode
encode_records = msgspec.json.Encoder().encode


def entries(at: int, kind: str, records: bytes) -> list[AuditEntry]:
    """A block's records as entries, in order. `at` is Unix milliseconds."""
    found: list[AuditEntry] = []
    for record in _decode_records(records):
        common: dict[str, Any] = {
            "at": at / 1000,
            "kind": kind,
            "user": record.u,
            "actor_is_admin": bool(record.a),
            "ip": record.ip,
            "request_id": record.q,
            "door": record.d,
        }
        if kind == WRITE:
            for change, entity, row_id, seq, fields in record.c:
                found.append(AuditEntry(**common, action=change, entity=entity, rows=(row_id,), fields=fields, seq=seq))
        elif kind == READ:
            rows = _decode_ids(record.r) if record.r is not None else ()
            found.append(AuditEntry(**common, action="read", entity=record.e, rows=rows))
        else:
            details = {"target": record.t, **record.m} if record.t else dict(record.m)
            found.append(AuditEntry(**common, action=record.x, details=details))
    return found
