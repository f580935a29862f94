"""The Python predicate and the SQL predicate of a rule give the same answer for every caller and every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.model.identity import ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import PolicyError, compile_entity_policy, compile_scope
from pylon.policy.sql import Reach, SqliteDialect

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TEXTS = [
    "",
    "a",
    "abc",
    "5",
    "5.0",
    " 5",
    "-2",
    "u1",
    "2026-11-20T00:00:00Z",
    "it's",
    "x\0y",
    "é",
    "5.",
    "99999999999999999999",
]
NUMBERS = [0, 1, -2, 5, 7, 2**53 + 1, 2**63 - 1, 5.0, 1.5, -0.5]

ROW = EntitySpec(
    name="Row",
    fields=(
        Field(name="s", kind=Kind.STRING, optional=True),
        Field(name="owner", kind=Kind.ID, target="User", optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="m", kind=Kind.INT, optional=True),
        Field(name="f", kind=Kind.FLOAT, optional=True),
        Field(name="b", kind=Kind.BOOL, optional=True),
        Field(name="at", kind=Kind.DATETIME, optional=True),
        Field(name="j", kind=Kind.JSON, optional=True),
        Field(name="v", kind=Kind.VECTOR, dimensions=2, optional=True),
    ),
)
MEMBER = EntitySpec(
    name="Member",
    fields=(
        Field(name="org", kind=Kind.STRING, optional=True),
        Field(name="user", kind=Kind.STRING, optional=True),
        Field(name="level", kind=Kind.INT, optional=True),
        Field(name="flag", kind=Kind.BOOL, optional=True),
    ),
)
USER = EntitySpec(name="User", fields=(Field(name="name", kind=Kind.STRING, optional=True),))
TYPES = compile_rows(ROW)
CALLERS = [
    ANONYMOUS,
    Identity(user_id="u1", tenant_id="abc", roles=("editor", "5"), email="a@example.com"),
    Identity(user_id="guest_1", is_guest=True),
    Identity(user_id="a", tenant_id=None, roles=("x",)),
]
MEMBERS = [("abc", "u1", 5, True), ("a", "a", 1, False), (None, None, None, None), ("5", "u1", 0, True)]

json_values = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS)
json_fields = st.none() | st.fixed_dictionaries(
    {},
    optional={"k": json_values, "l": st.lists(json_values, max_size=3), "o": st.fixed_dictionaries({"x": json_values})},
)
rows = st.fixed_dictionaries(
    {
        "s": st.none() | st.sampled_from(TEXTS),
        "owner": st.none() | st.sampled_from(["u1", "a", "abc"]),
        "n": st.none() | st.sampled_from([x for x in NUMBERS if isinstance(x, int)]),
        "m": st.none() | st.sampled_from([0, 1, -2, 5, 2**63 - 1]),
        "f": st.none() | st.sampled_from([float(x) for x in NUMBERS]),
        "b": st.none() | st.booleans(),
        "at": st.none() | st.sampled_from(["2026-11-20T00:00:00Z", "2020-01-01"]),
        "j": json_fields,
    }
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\0")
    return f'"{escaped}"'


literals = st.sampled_from(["null", "true", "false", "0", "1", "5", "-2", "1.5", "5.0", *map(quoted, TEXTS)])
references = st.sampled_from(
    ["auth.userId", "auth.tenantId", "auth.email", "auth.isAdmin", "auth.isGuest", "auth.roles"]
    + [f"data.{name}" for name in ("s", "owner", "n", "m", "f", "b", "at", "id")]
    + ["data.j", "data.j.k", "data.j.o.x", "data.j.l", "data.v", "existing.s", "data"]
)
numbers = st.sampled_from(["data.n", "data.m", "data.f", "data.j.k", "1", "5", "-2", "0"])
arithmetic = st.builds(lambda a, op, b: f"{a} {op} {b}", numbers, st.sampled_from(["+", "-", "*", "/", "%"]), numbers)
atoms = references | literals | st.just('ago("3d")')
comparisons = st.builds(
    lambda a, op, b: f"{a} {op} {b}", atoms | arithmetic, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), atoms
)
memberships = st.builds(
    lambda a, b: f"{a} in {b}",
    atoms,
    st.sampled_from(["auth.roles", "data.j", "data.j.l", '[1, "abc", true, "5"]', "[5]"]),
)
text_tests = st.builds(
    lambda f, a, b: f"{f}({a}, {b})",
    st.sampled_from(["starts_with", "ends_with", "contains"]),
    st.sampled_from(["data.s", "auth.userId", "data.j.k", "data.owner"]),
    st.sampled_from(["data.owner", "data.s", '"a"', '""', '"\\0"', "auth.userId"]),
)
exists = st.builds(
    lambda parts: f"exists(Member where {' and '.join(parts)})",
    st.lists(
        st.sampled_from(
            [
                "org == data.s",
                "org == auth.tenantId",
                "user == auth.userId",
                "user == data.owner",
                "level == data.n",
                "level == data.j.k",
                "org == data.j.k",
                "flag == data.b",
                "flag == true",
                "level == data.s",
                "org == null",
                "level == data.n + 1",
                "level == 1 / data.m",
                "flag == (data.n > 1)",
                "id == data.id",
            ]
        ),
        min_size=1,
        max_size=2,
    ),
)
leaves = (
    comparisons
    | st.builds(lambda a, op, b: f"{a} {op} {b}", atoms, st.sampled_from(["==", "!=", "<"]), arithmetic)
    | st.builds(lambda a: f"data.b == {a}", text_tests)
    | memberships
    | text_tests
    | exists
    | atoms
    | st.sampled_from(['auth.hasRole("editor")', 'auth.hasAnyRole("x", "y")'])
)
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds(lambda a: f"!({a})", inner)
        | st.builds(
            lambda a, op, b: f"({a}) {op} {b}",
            inner,
            st.sampled_from(["==", "!="]),
            literals | references | arithmetic,
        )
        | st.builds(lambda a, b: f"({a}) in {b}", inner, st.sampled_from(["data.j.l", "[true]"]))
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute(
        "CREATE TABLE Row (id TEXT, s TEXT, owner TEXT, n INTEGER, m INTEGER, f REAL, b INTEGER, at TEXT, j TEXT)"
    )
    connection.execute("CREATE TABLE Member (id TEXT, org TEXT, user TEXT, level INTEGER, flag INTEGER)")
    connection.executemany("INSERT INTO Member VALUES ('m', ?, ?, ?, ?)", MEMBERS)
    yield connection
    connection.close()


def store_has(database: apsw.Connection) -> Any:
    def resolve(entity: str, conditions: list[tuple[str, Any]]) -> bool:
        tests = " AND ".join(f'"{name}" = ?' for name, _ in conditions)
        sql = f'SELECT 1 FROM "{entity}" WHERE {tests}'
        return bool(database.execute(sql, [value for _, value in conditions]).fetchall())

    return resolve


def assert_both_forms_agree(database: apsw.Connection, expression: str, sample: list[dict[str, Any]]) -> None:
    policies = (PolicySpec(name="p", entity="Row", allow_read=expression),)
    rule = compile_entity_policy(AppSpec(name="x", entities=(ROW, MEMBER, USER), policies=policies), ROW).read
    forms = [rule.sql(SqliteDialect(), reach=reach) for reach in Reach]
    stored = [TYPES.convert_insert(row) for row in sample]
    database.execute("DELETE FROM Row")
    for i, row in enumerate(stored):
        row.id = str(i)
        json_text = None if row.j is None else json.dumps(row.j)
        values = (row.id, row.s, row.owner, row.n, row.m, row.f, row.b, row.at, json_text)
        database.execute("INSERT INTO Row VALUES (?,?,?,?,?,?,?,?,?)", values)
    for identity in CALLERS:
        allowed = {row.id for row in stored if rule.allows(identity, row, now=NOW, exists=store_has(database))}
        for sql in forms:
            selected = database.execute(f"SELECT id FROM Row t WHERE {sql.text}", sql.bind(identity, NOW)).fetchall()
            assert {row_id for (row_id,) in selected} == allowed, (expression, identity, sql.text)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=expressions, sample=st.lists(rows, min_size=1, max_size=4))
def test_sql_and_python_decide_alike(database: apsw.Connection, expression: str, sample: list[dict[str, Any]]) -> None:
    try:
        assert_both_forms_agree(database, expression, sample)
    except PolicyError:
        return  # refused at start: there is nothing to compare


INTEGERS = [None, 0, 1, -2, 5, -7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
AWKWARD_JSON = [None, True, False, 0, 1, -7, 5, 5.0, "", "5", " 5", "a", [], [5], ["a", None], {}, {"x": 1}, 2**70]
AWKWARD_ROWS = [
    *({"n": n, "m": m, "f": f} for n in INTEGERS for m in INTEGERS for f in (None, 0.0, -2.5, 5.0)),
    *(
        {"j": {"k": value, "l": [value], "o": {"x": value}}, "n": 5, "b": flag}
        for value in AWKWARD_JSON
        for flag in (None, True, False)
    ),
    *({"j": value, "s": "5", "b": True} for value in AWKWARD_JSON),
    *({"s": text, "owner": other, "n": 5} for text in (None, *TEXTS) for other in (None, *TEXTS)),
]
_SIGNS = ("==", "!=", "<", "<=", ">", ">=")
_PAIRS = [
    ("data.n % data.m", "-2"),
    ("data.n % 5", "data.m"),
    ("data.n / data.m", "2.5"),
    ("data.n + data.m", "data.f"),
    ("data.n - data.m", "0"),
    ("data.n * data.m", "data.n"),
    ("data.j.k + 1", "6"),
    ("data.j.k % 5", "0"),
    ("data.j.k", "null"),
    ("data.j.k", "data.n"),
    ("data.j.k", "data.s"),
    ("data.j.k", "data.b"),
    ("data.j.k", "data.j.o.x"),
    ("data.j", "null"),
    ("data.j", "5"),
    ("data.s", "data.owner"),
    ("data.s", "data.n"),
    ("data.s", '"5"'),
    ("data.n", "data.m"),
    ("data.n", "data.f"),
    ("data.n", "9007199254740992.0"),
    ("data.b", "true"),
    ("data.b", "null"),
    ("data.owner", "auth.userId"),
    ("data.v", "null"),
    ("data.v", "data.s"),
    ("auth.roles", "data.s"),
]
SHARP = [
    *(f"{left} {sign} {right}" for left, right in _PAIRS for sign in _SIGNS),
    *(
        f"{left} in {right}"
        for left in ("data.s", "data.n", "data.b", "data.j.k")
        for right in ("data.j.l", "auth.roles")
    ),
    *(f'{left} in [5, "5", "a", true]' for left in ("data.s", "data.n", "data.b", "data.j.k")),
    *(f"{test}(data.s, data.owner)" for test in ("starts_with", "ends_with", "contains")),
    *(f"{test}(data.j.k, data.s)" for test in ("starts_with", "ends_with", "contains")),
    *("data.s", "data.n", "data.f", "data.b", "data.j", "data.j.k", "data.v", "data", "data.n / data.m"),
    "data.n / data.m == 1 || true",
    "true || data.n / data.m == 1",
    "data.b == true && data.n / data.m == 1",
    "(data.n / data.m == 1) == data.b",
    "(data.b == true) == data.n + 1",
    "exists(Member where level == data.n and flag == true)",
    "exists(Member where level == data.j.k)",
    "exists(Member where org == data.s)",
    "exists(Member where org == data.s and user == auth.userId)",
    "data.b || exists(Member where org == data.owner and user == auth.userId and flag == true)",
    "!exists(Member where org == data.s and user == auth.userId)",
    "exists(Member where level == data.f)",
    "exists(Member where level == 5 / data.m)",
]


@pytest.mark.parametrize("expression", SHARP)
def test_awkward_values_are_decided_alike_also_when_negated(database: apsw.Connection, expression: str) -> None:
    assert_both_forms_agree(database, expression, AWKWARD_ROWS)
    assert_both_forms_agree(database, f"!({expression})", AWKWARD_ROWS)


def test_an_owner_rule_stays_a_plain_comparison_that_an_index_serves() -> None:
    policies = (PolicySpec(name="p", entity="Row", allow_read="auth.userId != null && auth.userId == data.owner"),)
    rule = compile_entity_policy(AppSpec(name="x", entities=(ROW, USER), policies=policies), ROW).read
    sql = rule.sql(SqliteDialect())
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE Row (id TEXT, owner TEXT)")
    connection.execute("CREATE INDEX by_owner ON Row (owner)")
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM Row t WHERE {sql.text}", sql.bind(CALLERS[1], NOW)
    ).fetchall()
    assert any("by_owner" in str(step) for step in plan), plan


def sql_of(expression: str, alias: str = "t") -> str:
    policies = (PolicySpec(name="p", entity="Row", allow_read=expression),)
    app = AppSpec(name="x", entities=(ROW, MEMBER, USER), policies=policies)
    return compile_entity_policy(app, ROW).read.sql(SqliteDialect(), alias).text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("true", "TRUE"),
        ("auth.userId == data.owner", 't."owner" = :p_userId'),
        ("data.owner == auth.userId", 't."owner" = :p_userId'),
        ("auth.userId == data.owner && data.b", 't."owner" = :p_userId AND t."b"'),
        ("auth.userId == data.owner || data.b", '(t."owner" = :p_userId OR t."b")'),
        ("data.owner == null", 't."owner" IS NULL'),
        ("data.s != 'draft'", "t.\"s\" IS DISTINCT FROM 'draft'"),
        ("!(auth.userId == data.owner)", 'NOT ((t."owner" = :p_userId) IS TRUE)'),
        ('data.s == "it\'s"', "t.\"s\" = 'it''s'"),
        ('data.at > ago("1h")', 't."at" > :p_ago_3600'),
        (
            "exists(Member where org == data.s and user == auth.userId)",
            'EXISTS (SELECT 1 FROM "Member" t_1 WHERE t_1."org" = t."s" AND t_1."user" = :p_userId)',
        ),
    ],
)
def test_the_sql_of_common_rules_is_as_a_person_would_write_it(expression: str, text: str) -> None:
    assert sql_of(expression) == text


def test_the_alias_is_the_callers_choice() -> None:
    assert sql_of("auth.userId == data.owner", "r") == 'r."owner" = :p_userId'


def test_two_rules_fit_into_one_statement(database: apsw.Connection) -> None:
    app = AppSpec(name="x", entities=(ROW,))
    first = compile_scope(app, ROW, "auth.hasRole('editor') || data.s == 'a'").sql(SqliteDialect())
    second = compile_scope(app, ROW, "auth.hasRole('x') || data.s == 'b'").sql(SqliteDialect())
    database.execute("DELETE FROM Row")
    database.execute("INSERT INTO Row (id, s) VALUES ('1', 'a'), ('2', 'b')")
    sql = f"SELECT id FROM Row t WHERE {first.text} AND {second.text}"
    parameters = first.bind(CALLERS[1], NOW) | second.bind(CALLERS[1], NOW)
    assert database.execute(sql, parameters).fetchall() == [("2",)]


def test_only_the_parameters_change_from_caller_to_caller() -> None:
    app = AppSpec(name="x", entities=(ROW,))
    sql = compile_scope(app, ROW, "auth.userId == data.owner && !auth.isGuest").sql(SqliteDialect())
    bound = [sql.bind(identity, NOW) for identity in CALLERS]
    assert {tuple(parameters) for parameters in bound} == {tuple(bound[0])}
    assert bound[0] != bound[1]
