"""The 84 rows of spec 05 §10.6, each in both forms, and the rows with a live `exists` below them.

`said` is what release R answers. Where ours differs, `deviation` is the number in design §4 that says so; `refused`
means that the server does not start with such a policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import apsw
import pytest

from pylon.model.identity import ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.names import Scope, resolve
from pylon.policy.predicate import compile_predicate
from pylon.policy.rules import PolicyError, compile_app_policies
from pylon.policy.sql import SqliteDialect
from pylon.policy.syntax import parse
from tests.policy.table import APP, CALLERS, NOTE, NOW, ROW, rule, sql_allows

Answer = Literal["allow", "deny", "refused"]


@dataclass(frozen=True)
class Case:
    row: int
    expression: str
    caller: str
    said: Answer
    ours: Answer
    deviation: int | None = None
    has_row: bool = True

    def __str__(self) -> str:
        return f"{self.row}: {self.expression} [{self.caller}]"


def same(row: int, answer: Answer, *expressions: str, caller: str = "u1") -> list[Case]:
    return [Case(row, expression, caller, answer, answer) for expression in expressions]


def changed(
    row: int, said: Answer, ours: Answer, deviation: int, *expressions: str, caller: str = "u1", has_row: bool = True
) -> list[Case]:
    return [Case(row, expression, caller, said, ours, deviation, has_row) for expression in expressions]


CASES = [
    *same(1, "allow", "true"),
    *same(3, "deny", "null"),
    *same(4, "allow", "auth.userId"),
    *same(4, "deny", "auth.userId", caller="anon"),
    *same(5, "deny", "auth.userId != null", caller="anon"),
    *same(6, "allow", "auth.userId != null", caller="guest"),
    *same(7, "allow", "auth.userId == data.ownerId"),
    *same(8, "deny", "auth.userId == data.ownerId", caller="anon"),
    *changed(9, "allow", "deny", 1, "auth.userId == data.nul", caller="anon"),
    *changed(10, "allow", "refused", 2, "auth.userId == data.missing", caller="anon"),
    *changed(11, "allow", "deny", 1, "auth.userId == data.ownerId", caller="anon", has_row=False),
    *same(12, "allow", "auth.user_id == 'u1'"),
    *same(13, "deny", "auth.isAdmin"),
    *same(13, "allow", "auth.isAdmin", caller="admin"),
    *changed(14, "deny", "allow", 4, "auth.isGuest", caller="guest"),
    *changed(15, "allow", "deny", 4, "!auth.isGuest", caller="guest"),
    *same(16, "allow", 'auth.tenantId == "t1"'),
    *same(17, "allow", "auth.roles == null"),
    *same(18, "allow", 'auth.hasRole("editor")'),
    *same(19, "deny", "auth.hasRole('nope')"),
    *changed(20, "deny", "refused", 2, 'auth.hasRole("editor","x")', "auth.hasRole()"),
    *changed(21, "deny", "refused", 2, "auth.hasRole(data.s)"),
    *same(22, "allow", 'auth.hasAnyRole("x","editor")'),
    *same(23, "deny", 'auth.hasAnyRole("x",)'),
    *same(24, "allow", 'auth.hasAnyRole("x")', caller="admin"),
    *changed(25, "deny", "refused", 2, 'auth.has_role("editor")', 'hasRole("editor")'),
    *changed(26, "deny", "allow", 4, "auth.userId in data.arr"),
    *changed(27, "deny", "allow", 4, "data.n in [1,5]"),
    *same(28, "deny", "data.arr", "data.obj"),
    *same(29, "allow", "data.arr == null"),
    *same(30, "deny", "data.obj != null"),
    *same(31, "allow", 'data.obj.k == "v"'),
    *same(32, "allow", "data.obj.deep.x == 1"),
    *same(33, "deny", 'data.arr.0 == "u1"', "data.arr.length == 1"),
    *same(34, "allow", "data.n == 5", "data.n == 5.0", 'data.n == "5"'),
    *same(35, "allow", "data.ns == 5", "data.ns == data.n"),
    *same(36, "allow", "data.one == 1"),
    *same(37, "allow", "data.n > 4", "data.n >= 5", "data.n <= 5"),
    *same(38, "deny", "data.n < 5"),
    *same(39, "allow", 'data.n > "4"', "data.ns > 4"),
    *same(40, "allow", "data.neg == -2", "data.neg > -3", "data.n > -1"),
    *same(41, "allow", 'data.s > "abb"'),
    *same(42, "deny", "data.s > 1"),
    *same(43, "deny", "data.t > false"),
    *same(44, "deny", "data.nul < 1", "data.nul <= null"),
    *changed(44, "deny", "refused", 2, "data.missing > 1"),
    *same(45, "allow", "data.n"),
    *same(45, "deny", "data.z"),
    *same(46, "allow", "data.s"),
    *same(46, "deny", "data.es"),
    *same(47, "allow", "data.t == true"),
    *same(48, "deny", 'data.t == "true"', "data.t == 1"),
    *same(49, "deny", "data.nul == false", 'data.nul == ""', "null == 0"),
    *same(50, "deny", "data.es == null"),
    *changed(51, "allow", "refused", 2, 'data.missing != "x"'),
    *same(52, "allow", "!data.nul"),
    *changed(53, "allow", "refused", 2, "!data.missing == true"),
    *same(54, "deny", "!auth.userId == null"),
    *same(55, "allow", "true || false && false"),
    *same(56, "deny", "(true || false) && false"),
    *changed(57, "deny", "refused", 2, "true and true", "not true"),
    *changed(58, "deny", "refused", 2, "data.n = 5", "data.n === 5"),
    *changed(59, "deny", "refused", 2, "true == (1 == 1)", "data.n == (5)"),
    *same(60, "allow", "(data.n == 5) == true"),
    *changed(61, "deny", "refused", 2, "1 < data.n < 10"),
    *changed(62, "allow", "refused", 2, "input.n > data.n"),
    *same(63, "allow", 'existing.ownerId == "u1"'),
    *same(64, "allow", "existing == null", "data == null", "auth == null"),
    *changed(65, "deny", "refused", 2, 'record.ownerId == "u1"', 'ownerId == "u1"'),
    *changed(66, "allow", "refused", 2, "ownerId == null", "undefined == null", "NULL == null"),
    *same(67, "allow", 'data.ts > ago("30d")'),
    *same(68, "deny", 'data.ts > ago("1d")'),
    *same(69, "deny", 'data.epoch < ago("30d")'),
    *same(70, "deny", 'ago("1d12h") < data.ts'),
    *changed(71, "deny", "refused", 2, 'data.ts > ago("1y")', 'data.ts > ago("30")', "data.ts > ago(30)"),
    *changed(72, "deny", "refused", 2, "now() > data.ts"),
    *same(73, "deny", '"10" > "9"'),
    *same(73, "allow", '"10" > 9'),
    *same(74, "allow", '" 5" == 5'),
    *same(74, "deny", '"abc" == 5'),
    *same(75, "allow", r"""'it\'s' == "it's" """),
    *changed(76, "deny", "refused", 2, r'"a\qb" == "a"'),
    *same(77, "allow", "01 == 1", "1.5 == 1.50"),
    *changed(78, "deny", "refused", 2, "1e3 == 1000", ".5 == 0.5", "5. == 5"),
    *changed(79, "deny", "allow", 4, "data.n + 1 == 6", "data.n % 2 == 1"),
    *same(80, "deny", 'exists(Todo where id == "x") == true'),
    *changed(81, "allow", "deny", 2, '!exists(Todo where id == "x")'),
    *changed(82, "deny", "refused", 2, "exists(Todo)", "exists(Todo where true)", "exists(Todo where n > 3)"),
    *changed(83, "deny", "refused", 2, "true true", "(true", "()", "true &&"),
    *changed(84, "deny", "refused", 2, "TRUE"),
]


def evaluate(expression: str, identity: Identity, row: Any) -> bool:
    expr = resolve(parse(expression), Scope(APP, NOTE, frozenset({"auth", "data", "existing"})))
    return compile_predicate(expr)(identity, row, None, NOW, None)


def test_every_row_of_the_table_is_here() -> None:
    assert {case.row for case in CASES} | {2} == set(range(1, 85))


def test_row_2_false_denies_an_admin_within_the_evaluator_and_the_bypass_is_outside_it() -> None:
    assert not evaluate("false", CALLERS["admin"], ROW)
    assert rule("false").allows(CALLERS["admin"], ROW, now=NOW)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_python_form(case: Case) -> None:
    assert (case.said == case.ours) == (case.deviation is None)
    if case.ours == "refused":
        with pytest.raises(PolicyError):
            rule(case.expression)
        return
    row = ROW if case.has_row else None
    allowed = rule(case.expression).allows(CALLERS[case.caller], row, now=NOW)
    assert ("allow" if allowed else "deny") == case.ours


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.ours != "refused" and c.has_row and not c.expression.startswith("!exists")], ids=str
)
def test_sql_form(case: Case) -> None:
    allowed = sql_allows(rule(case.expression), CALLERS[case.caller])
    assert ("allow" if allowed else "deny") == case.ours


def test_an_overflowing_ago_is_refused_where_release_r_panics() -> None:
    with pytest.raises(PolicyError, match="thousand years"):
        rule('data.ts > ago("99999999999d")')


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("9007199254740993 == 9007199254740992", False),
        ("9007199254740993 == 9007199254740993.0", False),
        ('"9007199254740993" == 9007199254740993', True),
        ('"9007199254740993" == 9007199254740992', False),
    ],
)
def test_deviation_3_integers_compare_exactly(expression: str, expected: bool) -> None:
    assert rule(expression).allows(ANONYMOUS, ROW, now=NOW) is expected


# -- live rows with exists ---------------------------------------------------------------------------------------

ORG = EntitySpec(
    name="Org",
    fields=(
        Field(name="orgId", kind=Kind.STRING, optional=True),
        Field(name="ownerId", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
    ),
)
MEMBER = EntitySpec(
    name="Member",
    fields=(
        Field(name="orgId", kind=Kind.STRING, optional=True),
        Field(name="userId", kind=Kind.STRING, optional=True),
        Field(name="lvl", kind=Kind.INT, optional=True),
        Field(name="flag", kind=Kind.BOOL, optional=True),
    ),
)
ORGS = [("o1", "u1", 3), ("o2", "u2", 1), (None, None, 0)]
MEMBERS = [("o1", "u1", 3, True), ("o2", "u2", 1, False)]
U1, U2 = Identity(user_id="u1"), Identity(user_id="u2")

LIVE = [
    ("exists(Member where orgId == data.orgId)", U1, [0, 1]),
    ("exists(Member where orgId == data.orgId)", U2, [0, 1]),
    ("exists(Member where orgId == data.orgId)", ANONYMOUS, [0, 1]),
    ("exists(Member where orgId == data.orgId and userId == auth.userId)", U1, [0]),
    ("exists(Member where orgId == data.orgId and userId == auth.userId)", U2, [1]),
    ("exists(Member where orgId == data.orgId and userId == auth.userId)", ANONYMOUS, []),
    ("exists(Member where userId == auth.userId)", ANONYMOUS, []),
    ("exists(Member where userId == auth.userId)", U1, [0, 1, 2]),
    ("exists(Member where lvl == data.n)", U1, [0, 1]),
    ("exists(Member where flag == true and orgId == data.orgId)", U1, [0]),
    ("!exists(Member where userId == auth.userId)", ANONYMOUS, [0, 1, 2]),
    ("!exists(Member where userId == auth.userId)", U1, []),
]


@pytest.fixture(scope="module")
def orgs() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE Org (id TEXT, orgId TEXT, ownerId TEXT, n INTEGER)")
    connection.execute("CREATE TABLE Member (id TEXT, orgId TEXT, userId TEXT, lvl INTEGER, flag INTEGER)")
    for i, values in enumerate(ORGS):
        connection.execute("INSERT INTO Org VALUES (?, ?, ?, ?)", (str(i), *values))
    connection.executemany("INSERT INTO Member VALUES ('m', ?, ?, ?, ?)", MEMBERS)
    return connection


@pytest.mark.parametrize(("expression", "identity", "visible"), LIVE)
def test_live_rows_with_exists(orgs: apsw.Connection, expression: str, identity: Identity, visible: list[int]) -> None:
    policies = (
        PolicySpec(name="org", entity="Org", allow_read=expression),
        PolicySpec(name="member", entity="Member", allow="false"),  # the inner entity's own policy has no say
    )
    read = compile_app_policies(AppSpec(name="live", entities=(ORG, MEMBER), policies=policies))["Org"].read
    sql = read.sql(SqliteDialect())
    selected = orgs.execute(f"SELECT id FROM Org t WHERE {sql.text} ORDER BY id", sql.bind(identity, NOW)).fetchall()
    assert [int(row_id) for (row_id,) in selected] == visible

    def has(entity: str, conditions: list[tuple[str, Any]]) -> bool:
        tests = " AND ".join(f'"{name}" = ?' for name, _ in conditions)
        return bool(orgs.execute(f'SELECT 1 FROM "{entity}" WHERE {tests}', [v for _, v in conditions]).fetchall())

    types = compile_rows(ORG)
    rows = [types.convert_insert({"orgId": o, "ownerId": w, "n": n}) for o, w, n in ORGS]
    assert [i for i, row in enumerate(rows) if read.allows(identity, row, now=NOW, exists=has)] == visible
