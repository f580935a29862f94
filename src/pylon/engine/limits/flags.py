"""Feature flags: named switches that are on for everybody, for some users, roles or tenants, or for a share of users.

    ctx.flags.enabled("new-editor")           # for the caller
    ctx.flags.enabled("new-editor", user_id)

Stored with the data like kill-switches, and as fast in reaching every process. A flag that isn't defined is off. The
share is decided by a hash of flag and user: a user keeps its answer while the share grows, and flags are independent.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import Identity

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

KIND = "flag"
MAX_FLAGS = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Flag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`on` is for everybody; otherwise it is on for those named, and for `percentage` (0 to 100) of users."""

    name: str = ""
    on: bool = False
    percentage: float = 0.0
    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    description: str = ""
    by: str = ""
    changed_at: float = 0.0


class Flags:
    """The flags of one engine. Asking is a dictionary lookup; any thread may. `generation` is another after each
    change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stored: list[tuple[str, bytes]] = []
        self._flags: dict[str, Flag] = {}
        self.generation = 0

    def all(self) -> list[Flag]:
        """Every flag by name."""
        return list(self._flags.values())

    def is_on(self, name: str, identity: Identity) -> bool:
        """Whether a flag is on for somebody."""
        flag = self._flags.get(name)
        if flag is None:
            return False
        user = identity.user_id
        return (
            flag.on
            or (user is not None and user in flag.users)
            or (identity.tenant_id is not None and identity.tenant_id in flag.tenants)
            or any(role in flag.roles for role in identity.roles)
            or (user is not None and share_of(name, user) < flag.percentage)
        )

    async def put(self, caller: Caller, flag: Flag) -> Flag:
        """Define a flag or change it, durably and recorded. Raises INVALID_DATA."""
        if not _NAME.match(flag.name):
            raise PylonError("INVALID_DATA", "a flag's name is letters, digits, '.', '_' and '-', at most 100")
        if not 0 <= flag.percentage <= 100:
            raise PylonError("INVALID_DATA", "percentage is a number from 0 to 100")
        if flag.name not in self._flags and len(self._flags) >= MAX_FLAGS:
            raise PylonError("INVALID_DATA", f"there are {MAX_FLAGS} flags already: delete some first")
        by = caller.identity.user_id or ""
        stored = msgspec.structs.replace(flag, by=by, changed_at=self._engine.clock())

        def store(transaction: Transaction) -> None:
            transaction.session.put_record(KIND, flag.name, msgspec.json.encode(stored))
            transaction.note("flag.put", flag.name, on=flag.on, percentage=flag.percentage)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        self.refresh()
        return stored

    async def delete(self, caller: Caller, name: str) -> None:
        """Forget a flag: it is off. Raises NOT_FOUND."""

        def forget(transaction: Transaction) -> None:
            if not transaction.session.delete_record(KIND, name):
                raise PylonError("NOT_FOUND", "No such flag")
            transaction.note("flag.delete", name)

        await self._engine.run(caller, forget, authority=Authority.TRUSTED)
        self.refresh()

    def refresh(self) -> None:
        """Take up what changed in the store."""
        stored = self._engine.reads.records(KIND)
        if stored != self._stored:
            self._flags = {name: msgspec.json.decode(record, type=Flag) for name, record in stored}
            self._stored = stored
            self.generation += 1


def share_of(name: str, user: str) -> float:
    """Where a user stands for a flag: from 0 up to 100, evenly spread."""
    digest = hashlib.blake2b(f"{name}\0{user}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100
