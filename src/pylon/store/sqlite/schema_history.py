"""The record of schema changes (spec 05 §8.4): each with its steps, who made it, and what was declared. An entry's
checksum covers the one before, so a changed or removed entry shows."""

from __future__ import annotations

import hashlib
from typing import Any

import apsw

from pylon.store.protocol import SchemaEntry

NAME = "_pylon_schema_history"

TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {NAME} (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        applied_at TEXT NOT NULL,
        applied_by TEXT NOT NULL,
        app_version TEXT NOT NULL,
        baseline TEXT NOT NULL,
        operation_count INTEGER NOT NULL,
        plan_json TEXT NOT NULL,
        log_floor INTEGER NOT NULL,
        memory TEXT NOT NULL,
        checksum TEXT NOT NULL
    )""",
)

MEMORY = f"SELECT memory FROM {NAME} ORDER BY id DESC LIMIT 1"
_LAST = f"SELECT checksum FROM {NAME} ORDER BY id DESC LIMIT 1"
_APPEND = f"""INSERT INTO {NAME}
    (applied_at, applied_by, app_version, baseline, operation_count, plan_json, log_floor, memory, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_HASHED = "applied_at, applied_by, app_version, baseline, operation_count, plan_json, log_floor, memory"
_ALL = f"SELECT id, checksum, {_HASHED} FROM {NAME} ORDER BY id"


def append(connection: apsw.Connection, values: tuple[str, str, str, str, int, str, int, str]) -> None:
    """Append an entry: (applied_at, applied_by, app_version, baseline, operations, plan, log floor, memory)."""
    last: list[Any] = connection.execute(_LAST).fetchall()
    connection.execute(_APPEND, (*values, _checksum(last[0][0] if last else "", values)))


def entries(connection: apsw.Connection) -> list[SchemaEntry]:
    """All entries, newest first."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (NAME,)).fetchall():
        return []
    found: list[SchemaEntry] = []
    before = ""
    for number, checksum, *values in connection.execute(_ALL).fetchall():
        is_sound = checksum == _checksum(before, tuple(values))
        *told, _ = values
        entry: list[Any] = [number, *told, checksum, is_sound]
        found.append(SchemaEntry(*entry))
        before = str(checksum)
    return found[::-1]


def _checksum(before: str, values: tuple[Any, ...]) -> str:
    return hashlib.sha256("\n".join([before, *map(str, values)]).encode()).hexdigest()
