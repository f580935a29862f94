"""What a run reads is written down such that no change of its result is ever missed."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from pylon.compute.database import Codecs, Database
from pylon.compute.dependencies import Dependencies
from pylon.compute.reads import LOOKED_UP
from pylon.compute.recorder import READS_PER_ENTITY, RecordedRows, Recorder
from pylon.engine.caller import SYSTEM
from pylon.engine.limits.gate import Viewer
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority, Batch, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.ids import RowIds
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.store.protocol import WriteSession
from pylon.store.sqlite.database import SqliteStore

EXAMPLES = 5000 if os.environ.get("PYLON_TEST_LONG") else 200

THING = EntitySpec(
    name="Thing",
    fields=(
        Field(name="text", kind=Kind.STRING, optional=True),
        Field(name="state", kind=Kind.STRING, optional=True, enum_values=("open", "done")),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="x", kind=Kind.FLOAT, optional=True),
        Field(name="flag", kind=Kind.BOOL, optional=True),
        Field(name="owner", kind=Kind.ID, target="Other", optional=True),
        Field(name="meta", kind=Kind.JSON, optional=True),
    ),
)
OTHER = EntitySpec(name="Other", fields=(Field(name="text", kind=Kind.STRING, optional=True),))
APP = AppSpec(name="things", entities=(THING, OTHER))

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(["a", "A", "b", "Σς", "ab", "", "5", "5.0", "é", "z%_", "a\0b"]),
    "state": st.sampled_from(["open", "done"]),
    "n": st.sampled_from([0, 1, 2, 5, -1, 2**53, 2**53 + 1, 2**63 - 1]),
    "x": st.sampled_from([0.0, -0.0, 1.0, 0.1, 5.0, 1.5, 2.0**53, 1e300]),
    "flag": st.booleans(),
    "owner": st.sampled_from(["u1", "u2"]),
    "meta": st.sampled_from([[], {}, {"a": 1}, 1, "a", [1]]),
}
OPERANDS = st.sampled_from(
    [None, "a", "A", "5", "", "b", "open", "u1", "ς", "%", "a\0", 0, 1, 5, 5.0, 0.1, 1.5, True, False, 2**53 + 1, 2**70]
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    return {name: draw(values) for name, values in VALUES.items() if draw(st.booleans())}


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from([*VALUES, "id"]), max_size=2, unique=True)):
        operand = st.one_of(VALUES.get(name, st.none()), OPERANDS)
        match draw(st.sampled_from(["plain", "plain", "$gt", "$gte", "$lt", "$lte", "$not", "$in", "$like"])):
            case "plain":
                value = draw(operand)
                found[name] = value if not isinstance(value, dict) else None
            case "$in":
                found[name] = {"$in": draw(st.lists(operand.filter(lambda v: not isinstance(v, dict | list))))}
            case "$like":
                found[name] = {"$like": draw(VALUES["text"])}
            case operator:
                found[name] = {operator: draw(operand.filter(lambda v: not isinstance(v, dict | list)))}
    match draw(st.integers(0, 8)):
        case 0:
            return {"$or": [found, {"n": draw(VALUES["n"])}]}
        case 1:
            return {"$not": found, "state": draw(VALUES["state"])}
    return found


@dataclasses.dataclass(frozen=True)
class Query:
    verb: str
    filter: dict[str, Any]
    options: dict[str, Any]

    def run(self, db: Database) -> Any:
        if self.verb == "count":
            return db.count("Thing", dict(self.filter))
        if self.verb == "aggregate":
            return db.aggregate("Thing", dict(self.filter), count="*", max=["n"], group_by=["state"])
        return [repr(row) for row in db.query("Thing", dict(self.filter), **self.options)]


@st.composite
def queries(draw: st.DrawFn) -> Query:
    verb = draw(st.sampled_from(["query", "query", "query", "count", "aggregate"]))
    if verb != "query":
        return Query(verb, draw(conditions()), {})
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["order"] = draw(
            st.lists(st.sampled_from(["n", "-n", "x", "text", "-text", "flag", "-id", "meta", "-state"]), min_size=1)
        )
    if draw(st.booleans()):
        options["limit"] = draw(st.integers(0, 3))
        options["offset"] = draw(st.integers(0, 2))
    return Query("query", draw(conditions()), options)


class Anybody:
    """A viewer whom nothing is kept from."""

    def may_read(self, plan: Any) -> None: ...

    def shown(self, plan: Any, rows: Any) -> None: ...


class Bench:
    """One open transaction that is undone after each example."""

    def __init__(self, plans: Plans, session: WriteSession) -> None:
        self.plans = plans
        self.session = session
        self._codecs = Codecs(plans)
        self._ids = RowIds()
        self.begin()

    def begin(self) -> None:
        self.transaction = Transaction(Batch(self.session, self.plans, self._ids, 0.0), SYSTEM, Authority.TRUSTED)

    def insert(self, values: dict[str, Any], entity: str = "Thing") -> Change:
        plan = self.plans[entity]
        return self.transaction.insert(plan, plan.types.convert_insert(values))

    def update(self, row_id: str, values: dict[str, Any]) -> Change | None:
        plan = self.plans["Thing"]
        return self.transaction.update(plan, row_id, plan.types.convert_patch(values))

    def delete(self, row_id: str) -> Change:
        return self.transaction.delete(self.plans["Thing"], row_id)

    def database(self, recorder: Recorder | None = None) -> Database:
        rows = self.transaction if recorder is None else RecordedRows(self.session, self.plans, recorder)
        return Database(self._codecs, rows, None, cast("Viewer", Anybody()))

    def watched(self, run: Any) -> tuple[Any, Dependencies[str]]:
        """The result of a run, and what it depends on."""
        recorder, dependencies = Recorder(), Dependencies[str]()
        result = run(self.database(recorder))
        dependencies.put("it", recorder.reads)
        return result, dependencies


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plans, WriteSession]]:
    plans = Plans(APP)
    store = SqliteStore(
        tmp_path_factory.mktemp("things") / "pylon.db", {name: plan.types for name, plan in plans.items()}
    )
    store.apply(APP.entities)
    writer = store.writer()
    writer.begin()
    yield plans, writer
    writer.rollback()
    writer.close()


@pytest.fixture
def bench(session: tuple[Plans, WriteSession]) -> Iterator[Bench]:
    bench = Bench(*session)
    bench.session.savepoint()
    yield bench
    bench.session.undo()


WRITES = st.lists(
    st.tuples(st.sampled_from(["insert", "update", "update", "delete"]), st.integers(0, 9), rows()),
    min_size=1,
    max_size=5,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(rows(), max_size=6), query=queries(), writes=WRITES)
def test_a_run_that_no_change_touched_would_come_out_the_same(
    bench: Bench, data: list[dict[str, Any]], query: Query, writes: list[tuple[str, int, dict[str, Any]]]
) -> None:
    bench.session.savepoint()
    try:
        bench.begin()
        ids = [bench.insert(row).row_id for row in data]
        try:
            result, dependencies = bench.watched(query.run)
        except PylonError:  # a filter that says nothing sensible
            assume(False)
        for kind, at, values in writes:
            change: Change | None
            if kind == "insert" or not ids:
                change = bench.insert(values)
                ids.append(change.row_id)
            elif kind == "update":
                change = bench.update(ids[at % len(ids)], values)
            else:
                change = bench.delete(ids.pop(at % len(ids)))
            if change is None:
                continue
            if dependencies.touched_by(change):
                before = result
                result, dependencies = bench.watched(query.run)
                event("touched, and the result is another" if result != before else "touched in vain")
            else:
                event("untouched")
                assert query.run(bench.database()) == result
    finally:
        bench.session.undo()


# -- what is told apart ------------------------------------------------------------------------------------------


def touched(bench: Bench, run: Any, change: Any) -> bool:
    _, dependencies = bench.watched(run)
    made = change()
    assert made is not None
    return bool(dependencies.touched_by(made))


def test_a_row_that_was_asked_for_and_is_not_there_is_waited_for(bench: Bench) -> None:
    made = bench.insert({"text": "a"})
    bench.delete(made.row_id)
    _, dependencies = bench.watched(lambda db: db.get("Thing", made.row_id))
    assert dependencies.touched_by(bench.insert({"id": made.row_id}))
    assert not dependencies.touched_by(bench.insert({"text": "another"}))


def test_a_change_of_another_entity_or_another_value_touches_nothing(bench: Bench) -> None:
    row = bench.insert({"owner": "u1", "n": 1})
    mine = lambda db: db.query("Thing", owner="u1")  # noqa: E731 - a function of the app, in short
    assert not touched(bench, mine, lambda: bench.insert({"text": "x"}, "Other"))
    assert not touched(bench, mine, lambda: bench.insert({"owner": "u2"}))
    assert touched(bench, mine, lambda: bench.update(row.row_id, {"owner": "u2"}))
    assert not touched(bench, mine, lambda: bench.update(row.row_id, {"n": 3}))
    assert touched(bench, mine, lambda: bench.update(row.row_id, {"owner": "u1"}))


def test_a_count_is_touched_only_by_rows_that_come_or_go(bench: Bench) -> None:
    row = bench.insert({"state": "open", "n": 1})
    count = lambda db: db.count("Thing", state="open")  # noqa: E731
    assert not touched(bench, count, lambda: bench.update(row.row_id, {"n": 2}))
    assert touched(bench, count, lambda: bench.update(row.row_id, {"state": "done"}))


def test_what_sorts_behind_a_full_page_does_not_touch_it(bench: Bench) -> None:
    rows = [bench.insert({"n": n}).row_id for n in (5, 2, 1, 0)]
    page = lambda db: db.query("Thing", order="-n", limit=2)  # noqa: E731
    assert not touched(bench, page, lambda: bench.insert({"n": 1}))
    assert not touched(bench, page, lambda: bench.delete(rows[3]))
    assert touched(bench, page, lambda: bench.insert({"n": 3}))
    assert touched(bench, page, lambda: bench.update(rows[2], {"n": 9}))
    assert touched(bench, page, lambda: bench.delete(rows[0]))


def test_a_page_that_is_not_full_is_touched_by_all_that_matches(bench: Bench) -> None:
    bench.insert({"n": 5})
    assert touched(bench, lambda db: db.query("Thing", order="-n", limit=2), lambda: bench.insert({"n": 1}))


def test_an_update_whose_row_before_is_unknown_touches_whoever_reads_the_entity(bench: Bench) -> None:
    row = bench.insert({"owner": "u2"})
    _, dependencies = bench.watched(lambda db: db.query("Thing", owner="u1"))
    change = bench.update(row.row_id, {"n": 1})
    assert change is not None
    assert not dependencies.touched_by(change)
    change.old = None
    assert dependencies.touched_by(change)


def test_a_run_with_very_many_reads_depends_on_the_whole_entity(bench: Bench) -> None:
    def run(db: Database) -> None:
        for n in range(READS_PER_ENTITY + 1):
            db.query("Thing", n=n)

    _, dependencies = bench.watched(run)
    assert len(dependencies) == 1
    assert dependencies.touched_by(bench.insert({"n": -7}))


def test_a_long_list_of_values_is_evaluated_rather_than_looked_up(bench: Bench) -> None:
    run = lambda db: db.query("Thing", {"n": {"$in": list(range(LOOKED_UP + 1))}})  # noqa: E731
    assert touched(bench, run, lambda: bench.insert({"n": LOOKED_UP}))
    assert not touched(bench, run, lambda: bench.insert({"n": LOOKED_UP + 1}))


def test_what_is_dropped_is_gone(bench: Bench) -> None:
    recorder = Recorder()
    bench.database(recorder).query("Thing", owner="u1")
    bench.database(recorder).query("Thing", {"n": {"$gt": 1}})
    dependencies = Dependencies[int]()
    for holder in (1, 2):
        dependencies.put(holder, recorder.reads)
    assert len(dependencies) == 2
    dependencies.put(1, [])
    dependencies.drop(2)
    assert len(dependencies) == 0
    assert not dependencies.touched_by(bench.insert({"owner": "u1", "n": 3}))


def test_the_reads_of_others_cost_nothing_to_pass_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    dependencies = Dependencies[int]()
    for holder in range(1000):
        recorder = Recorder()
        bench.database(recorder).query("Thing", owner=f"u{holder}")
        dependencies.put(holder, recorder.reads)
    evaluated = itertools.count()
    one = bench.insert({"owner": "u7"})
    monkeypatch.setattr("pylon.compute.reads.Read.touched_by", lambda self, change: next(evaluated) >= 0)
    assert dependencies.touched_by(one) == {7}
    assert next(evaluated) == 1
