"""The lines that memory holds: bounded, errors outliving chatter, and read while stderr is stuck."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pylon.signals import logs
from pylon.signals.logs import Log, Sink
from pylon.signals.recent import LONGEST_LINE, Recent


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """A log whose stderr nobody reads: the pipe is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 65536):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    output = logs._Output()
    output.sink = Sink(writer)
    monkeypatch.setattr(logs, "_output", output)
    yield output.sink
    os.close(reader)  # whoever still writes gets an error instead of waiting for ever
    output.sink.flush()
    os.close(writer)


def test_memory_is_bounded_by_lines_and_by_bytes() -> None:
    few = Recent(lines=10, size=1_000_000)
    few.add([(20, f"line {number}") for number in range(100)])
    assert [line.text for line in few.since(0, 10)] == [f"line {number}" for number in range(90, 100)]
    small = Recent(lines=1000, size=100)
    small.add([(20, "x" * 40) for _ in range(50)])
    assert len(small.since(0, 10)) == 2


def test_a_line_that_is_too_long_is_cut() -> None:
    recent = Recent()
    recent.add([(20, "x" * (LONGEST_LINE + 5))])
    assert recent.since(0, 10)[0].text.endswith("(5 characters left out)")


def test_chatter_does_not_push_out_what_went_wrong() -> None:
    recent = Recent(lines=10)
    recent.add([(40, "0 failed")])
    recent.add([(20, f"1 GET /{number}") for number in range(1000)])
    assert recent.since(0, 10)[0].text == "0 failed"
    assert [line.text for line in recent.since(0, 30)] == ["0 failed"]


def test_only_what_is_young_enough_is_shown() -> None:
    clock = Clock()
    recent = Recent(clock=clock)
    recent.add([(20, "old")])
    clock.now += 60
    recent.add([(20, "new")])
    assert [line.text for line in recent.since(1030, 10)] == ["new"]


def test_lines_are_read_while_stderr_takes_none(stuck: Sink) -> None:
    Log("x").info("inside")
    Log("x").warning("warned")
    assert [line.level for line in logs.recent(1)] == [20, 30]
    assert [line.level for line in logs.recent(1, "warning")] == [30]
    assert stuck.statistics()["waiting"] == 2


def test_lines_that_wait_count_towards_the_queue_even_when_they_were_read() -> None:
    sink = Sink(2, limit=3)
    sink._thread = __import__("threading").current_thread()  # nobody writes them out
    for number in range(10):
        sink.put(f"line {number}")
        sink.settle()
    assert sink.statistics()["dropped"] == 7
    sink._taken.clear()


def test_the_level_changes_at_run_time(stuck: Sink) -> None:
    log = Log("x")
    logs.set_level("error")
    log.warning("no")
    logs.set_level("debug")
    log.debug("yes")
    assert logs.level() == "debug"
    assert len(logs.recent(1)) == 1
    assert logs.lines_by_level() == {"debug": 1, "info": 0, "warning": 0, "error": 0}
