"""Log lines: one per call, secrets masked, forged lines impossible, and a stalled reader never stops the server."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator

import pytest

from pylon.signals import logs
from pylon.signals.bridge import capture_logging
from pylon.signals.logs import Log, Sink, bound_request
from pylon.signals.redaction import redact

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What was logged so far, read from the other end of a pipe."""
    reader, writer = os.pipe()
    output = logs._Output()
    output.sink = Sink(writer)
    monkeypatch.setattr(logs, "_output", output)

    def read() -> list[str]:
        output.sink.flush()
        os.set_blocking(reader, False)
        try:
            return os.read(reader, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []

    yield read
    output.sink.flush()
    os.close(reader)
    os.close(writer)


def test_a_pretty_line_has_time_level_message_and_fields(lines: Lines) -> None:
    Log("pylon.test").info("served", port=4321)
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{15}Z INFO  served port=4321 logger=pylon\.test", line)


def test_a_json_line_is_one_object(lines: Lines) -> None:
    logs.configure("json", "info")
    Log("pylon.test").warning("slow\nconsumer", bytes=5)
    record = json.loads(lines()[0])
    assert record["level"] == "WARNING"
    assert record["fields"] == {"message": "slow\nconsumer", "bytes": 5, "logger": "pylon.test"}
    assert record["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    logs.configure("pretty", "warning")
    log = Log("x")
    log.info("no")
    log.warning("yes")
    assert [line.split()[2] for line in lines()] == ["yes"]
    assert not log.enabled("info")


def test_the_request_id_is_added_while_it_is_bound(lines: Lines) -> None:
    with bound_request("req-1"):
        Log("x").info("inside")
    Log("x").info("outside")
    inside, outside = lines()
    assert "request_id=req-1" in inside
    assert "request_id" not in outside


def test_secrets_are_masked_by_name_and_by_look(lines: Lines) -> None:
    Log("x").info(
        "GET /api?token=aaa1&limit=5",
        Authorization="Bearer bbb2",
        admin_token="ccc3",
        set_cookie="s=ddd4",
        url="postgres://me:eee5@host/db",
        detail="sent bearer.fff6 along",
    )
    (line,) = lines()
    for secret in ("aaa1", "bbb2", "ccc3", "ddd4", "eee5", "fff6"):
        assert secret not in line
    assert "limit=5" in line


def test_a_client_cannot_forge_a_line(lines: Lines) -> None:
    Log("x").info("path /a\n2026-01-01 ERROR owned \x1b[2J", agent="a\r\nb")
    assert len(lines()) == 1


def test_an_exception_brings_its_traceback(lines: Lines) -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        Log("x").exception("it failed")
    text = "\n".join(lines())
    assert "it failed" in text
    assert "RuntimeError: broken" in text


def test_lines_beyond_the_queue_are_counted_and_dropped() -> None:
    reader, writer = os.pipe()
    try:
        sink = Sink(writer, limit=2)
        sink._thread = __import__("threading").current_thread()  # nobody writes them out
        for number in range(5):
            sink.put(f"line {number}")
        sink.flush()
        text = os.read(reader, 4096).decode()
        assert "line 1" in text
        assert "line 2" not in text
        assert "3 log lines dropped" in text
        assert sink.statistics()["dropped"] == 3
    finally:
        os.close(reader)
        os.close(writer)


def test_a_reader_that_is_gone_does_not_fail_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        sink = Sink(writer)
        sink.put("nobody reads this")
        sink.flush()
    finally:
        os.close(writer)


def test_the_standard_logging_module_ends_in_our_log(lines: Lines) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        capture_logging("info")
        logging.getLogger("some.library").warning("careful: %s", "x")
        assert "WARNING careful: x logger=some.library" in lines()[0]
    finally:
        root.handlers = handlers
        root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/x?a=1&access_token=zz#top", "/x?a=1&access_token=***#top"),
        ("Authorization: Basic QWxhZGRpbg==", "Authorization: Basic ***"),
        ("redis://:pw@h", "redis://:***@h"),
        ("tokens are fine to speak of", "tokens are fine to speak of"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert redact(text) == shown
