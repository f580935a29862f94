"""Usage meters and budgets: what was used, who used most, warnings before it is spent, and a hard stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from pylon.engine.audit.search import AuditFilter
from pylon.engine.engine import Engine
from pylon.engine.limits.budget import Budget, period_end
from pylon.engine.limits.usage import Meter, periods
from pylon.model.errors import PylonError
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.conftest import ADMINISTRATOR
from tests.containment.conftest import APP
from tests.containment.test_runaway_writes import OPEN, caller, write

Pylon = Callable[..., tuple[int, Any]]


async def reached(engine: Engine) -> list[tuple[str, int]]:
    found = await engine.audit.search(AuditFilter(kinds=frozenset(("operator",)), action="budget.reached"))
    return [(str(entry.details["target"]), int(entry.details["percent"])) for entry in reversed(found)]


async def use(engine: Engine, meter: Meter, user: str | None, amount: int) -> None:
    engine.usage.add(meter, user, amount)
    await engine.usage.flush()
    await engine.budgets.look()


async def test_usage_is_kept_by_day_and_month_in_total_and_by_user(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        await write(engine, caller("alice"), 3)
        await write(engine, caller(None), 2)
        await engine.usage.flush()
        await engine.usage.flush()
        for period in periods(datetime.now(UTC)):
            used = await engine.reads.run(lambda s, p=period: s.usage_totals(p), 5.0)  # type: ignore[misc]
            assert used["writes"] == 5
            top = await engine.reads.run(lambda s, p=period: s.usage_top(p, "writes", 5), 5.0)  # type: ignore[misc]
            assert top == [("alice", 3), ("anonymous", 2)]


async def test_usage_survives_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_engine(OPEN, tmp_path) as engine:
            await write(engine, caller("alice"), 3)
    async with open_engine(OPEN, tmp_path) as engine:
        used = await engine.reads.run(lambda s: s.usage_of(periods(engine.now())[1], "alice"), 5.0)
        assert used["writes"] == 6


async def test_a_budget_warns_once_at_each_share(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        await engine.budgets.put(ADMINISTRATOR, Budget(meter=Meter.MAIL, limit=100))
        for amount in (49, 1, 10, 25, 15):
            await use(engine, Meter.MAIL, "alice", amount)
        assert await reached(engine) == [
            ("mail:month:all", 50),
            ("mail:month:all", 80),
            ("mail:month:all", 100),
        ]
        assert engine.switches.current() == ()


async def test_a_hard_budget_for_all_turns_a_switch_on_until_the_period_ends(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        await engine.budgets.put(ADMINISTRATOR, Budget(meter=Meter.WRITES, limit=5, per="day", hard=True))
        await write(engine, caller("alice"), 6)
        await engine.usage.flush()
        await engine.budgets.look()
        with pytest.raises(PylonError) as refused:
            await write(engine, caller("bob"))
        assert refused.value.code == "MAINTENANCE"
        [switch] = engine.switches.current()
        assert (switch.scope.value, switch.by) == ("read-only", "budget")
        assert abs(switch.expires_at - period_end(periods(engine.now())[0]).timestamp()) < 2
        await write(engine, ADMINISTRATOR)


async def test_a_hard_budget_for_each_user_stops_that_user_alone(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        await engine.budgets.put(ADMINISTRATOR, Budget(meter=Meter.WRITES, limit=5, of="each", hard=True))
        await write(engine, caller("mallory"), 5)
        await engine.usage.flush()
        await engine.budgets.look()
        with pytest.raises(PylonError):
            await write(engine, caller("mallory"))
        await write(engine, caller("alice"))


def test_periods_end_where_the_calendar_says() -> None:
    assert period_end("2026-11-23") == datetime(2026, 11, 24, tzinfo=UTC)
    assert period_end("2026-12") == datetime(2027, 1, 1, tzinfo=UTC)
    assert period_end("2028-02") == datetime(2028, 3, 1, tzinfo=UTC)


def test_a_function_spends_and_is_refused_when_a_hard_budget_is_gone(server: ServerProcess, pylon: Pylon) -> None:
    alice = server.token_of("alice")
    assert pylon("budget", "set", "llm_tokens", "--limit", "100", "--each-user", "--hard")[0] == 0
    assert server.request("POST", "/api/fn/ask", {"tokens": 150}, token=alice)[0] == 200
    _, report = pylon("usage", "--user", "alice")
    assert report["used"]["llm_tokens"] == 150
    status, answer = server.request("POST", "/api/fn/ask", {"tokens": 1}, token=alice)
    assert (status, answer["error"]["code"]) == (429, "BUDGET_EXCEEDED")
    assert server.request("POST", "/api/fn/ask", {"tokens": 1}, token=server.token_of("bob"))[0] == 200


async def test_what_is_spent_counts_at_once_and_once_however_it_is_stored(tmp_path: Path) -> None:
    async with open_engine(OPEN, tmp_path) as engine:
        budget = Budget(meter=Meter.MAIL, limit=10, hard=True)
        await engine.budgets.put(ADMINISTRATOR, budget)
        for step in (lambda: engine.usage.flush(), lambda: engine.budgets.look(), lambda: engine.usage.flush()):
            engine.budgets.spend(Meter.MAIL, "alice", 3)
            await step()
        engine.budgets.spend(Meter.MAIL, None, 1)
        with pytest.raises(PylonError) as refused:
            engine.budgets.spend(Meter.MAIL, "bob", 1)
        assert refused.value.code == "BUDGET_EXCEEDED"
        with pytest.raises(PylonError):
            engine.budgets.spend(Meter.MAIL, "bob", -5)
        await engine.budgets.put(ADMINISTRATOR, Budget(meter=Meter.MAIL, limit=20, hard=True))
        engine.budgets.spend(Meter.MAIL, "bob", 1)


def test_the_command_line_tells_who_used_most(server: ServerProcess, pylon: Pylon) -> None:
    mallory = server.token_of("mallory")
    for _ in range(5):
        server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)
    code, report = pylon("usage")
    assert code == 0
    assert report["top"]["writes"][0] == ["mallory", 5]
    assert report["used"]["requests"] >= 5
    assert report["used"]["egress_bytes"] > 0
    assert pylon("budget", "set", "requests", "--limit", "1000")[0] == 0
    _, listed = pylon("budget", "list")
    assert [b["key"] for b in listed["budgets"]] == ["requests:month:all"]
    assert pylon("budget", "delete", "requests:month:all")[0] == 0
    assert pylon("budget", "delete", "requests:month:all")[0] == 1


def test_deliveries_are_metered_for_whoever_received_them(server: ServerProcess, pylon: Pylon) -> None:
    alice = server.token_of("alice")
    url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
    with connect(url, additional_headers={"Authorization": f"Bearer {alice}"}, proxy=None) as socket:
        for _ in range(3):
            server.request("POST", "/api/entities/Note", {"title": "x"})
            socket.recv(timeout=5)
        assert pylon("usage", "--user", "alice")[1]["used"]["deliveries"] == 3
    _, report = pylon("usage", "--user", "alice")
    assert report["used"]["egress_bytes"] > 300


def test_a_client_that_polls_is_named_and_slowed(tmp_path: Path) -> None:
    env = {"PYLON_PULLS_PER_CLIENT": "10", "PYLON_PULLS_PER_CLIENT_BURST": "20"}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        mallory = server.token_of("mallory")
        statuses = [server.request("GET", "/api/sync/pull?since=0", token=mallory)[0] for _ in range(60)]
        assert statuses[:20] == [200] * 20
        assert 429 in statuses
        _, report = server.request("GET", "/api/admin/usage", token=ADMIN_TOKEN)
        assert report["pollers"][0][0] == "mallory"
        assert server.request("GET", "/api/sync/pull?since=0", token=server.token_of("alice"))[0] == 200
