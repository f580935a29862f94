"""Alarms: raised past a limit, cleared behind another, told with what to do next (`ops/alarms.py`)."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest

from pylon.engine.audit.search import AuditFilter
from pylon.model.schema import AppSpec
from pylon.ops.alarm_rules import PerMinute
from pylon.ops.alarms import MAX_ALARMS, Alarm, Alarms, Severity
from pylon.signals import logs
from pylon.signals.metrics import Registry
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually


class Figure:
    def __init__(self) -> None:
        self.value = 0.0
        self.now = 0.0


@pytest.fixture
def figure() -> Figure:
    return Figure()


@pytest.fixture
def alarms(figure: Figure) -> Alarms:
    return Alarms(Registry(), clock=lambda: figure.now, wall=lambda: 1000.0 + figure.now)


def alarm(figure: Figure, **changes: object) -> Alarm:
    made: dict[str, object] = {
        "name": "queue",
        "read": lambda: figure.value,
        "raise_at": 100.0,
        "clear_at": 50.0,
        "raise_after": 2.0,
        "clear_after": 3.0,
        "unit": "writes",
        "text": "{value} wait (limit {threshold}).",
        "runbook": "docs/ops/INCIDENT.md#overload",
    }
    return Alarm(**(made | changes))  # type: ignore[arg-type]


def actions(alarms: Alarms, figure: Figure, *steps: tuple[float, float]) -> list[str]:
    """What happened at each of (time, value)."""
    told = []
    for now, value in steps:
        figure.now, figure.value = now, value
        told.append(",".join(transition.action for transition in alarms.evaluate()))
    return told


def test_an_alarm_is_raised_once_its_figure_has_been_past_its_limit_for_a_while(alarms: Alarms, figure: Figure) -> None:
    alarms.watch(alarm(figure))
    assert actions(alarms, figure, (0, 99), (1, 100), (2, 200), (3, 150), (4, 900)) == ["", "", "", "alarm.raise", ""]
    [active] = alarms.active()
    assert (active.name, active.since, active.value, active.threshold) == ("queue", 1003.0, 900, 100)
    assert active.text == "900 writes wait (limit 100 writes)."
    assert active.severity is Severity.WARNING


def test_a_spike_raises_nothing(alarms: Alarms, figure: Figure) -> None:
    alarms.watch(alarm(figure))
    assert actions(alarms, figure, (0, 500), (1, 0), (2, 500), (3, 0), (4, 500)) == [""] * 5


def test_between_the_two_limits_an_alarm_stays_as_it_is(alarms: Alarms, figure: Figure) -> None:
    alarms.watch(alarm(figure))
    actions(alarms, figure, (0, 200), (2, 200))
    assert actions(alarms, figure, *((t, 75) for t in range(3, 30))) == [""] * 27
    assert actions(alarms, figure, (30, 50), (32, 51), (33, 50), (36, 50)) == ["", "", "", "alarm.clear"]
    assert alarms.active() == []


def test_a_figure_that_is_bad_when_low_raises_below_its_limit(alarms: Alarms, figure: Figure) -> None:
    free = alarm(figure, name="disk-full", raise_at=10.0, clear_at=20.0, raise_after=0.0, clear_after=0.0)
    alarms.watch(free)
    assert actions(alarms, figure, (0, 30), (1, 10), (2, 15), (3, 20)) == ["", "alarm.raise", "", "alarm.clear"]


def test_a_figure_that_can_not_be_read_keeps_no_other_from_being_watched(
    alarms: Alarms, figure: Figure, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> float:
        raise RuntimeError("no such figure")

    alarms.watch(alarm(figure, name="broken", read=broken))
    alarms.watch(alarm(figure, raise_after=0.0))
    assert actions(alarms, figure, (0, 100), (1, 100)) == ["alarm.raise", ""]
    logs.flush()
    assert capfd.readouterr().err.count("alarm can't be read") == 1


def test_the_critical_come_first_and_each_has_a_gauge(figure: Figure) -> None:
    registry = Registry()
    alarms = Alarms(registry, clock=lambda: figure.now)
    alarms.watch(alarm(figure, name="a", raise_after=0.0))
    alarms.watch(alarm(figure, name="b", raise_after=0.0, severity=Severity.CRITICAL))
    alarms.watch(alarm(figure, name="c", raise_at=1e9))
    actions(alarms, figure, (0, 100))
    assert [active.name for active in alarms.active()] == ["b", "a"]
    [series] = registry.series()
    values = {labels["alarm"]: metric.value for labels, metric in series.samples()}  # type: ignore[union-attr]
    assert series.name == "pylon_alarm_active"
    assert values == {"a": 1, "b": 1, "c": 0}
    alarms.unwatch("b")
    assert [active.name for active in alarms.active()] == ["a"]


def test_alarms_are_bounded_in_number(alarms: Alarms, figure: Figure) -> None:
    for n in range(MAX_ALARMS):
        alarms.watch(alarm(figure, name=str(n)))
    alarms.watch(alarm(figure, name="0"))
    with pytest.raises(ValueError, match="alarms"):
        alarms.watch(alarm(figure, name="one more"))


def test_a_counters_growth_is_that_of_the_last_minute() -> None:
    figure = Figure()
    growth = PerMinute(lambda: figure.value, lambda: figure.now)
    seen = []
    for now, value in ((0, 100), (10, 105), (50, 120), (65, 120), (105, 120), (200, 120)):
        figure.now, figure.value = now, value
        seen.append(growth())
    assert seen == [0, 5, 20, 15, 0, 0]


async def test_raising_and_clearing_is_logged_and_recorded(
    notes: AppSpec, tmp_path: Path, figure: Figure, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_engine(notes, tmp_path) as engine:
        alarms = Alarms(Registry())
        alarms.watch(alarm(figure, raise_after=0.0, clear_after=0.0))
        figure.value = 500.0
        alarms.start(engine)

        async def recorded(action: str) -> dict[str, object]:
            while True:
                found = await engine.audit.search(AuditFilter(action=action))
                if found:
                    assert found[0].details["value"] == figure.value
                    return found[0].details
                await asyncio.sleep(0.05)

        details = await asyncio.wait_for(recorded("alarm.raise"), 10.0)
        assert details["threshold"] == 100.0
        figure.value = 1.0
        await asyncio.wait_for(recorded("alarm.clear"), 10.0)
        await alarms.stop()
    logs.flush()
    told = capfd.readouterr().err
    assert "alarm raised alarm=queue severity=warning" in told
    assert "alarm cleared alarm=queue" in told


def test_a_server_raises_for_a_full_disk_and_tells_what_to_do(app_file: Path, tmp_path: Path) -> None:
    env = {"PYLON_ALARM_DISK_FREE_MB": str(2**40)}
    with ServerProcess(app_file, tmp_path / "data", env=env) as server:
        [active] = eventually(lambda: admin(server, "GET", "/api/admin/alarms")["alarms"])
        assert (active["name"], active["severity"]) == ("disk-full", "critical")
        assert active["runbook"] == "docs/ops/INCIDENT.md#disk-full"
        assert "Free space" in active["text"]
        _, metrics = server.request("GET", "/metrics", token=ADMIN_TOKEN, headers={"Accept": "text/plain"})
        assert 'pylon_alarm_active{alarm="disk-full"} 1' in metrics
        assert 'pylon_alarm_active{alarm="wal-growth"} 0' in metrics
        assert [a["name"] for a in admin(server, "GET", "/api/admin/overview")["alarms"]] == ["disk-full"]


def test_a_long_reader_raises_while_it_reads_and_clears_after_it(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data", env={"PYLON_READER_MAX_SECS": "3"}) as server:
        call = threading.Thread(target=server.request, args=("POST", "/api/fn/slow", {"seconds": 9.0}))
        call.start()
        [active] = eventually(lambda: admin(server, "GET", "/api/admin/alarms")["alarms"])
        assert active["name"] == "long-reader"
        call.join()
        eventually(lambda: admin(server, "GET", "/api/admin/alarms")["alarms"] == [])
        assert "read interrupted" in server.log()
        assert "what=fn slow" in server.log()


def test_every_standard_alarm_names_a_runbook_and_what_to_do(server: ServerProcess) -> None:
    ops = Path(__file__).parents[2] / "src/pylon/ops"
    rules = "".join((ops / name).read_text("utf-8") for name in ("alarm_rules.py", "mail_alarms.py"))
    named = set(re.findall(r'name="([a-z-]+)"', rules))
    assert named == set(admin(server, "GET", "/api/admin/alarms")["watched"])
    anchors = set(re.findall(r"RUNBOOK\}#([a-z-]+)", rules))
    assert anchors == {
        "disk-full",
        "wal-growth",
        "long-reader",
        "runaway-writes",
        "fan-out-storm",
        "slow-consumers",
        "reconnect-storm",
        "overload",
        "mail",
        "lost-key",
        "background-work",
    }
