"""Traces and log lines for an OpenTelemetry collector (OTLP over HTTP). Imported only when a server is told to trace:
the SDK takes half a second to import.

Spans and lines go into the SDK's bounded queues; its own threads send them. A collector that is slow or gone loses
data, never a request. The SDK's own variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, ...) apply.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pylon.signals.tracing import Value

QUEUE = 4096
"""Spans, and log lines, that may wait for the collector; beyond it the oldest are lost."""

BATCH = 512
DELAY_MS = 1000.0
TIMEOUT_SECONDS = 5.0
COMMIT_LINKS = 32
"""Requests of a group commit that its span names."""

_OWN_LOGGER = "opentelemetry"
_QUIET_SECONDS = 60.0

_SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
}


class Telemetry:
    """The tracer of one process, and the way of its log lines. `endpoint` is the collector's base URL."""

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": version})
        base = endpoint.rstrip("/")
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(f"{base}/v1/traces", timeout=TIMEOUT_SECONDS),
                max_queue_size=QUEUE,
                max_export_batch_size=BATCH,
                schedule_delay_millis=DELAY_MS,
            )
        )
        self._lines = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self._lines.add_log_record_processor(
            BatchLogRecordProcessor(
                OTLPLogExporter(f"{base}/v1/logs", timeout=TIMEOUT_SECONDS),
                max_queue_size=QUEUE,
                max_export_batch_size=BATCH,
                schedule_delay_millis=DELAY_MS,
            )
        )
        self._tracer = self._traces.get_tracer("pylon", version)
        self._logger = self._lines.get_logger("pylon", version)
        self._propagator = TraceContextTextMapPropagator()
        _say_it_once_a_minute()

    # -- traces --------------------------------------------------------------------------------------------------

    def begin(self, traceparent: str | None, tracestate: str | None) -> Any:
        """See Tracer."""
        parent = Context()
        if traceparent is not None:
            carrier = {"traceparent": traceparent} | ({"tracestate": tracestate} if tracestate else {})
            parent = self._propagator.extract(carrier, parent)
        span = self._tracer.start_span("request", context=parent, kind=SpanKind.SERVER)
        return span, otel_context.attach(trace.set_span_in_context(span, parent))

    def end(self, begun: Any, name: str, attributes: Mapping[str, Value], *, failed: bool) -> None:
        """See Tracer."""
        span, token = begun
        if span.is_recording():
            span.update_name(name)
            span.set_attributes(attributes)
            if failed:
                span.set_status(Status(StatusCode.ERROR))
        span.end()
        otel_context.detach(token)

    def span(self, name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[None]:
        """See Tracer."""
        return self._span(name, dict(attributes))

    @contextmanager
    def _span(self, name: str, attributes: dict[str, Value]) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:  # whatever a function raises: told by type alone, its text may hold anything
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def carry(self) -> AbstractContextManager[None]:
        """See Tracer."""
        return _attached(otel_context.get_current())

    def here(self) -> SpanContext | None:
        """See Tracer."""
        span = trace.get_current_span().get_span_context()
        return span if span.is_valid and span.trace_flags.sampled else None

    def commit(self, seconds: float, spans: Sequence[Any], attributes: Mapping[str, Value], *, failed: bool) -> None:
        """See Tracer. The span belongs to the first request's trace and links to the others."""
        known: list[SpanContext] = [span for span in spans if span is not None]
        if not known:
            return
        now = time.time_ns()
        span = self._tracer.start_span(
            "commit",
            context=trace.set_span_in_context(trace.NonRecordingSpan(known[0])),
            links=[Link(other) for other in known[1:COMMIT_LINKS]],
            attributes=dict(attributes),
            start_time=now - int(seconds * 1e9),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=now)

    # -- log lines -----------------------------------------------------------------------------------------------

    def line(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Send one log line, under the trace of the running span; `fields` hold no secrets any more."""
        if str(fields.get("logger", "")).startswith(_OWN_LOGGER):
            return  # what the exporter says of itself would come back to it
        self._logger.emit(
            timestamp=time.time_ns(),
            severity_number=_SEVERITIES[level],
            severity_text=level.upper(),
            body=message,
            attributes={name: v if isinstance(v, str | int | float) else str(v) for name, v in fields.items()},
        )

    def stop(self, seconds: float) -> None:
        """Send what is queued, for at most this long; then leave the rest."""

        def shut() -> None:
            self._traces.shutdown()
            self._lines.shutdown()

        thread = threading.Thread(target=shut, name="pylon-otel-stop", daemon=True)
        thread.start()
        thread.join(seconds)


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    token = otel_context.attach(context)
    try:
        yield
    finally:
        otel_context.detach(token)


class _OnceAMinute(logging.Filter):
    """A collector that is gone fails every export, and a full queue drops every span: one line a minute tells it."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._last.get(record.module, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._last[record.module] = now
        return True


def _say_it_once_a_minute() -> None:
    once = _OnceAMinute()
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_OWN_LOGGER):
            logging.getLogger(name).addFilter(once)
