"""Traces and log lines reach a real OTLP/HTTP receiver, under one trace; and what goes wrong there harms nobody."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ServerProcess, free_port

logs_service = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

APP = """
import logging
import sys

from pylon import App, Context, Entity

app = App("traced")
log = logging.getLogger("shop")


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def buy(ctx: Context, title: str) -> str:
    log.info("bought")
    return ctx.db.insert(Item, title=title).id


@app.query(auth="public")
def look(ctx: Context) -> int:
    return ctx.db.count(Item)


@app.action(auth="public")
async def fail(ctx: Context) -> int:
    raise RuntimeError("token=SECRET-in-error")


@app.query(auth="public")
def imported(ctx: Context) -> bool:
    return any(name.split(".")[0] == "opentelemetry" for name in sys.modules)
"""

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Receiver:
    """A collector: keeps every span and log record that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.records: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services.add(attributes(resource.resource)["service.name"])
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
        elif path == "/v1/logs":
            for resource in logs_service.ExportLogsServiceRequest.FromString(body).resource_logs:
                for scope in resource.scope_logs:
                    self.records.extend(scope.log_records)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes(holder: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in holder.attributes}


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it did not come")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("traced") / "app.py"
    file.write_text(APP)
    return file


@pytest.fixture(scope="module")
def server(app_file: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {"PYLON_OTEL_ENDPOINT": receiver.url}
    with ServerProcess(app_file, tmp_path_factory.mktemp("otel") / "data", env=env) as process:
        yield process


def spans_of(receiver: Receiver, request_id: str) -> Callable[[], Any]:
    """Looks for the span of a request, and all that came of its trace."""

    def look() -> Any:
        mine = [span for span in receiver.spans if attributes(span).get("pylon.request_id") == request_id]
        if not mine:
            return None
        return mine[0], [span for span in receiver.spans if span.trace_id == mine[0].trace_id]

    return look


def test_a_request_is_a_span_with_route_status_and_request_id(server: ServerProcess, receiver: Receiver) -> None:
    server.request("GET", "/api/entities/Item/none", headers={"X-Request-Id": "otel-get"})
    span, _ = wait_for(spans_of(receiver, "otel-get"))
    assert span.name == "GET /api/entities/{entity}/{row_id:path}"
    told = attributes(span)
    assert told["http.response.status_code"] == 404
    assert told["http.route"] == "/api/entities/{entity}/{row_id:path}"
    assert told["url.path"] == "/api/entities/Item/none"
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert receiver.services == {"traced"}


def test_the_callers_trace_goes_on(server: ServerProcess, receiver: Receiver) -> None:
    headers = {"X-Request-Id": "otel-parent", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    server.request("GET", "/api/entities/Item", headers=headers)
    span, _ = wait_for(spans_of(receiver, "otel-parent"))
    assert span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() == PARENT


@pytest.mark.parametrize("parent", ["nonsense", "00-0-0-01", f"00-{TRACE}-{'0' * 16}-01", "é" * 300])
def test_a_trace_that_makes_no_sense_begins_anew(server: ServerProcess, receiver: Receiver, parent: str) -> None:
    name = f"otel-bad-{len(parent)}"
    headers = {"X-Request-Id": name, "traceparent": parent}
    assert server.request("GET", "/api/entities/Item", headers=headers)[0] == 200
    span, _ = wait_for(spans_of(receiver, name))
    assert span.parent_span_id == b""
    assert span.trace_id.hex() != TRACE


def test_a_mutation_is_request_function_and_commit_in_one_trace(server: ServerProcess, receiver: Receiver) -> None:
    server.request("POST", "/api/fn/buy", {"title": "x"}, headers={"X-Request-Id": "otel-buy"})

    def whole() -> Any:
        found = spans_of(receiver, "otel-buy")()
        return found if found and len(found[1]) >= 3 else None

    request, together = wait_for(whole)
    by_name = {span.name: span for span in together}
    function, commit = by_name["fn buy"], by_name["commit"]
    assert function.parent_span_id == request.span_id
    assert attributes(function) == {"pylon.function": "buy", "pylon.kind": "mutation"}
    assert commit.parent_span_id == function.span_id
    assert attributes(commit)["pylon.requests"] >= 1
    assert attributes(commit)["pylon.changes"] >= 1
    assert request.start_time_unix_nano <= commit.end_time_unix_nano <= request.end_time_unix_nano


def test_log_lines_carry_the_ids_of_trace_and_request(server: ServerProcess, receiver: Receiver) -> None:
    server.request("POST", "/api/fn/buy", {"title": "x"}, headers={"X-Request-Id": "otel-line"})
    request, _ = wait_for(spans_of(receiver, "otel-line"))

    def lines() -> Any:
        mine = [record for record in receiver.records if attributes(record).get("request_id") == "otel-line"]
        return mine if len(mine) >= 2 else None

    found = wait_for(lines)
    assert {record.body.string_value for record in found} == {"bought", "POST /api/fn/buy 200"}
    assert {record.trace_id for record in found} == {request.trace_id}
    assert {record.severity_text for record in found} == {"INFO"}


def test_a_failure_is_marked_and_its_text_stays_here(server: ServerProcess, receiver: Receiver) -> None:
    server.request("POST", "/api/fn/fail", {}, headers={"X-Request-Id": "otel-fail"})
    request, together = wait_for(spans_of(receiver, "otel-fail"))
    function = next(span for span in together if span.name == "fn fail")
    assert attributes(request)["http.response.status_code"] >= 400
    assert function.status.code == 2
    assert attributes(function)["error.type"] == "PylonError"
    assert "SECRET" not in str(receiver.spans)
    wait_for(lambda: [r for r in receiver.records if r.body.string_value == "function failed"])
    assert "SECRET" not in str(receiver.records)


def test_what_is_queued_is_sent_when_the_server_stops(app_file: Path, receiver: Receiver, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data", env={"PYLON_OTEL_ENDPOINT": receiver.url}) as server:
        server.request("GET", "/api/entities/Item", headers={"X-Request-Id": "otel-last"})
        assert server.stop() == 0
    assert spans_of(receiver, "otel-last")()


def test_a_collector_that_is_gone_costs_neither_requests_nor_the_stop(app_file: Path, tmp_path: Path) -> None:
    env = {"PYLON_OTEL_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with ServerProcess(app_file, tmp_path / "data", env=env) as server:
        slowest = 0.0
        for number in range(300):
            began = time.monotonic()
            assert server.request("POST", "/api/entities/Item", {"title": str(number)})[0] == 201
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8
        assert len(re.findall(r"logger=opentelemetry", server.log())) < 10


def test_nothing_of_it_is_imported_when_it_is_off(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        assert server.request("POST", "/api/fn/imported", {}) == (200, False)


def test_a_missing_extra_is_one_line_with_a_hint(app_file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "opentelemetry"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError('No module', name='opentelemetry')")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYLON_")}
    environ |= {
        "PYTHONPATH": os.pathsep.join([str(blocked.parent), environ.get("PYTHONPATH", "")]),
        "PYLON_OTEL_ENDPOINT": "http://127.0.0.1:4318",
    }
    command = [sys.executable, "-m", "pylon", "start", str(app_file), "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data")],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "CONFIG_INVALID" in done.stderr
    assert "pip install 'pylon[otel]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://user:secret@collector"])
def test_an_address_that_makes_no_sense_is_refused_at_start(endpoint: str) -> None:
    from pylon.settings import Settings, SettingsError

    with pytest.raises(SettingsError, match="PYLON_OTEL_ENDPOINT"):
        Settings.load({"PYLON_OTEL_ENDPOINT": endpoint})
