"""Asking the audit trail: entries by filter, newest first, and whether the chain is whole."""

from __future__ import annotations

import msgspec

from pylon.engine.audit.records import AUTH, OPERATOR, WRITE, AuditEntry, entries
from pylon.engine.audit.trail import ANCHOR_KEY, ANCHOR_KIND, GENESIS, block_hash, parse_anchor
from pylon.store.protocol import AuditBlock, ReadSession

_BLOCKS = 200
_CHECKED_BLOCKS = 2000
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
    tenant: str | None = None
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


class Check:
    """The recomputation of the chain, piece by piece, so that no piece holds a snapshot for long. `expected` is a head
    (id, hash) noted earlier, which must still be in it."""

    def __init__(self, expected: tuple[int, bytes] | None = None) -> None:
        self._expected = expected
        self._at: int | None = None
        self._before = GENESIS
        self._blocks = self._records = 0
        self._is_met = expected is None
        self._problems: list[str] = []

    def go_on(self, session: ReadSession) -> Verdict | None:
        """Look at the next blocks; the verdict after the last."""
        if self._at is None:
            stored = session.record(ANCHOR_KIND, ANCHOR_KEY)
            self._at, self._before = parse_anchor(stored) if stored is not None else (0, GENESIS)
            self._meet()
        blocks = session.audit_after(self._at, _CHECKED_BLOCKS)
        for block in blocks:
            self._look(block, self._at + 1)
            self._at, self._before = block.id, block.hash
            self._meet()
        return None if len(blocks) == _CHECKED_BLOCKS else self._verdict(session.audit_issued())

    def _look(self, block: AuditBlock, due: int) -> None:
        self._blocks += 1
        if block.id != due:
            self._problems.append(f"blocks {due} to {block.id - 1} are missing")
        if block.hash != _expected_hash(self._before, block):
            self._problems.append(f"block {block.id} does not follow from the one before: it or its past was changed")
        else:
            self._records += len(entries(block.at, block.kind, block.records))

    def _meet(self) -> None:
        self._is_met = self._is_met or self._expected == (self._at, self._before)

    def _verdict(self, issued: int) -> Verdict:
        at = self._at or 0
        if issued > at:
            self._problems.append(f"blocks {at + 1} to {issued} are missing: the end was cut off")
        if not self._is_met and self._expected is not None:
            number, digest = self._expected
            self._problems.append(f"the head noted as {number}:{digest.hex()} is not in this trail")
        return Verdict(
            not self._problems, self._blocks, self._records, at, self._before.hex(), tuple(self._problems[:100])
        )


def _expected_hash(before: bytes, block: AuditBlock) -> bytes | None:
    """None for a block that whoever changed it left in no shape to be hashed."""
    try:
        return block_hash(before, block.id, block.at, block.kind, bytes(block.records))
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None


def _needle(wanted: AuditFilter) -> bytes | None:
    """The rarest thing asked for, as it stands in a block."""
    for value in (wanted.row, wanted.user, wanted.tenant, wanted.ip, wanted.entity, wanted.action):
        if value is not None:
            return msgspec.json.encode(value)
    return None


def _matches(entry: AuditEntry, wanted: AuditFilter) -> bool:
    return (
        (wanted.entity is None or entry.entity == wanted.entity)
        and (wanted.row is None or wanted.row in entry.rows)
        and (wanted.user is None or entry.user == wanted.user or _is_about(entry, wanted.user))
        and (wanted.tenant is None or (entry.kind == AUTH and entry.details.get("tenant") == wanted.tenant))
        and (wanted.ip is None or entry.ip == wanted.ip)
        and (wanted.action is None or entry.action == wanted.action)
    )


def _is_about(entry: AuditEntry, user: str) -> bool:
    """Whether something happened to this user's account, whoever did it."""
    return entry.kind == AUTH and entry.details.get("subject") == user
