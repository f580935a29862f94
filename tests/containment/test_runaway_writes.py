"""Runaway writers: budgets by user and address, and containment that sheds the biggest first and lets back in."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.engine.audit.search import AuditFilter
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.buckets import Buckets
from pylon.engine.limits.containment import CALM_SECONDS, STEP_SECONDS, Containment, Level, Watermarks
from pylon.engine.limits.gate import RateLimits
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.conftest import ADMINISTRATOR
from tests.containment.conftest import APP
from tests.containment.test_switches import eventually

OPERATIONS = AuditFilter(kinds=frozenset(("operator",)))

OPEN = AppSpec(
    name="open",
    entities=(EntitySpec(name="Note", fields=(Field(name="title", kind=Kind.STRING),)),),
    policies=(PolicySpec(name="all", entity="Note", allow="true"),),
)


def caller(user: str | None, ip: str = "10.0.0.1") -> Caller:
    return Caller(identity=Identity(user_id=user), ip=ip, door="http")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def write(engine: Engine, who: Caller, rows: int = 1) -> None:
    for _ in range(rows):
        await engine.insert(who, "Note", b'{"title":"x"}')


async def refusal(engine: Engine, who: Caller) -> PylonError:
    with pytest.raises(PylonError) as refused:
        await write(engine, who)
    return refused.value


# -- buckets -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.5, 5)), max_size=200),
    st.floats(0.5, 50),
    st.floats(1, 100),
)
def test_a_bucket_never_gives_more_than_its_burst_and_rate(
    takes: list[tuple[float, float]], rate: float, burst: float
) -> None:
    clock = Clock()
    buckets = Buckets(rate, burst, clock=clock)
    given_out = 0.0
    for pause, tokens in takes:
        clock.now += pause
        wanted = min(tokens, burst)
        if buckets.take("k", wanted) == 0.0:
            given_out += wanted
        assert given_out <= burst + rate * (clock.now - 1000.0) + 1e-6


@given(st.floats(0.5, 50), st.floats(1, 20), st.integers(1, 50))
def test_waiting_as_long_as_a_bucket_says_is_enough(rate: float, burst: float, tries: int) -> None:
    clock = Clock()
    buckets = Buckets(rate, burst, clock=clock)
    for _ in range(tries):
        wait = buckets.take("k")
        if wait:
            clock.now += wait + 1e-6
            assert buckets.take("k") == 0.0


def test_buckets_are_bounded_and_the_longest_unused_goes() -> None:
    buckets = Buckets(1, 1, keys=3)
    for key in "abcd":
        buckets.take(key)
    assert len(buckets) == 3
    assert buckets.take("a") == 0.0


# -- budgets -----------------------------------------------------------------------------------------------------


async def test_a_user_over_its_budget_waits_and_others_do_not(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path, rate_limits=RateLimits(1, 5, 1000, 1000)) as engine:
        await write(engine, caller("mallory"), 5)
        error = await refusal(engine, caller("mallory"))
        assert (error.code, error.status) == ("RATE_LIMITED", 429)
        assert int((error.headers or {})["Retry-After"]) >= 1
        await write(engine, caller("alice"), 5)


async def test_an_address_over_its_budget_waits_whoever_it_says_it_is(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path, rate_limits=RateLimits(1000, 1000, 1, 5)) as engine:
        for n in range(5):
            await write(engine, caller(f"user-{n}"))
        assert (await refusal(engine, caller("user-9"))).code == "RATE_LIMITED"
        await write(engine, caller("user-9", ip="10.0.0.2"))


async def test_a_request_that_writes_many_rows_pays_for_them_all(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path, rate_limits=RateLimits(1, 100, 0, 0)) as engine:
        plan = engine.plans["Note"]
        await engine.run(
            caller("mallory"),
            lambda tx: [tx.insert(plan, plan.types.decode_insert(b'{"title":"x"}')) for _ in range(150)],
        )
        error = await refusal(engine, caller("mallory"))
        assert int((error.headers or {})["Retry-After"]) >= 50


async def test_admins_have_no_budget(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path, rate_limits=RateLimits(1, 1, 1, 1)) as engine:
        await write(engine, ADMINISTRATOR, 20)


def test_the_http_answer_is_429_with_retry_after(tmp_path: Path) -> None:
    env = {"PYLON_WRITES_PER_USER": "1", "PYLON_WRITES_PER_USER_BURST": "3"}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        token = server.token_of("mallory")
        statuses = [server.request("POST", "/api/entities/Note", {"title": "x"}, token=token)[0] for _ in range(5)]
        assert statuses == [201, 201, 201, 429, 429]
        request = urllib.request.Request(
            f"{server.url}/api/fn/note",
            data=b'{"title":"x"}',
            headers={"Authorization": f"Bearer {token}"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        refused.value.close()
        push = {"entity": "Note", "row_id": "a" * 40, "kind": "insert", "data": {"title": "x"}, "op_id": "1"}
        assert server.request("POST", "/api/sync/push", {"changes": [push]}, token=token)[0] == 429
        assert server.request("GET", "/api/entities/Note", token=token)[0] == 200


async def test_top_talkers_name_who_writes(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        await write(engine, caller("mallory", "10.6.6.6"), 20)
        await write(engine, caller("alice"), 2)
        talkers = engine.gate.talkers
        assert [name for name, _ in talkers.users.top(2)] == ["mallory", "alice"]
        assert talkers.addresses.top(1)[0][0] == "10.6.6.6"
        assert talkers.entities.top(1)[0][0] == "Note"


# -- containment -------------------------------------------------------------------------------------------------


async def contained(engine: Engine, clock: Clock, seconds: float) -> None:
    """Let containment look once a second."""
    for _ in range(int(seconds)):
        clock.now += 1.0
        await engine.containment.look()


async def test_containment_sheds_the_top_writer_first_then_anonymous_then_all_but_admins(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        clock = Clock()
        engine.containment = Containment(engine, Watermarks(wal_bytes=1), clock)
        await write(engine, caller("mallory"), 20)
        await write(engine, caller("alice"), 2)
        await contained(engine, clock, 1)
        assert engine.containment.level is Level.TOP_WRITER
        assert (await refusal(engine, caller("mallory"))).status == 429
        await write(engine, caller("alice"))
        await write(engine, caller(None))
        await contained(engine, clock, STEP_SECONDS)
        assert engine.containment.level is Level.ANONYMOUS
        assert (await refusal(engine, caller(None))).status == 429
        await write(engine, caller("alice"))
        await contained(engine, clock, STEP_SECONDS)
        assert engine.containment.level is Level.ALL_BUT_ADMINS
        assert (await refusal(engine, caller("alice"))).status == 503
        await write(engine, ADMINISTRATOR)
        noted = [e.details for e in await engine.audit.search(OPERATIONS) if e.action == "containment.shed"]
        assert [d["level"] for d in noted] == [3, 2, 1]
        assert all("write-ahead log" in str(d["cause"]) for d in noted)


async def test_containment_lets_everybody_back_in_when_it_is_calm(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        clock = Clock()
        engine.containment = Containment(engine, Watermarks(writes_per_second=10), clock)
        await contained(engine, clock, 1)
        await write(engine, caller("mallory"), 50)
        await contained(engine, clock, 1)
        assert (await refusal(engine, caller("mallory"))).status == 429
        await contained(engine, clock, CALM_SECONDS - 2)
        assert engine.containment.level is Level.TOP_WRITER
        await contained(engine, clock, 4)
        assert engine.containment.level is Level.NONE
        await write(engine, caller("mallory"))
        assert engine.switches.current() == ()


async def test_an_operator_who_undoes_a_step_has_the_last_word(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        clock = Clock()
        engine.containment = Containment(engine, Watermarks(wal_bytes=1), clock)
        await write(engine, caller("mallory"), 5)
        await contained(engine, clock, 1)
        [switch] = engine.switches.current()
        await engine.switches.turn_off(ADMINISTRATOR, switch.id)
        await contained(engine, clock, 60)
        assert engine.switches.current() == ()
        await write(engine, caller("mallory"))


def test_a_real_server_contains_a_flood_by_itself(tmp_path: Path) -> None:
    env = {"PYLON_CONTAIN_WRITES_PER_SEC": "200"}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        mallory, alice = server.token_of("mallory"), server.token_of("alice")
        eventually(
            lambda: server.request("POST", "/api/fn/flood", {"rows": 300}, token=mallory)[0] == 429, seconds=15.0
        )
        assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=alice)[0] == 201
        _, listed = server.request("GET", "/api/admin/switches", token=ADMIN_TOKEN)
        [switch] = listed["switches"]
        assert (switch["scope"], switch["target"], switch["by"]) == ("user", "mallory", "containment")
