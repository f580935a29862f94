"""Asking the audit trail: entries by filter, newest first, and whether the chain is whole."""

from __future__ import annotations

import msgspec

from pylon.engine.audit.records import OPERATOR, WRITE, AuditEntry, entries
from pylon.engine.audit.trail import ANCHOR_KEY, ANCHOR_KIND, GENESIS, block_hash, parse_anchor
from pylon.store.protocol import AuditBlock, ReadSession

_BLOCKS = 200
_END = 2**62
MAX_ENTRIES = 10_000


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: all that match everything given. Times are Unix seconds, both ends included."""

    kinds: frozenset[str] = frozenset((WRITE, OPERATOR))
    entity: str | None = None
    row: str | None = None
    user: str | None = None
    ip: str | None = None
    action: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 100


class Verdict(msgspec.Struct, frozen=True):
    """What checking the chain found: how many blocks and records, the head, and what is wrong, in words."""

    ok: bool
    blocks: int
    records: int
    head_id: int
    head_hash: str
    problems: tuple[str, ...] = ()


Position = tuple[int, int]
"""Before which block (time in Unix milliseconds, id) a page begins."""


def search(session: ReadSession, wanted: AuditFilter) -> list[AuditEntry]:
    """Matching entries, newest first, at most `limit`."""
    found, _ = page(session, wanted, None, wanted.limit)
    return found[: wanted.limit]


def page(
    session: ReadSession, wanted: AuditFilter, before: Position | None, size: int
) -> tuple[list[AuditEntry], Position | None]:
    """Matching entries, newest first, block by block until there are `size` or more, and where to go on; None when
    that was all."""
    kind = next(iter(wanted.kinds)) if len(wanted.kinds) == 1 else ""
    since = int((wanted.since or 0) * 1000)
    needle = _needle(wanted)
    if before is None:
        before = (_END if wanted.until is None else int(wanted.until * 1000), _END)
    found: list[AuditEntry] = []
    while True:
        blocks = session.audit_search(kind, since=since, before=before, needle=needle, limit=_BLOCKS)
        for block in blocks:
            if block.kind in wanted.kinds:
                made = entries(block.at, block.kind, block.records)
                found += [entry for entry in reversed(made) if _matches(entry, wanted)]
            before = (block.at, block.id)
            if len(found) >= size:
                return found, before
        if len(blocks) < _BLOCKS:
            return found, None


def verify(session: ReadSession, expected: tuple[int, bytes] | None = None) -> Verdict:
    """Recompute the whole chain. `expected` is a head (id, hash) noted earlier, which must still be in it."""
    problems: list[str] = []
    stored = session.record(ANCHOR_KIND, ANCHOR_KEY)
    at, before = parse_anchor(stored) if stored is not None else (0, GENESIS)
    blocks = records = 0
    met = expected is None or expected == (at, before)
    while chunk := session.audit_after(at, _BLOCKS):
        for block in chunk:
            if block.id != at + 1:
                problems.append(f"blocks {at + 1} to {block.id - 1} are missing")
            if block.hash != _expected_hash(before, block):
                problems.append(f"block {block.id} does not follow from what is before it: it or its past was changed")
            else:
                records += _count(block.kind, block.records)
            at, before = block.id, block.hash
            blocks += 1
            met = met or expected == (at, before)
    issued = session.audit_issued()
    if issued > at:
        problems.append(f"blocks {at + 1} to {issued} are missing: the end was cut off")
    if not met and expected is not None:
        problems.append(f"the head noted as {expected[0]}:{expected[1].hex()} is not in this trail")
    return Verdict(not problems, blocks, records, at, before.hex(), tuple(problems[:100]))


def _expected_hash(before: bytes, block: AuditBlock) -> bytes | None:
    """None for a block that whoever changed it left in no shape to be hashed."""
    try:
        return block_hash(before, block.id, block.at, block.kind, bytes(block.records))
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None


def _count(kind: str, records: bytes) -> int:
    return len(entries(0, kind, records))


def _needle(wanted: AuditFilter) -> bytes | None:
    """The rarest thing asked for, as it stands in a block."""
    for value in (wanted.row, wanted.user, wanted.ip, wanted.entity, wanted.action):
        if value is not None:
            return msgspec.json.encode(value)
    return None


def _matches(entry: AuditEntry, wanted: AuditFilter) -> bool:
    return (
        (wanted.entity is None or entry.entity == wanted.entity)
        and (wanted.row is None or wanted.row in entry.rows)
        and (wanted.user is None or entry.user == wanted.user)
        and (wanted.ip is None or entry.ip == wanted.ip)
        and (wanted.action is None or entry.action == wanted.action)
    )
