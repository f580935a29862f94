"""What opens a door and may have been withdrawn since a backup was taken: it must not come back with the backup.

Where the data that is replaced can be read, it says what was: keys that it no longer has are dropped, and admin tokens
and ends of signing keys are as they are there, so that a restore gives nobody back what was taken from him, and takes
from no operator what he works with. Where it can't, nobody knows: API keys and admin tokens are dropped.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from pylon.store.sqlite import identity, system
from pylon.store.sqlite.connection import connect_reader

ADMIN_TOKENS = "admin-token"
"""The kind of records that admin tokens are (`auth.admin_tokens`)."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """How many keys of a backup were dropped, by what they are: `api_keys`, `passkeys`, `accounts`, `backup_codes`,
    `admin_tokens`. `is_known` where the data that was replaced told which."""

    dropped: dict[str, int]
    is_known: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What the data that is replaced says: the keys that are good, by table; admin tokens; ends of signing keys."""

    keys: dict[str, set[tuple[Any, ...]]]
    admin_tokens: list[tuple[Any, ...]]
    signing_ends: list[tuple[Any, ...]]


def standing(database: Path) -> Standing | None:
    """What this database says; None where there is none, or it can't be read."""
    if not database.is_file():
        return None
    try:
        with contextlib.closing(connect_reader(database)) as connection:
            return Standing(
                {table: set(connection.execute(query)) for table, _, query in identity.WITHDRAWABLE},
                list(connection.execute(system.RECORDS_OF, (ADMIN_TOKENS,))),
                list(connection.execute(identity.SIGNING_ENDS)),
            )
    except apsw.Error:  # damaged, or of a release without these tables: it is replaced for a reason
        return None


def drop_withdrawn(connection: apsw.Connection, now: Standing | None, at: int) -> Withdrawn:
    """Drop from a restored database, in its open transaction, what was withdrawn since."""
    tables = {name for (name,) in connection.execute(system.TABLE_NAMES)}
    dropped = _drop_all(connection, tables) if now is None else _drop_gone(connection, tables, now, at)
    return Withdrawn({name: count for name, count in dropped.items() if count}, now is not None)


def _drop_all(connection: apsw.Connection, tables: set[Any]) -> dict[str, int]:
    dropped = {}
    for table, statement in identity.DROP_KEYS:
        if table in tables:
            connection.execute(statement)
            dropped[table.removeprefix("_pylon_")] = connection.changes()
    connection.execute(system.TOKENS_DROP_LIVE, (ADMIN_TOKENS,))
    return dropped | {"admin_tokens": connection.changes()}


def _drop_gone(connection: apsw.Connection, tables: set[Any], now: Standing, at: int) -> dict[str, int]:
    dropped = {}
    for table, statement, query in identity.WITHDRAWABLE:
        if table in tables:
            gone = set(connection.execute(query)) - now.keys[table]
            connection.executemany(statement, gone)
            dropped[table.removeprefix("_pylon_")] = len(gone)
    connection.execute(system.RECORDS_DROP, (ADMIN_TOKENS,))
    for key, record in now.admin_tokens:
        connection.execute(system.RECORD_PUT, (ADMIN_TOKENS, key, record, at))
    if "_pylon_signing_keys" in tables:
        connection.executemany(identity.SIGNING_END, [(retired_at, kid) for kid, retired_at in now.signing_ends])
    return dropped
