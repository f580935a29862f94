"""The row, the callers and the clock of spec 05 §10.6, and ways to put a rule to them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import apsw

from pylon.model.identity import ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.policy.rules import Rule, compile_scope
from pylon.policy.sql import SqliteDialect

NOW = datetime(2026, 11, 23, tzinfo=UTC)

CALLERS = {
    "u1": Identity(user_id="u1", tenant_id="t1", roles=("editor", "admin2")),
    "anon": ANONYMOUS,
    "guest": Identity(user_id="guest_1", is_guest=True),
    "admin": Identity(user_id="__admin__", is_admin=True, roles=("admin",)),
}

VALUES: dict[str, Any] = {
    "ownerId": "u1",
    "n": 5,
    "z": 0,
    "neg": -2,
    "f": 1.5,
    "one": 1.0,
    "s": "abc",
    "es": "",
    "t": True,
    "fl": False,
    "nul": None,
    "arr": ["u1"],
    "obj": {"k": "v", "deep": {"x": 1}},
    "ts": "2026-11-20T00:00:00Z",
    "ns": "5",
    "epoch": 1700000000,
}

_KINDS = {
    Kind.INT: ("n", "z", "neg", "epoch"),
    Kind.FLOAT: ("f", "one"),
    Kind.BOOL: ("t", "fl"),
    Kind.JSON: ("arr", "obj"),
    Kind.DATETIME: ("ts",),
    Kind.STRING: ("ownerId", "s", "es", "nul", "ns"),
}
NOTE = EntitySpec(
    name="Note",
    fields=tuple(Field(name=name, kind=kind, optional=True) for kind, names in _KINDS.items() for name in names),
)
TODO = EntitySpec(name="Todo", fields=(Field(name="n", kind=Kind.INT),))
APP = AppSpec(name="table", entities=(NOTE, TODO))
ROW: Any = compile_rows(NOTE).convert_insert(VALUES)
ROW.id = "r1"


def rule(expression: str, app: AppSpec = APP, entity: EntitySpec = NOTE) -> Rule:
    """A rule of one expression over stored rows. Raises PolicyError."""
    return compile_scope(app, entity, expression)


def sql_allows(compiled: Rule, identity: Identity) -> bool:
    """The answer of the SQL form for ROW, in a real SQLite."""
    connection = apsw.Connection(":memory:")
    columns = {field.name: field for field in NOTE.fields}
    affinity = {Kind.INT: "INTEGER", Kind.BOOL: "INTEGER", Kind.FLOAT: "REAL"}
    declared = ", ".join(f'"{name}" {affinity.get(field.kind, "TEXT")}' for name, field in columns.items())
    connection.execute(f"CREATE TABLE Note (id TEXT, {declared}); CREATE TABLE Todo (id TEXT, n INTEGER)")
    stored = [json.dumps(VALUES[n]) if f.kind is Kind.JSON else VALUES[n] for n, f in columns.items()]
    connection.execute(f"INSERT INTO Note VALUES ({', '.join('?' * (len(columns) + 1))})", ("r1", *stored))
    sql = compiled.sql(SqliteDialect())
    try:
        return bool(connection.execute(f"SELECT 1 FROM Note t WHERE {sql.text}", sql.bind(identity, NOW)).fetchall())
    finally:
        connection.close()
