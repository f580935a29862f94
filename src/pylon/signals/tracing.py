"""Where a trace is fed from: nothing unless a tracer is installed, which costs those who don't trace one comparison.

This module knows no tracing library; `otel` brings the tracer and is imported only when a server is told to trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

Value = str | int | float | bool

NOTHING: AbstractContextManager[None] = nullcontext()
"""Stands for a span where nobody traces; may be entered as often as wanted."""


class Tracer(Protocol):
    """What a tracer can do. Nothing here blocks or raises."""

    def begin(self, traceparent: str | None, tracestate: str | None) -> Any:
        """Begin a request, under its caller's trace if it names one; what `end` is given."""

    def end(self, begun: Any, name: str, attributes: Mapping[str, Value], *, failed: bool) -> None:
        """End a request. On the task that began it."""

    def span(self, name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[None]:
        """A span around a block; an exception that leaves the block marks it as failed."""

    def carry(self) -> AbstractContextManager[None]:
        """Makes the running span that of another thread, for a block there."""

    def here(self) -> Any:
        """The running span, to be given to `commit`; None where there is none."""

    def commit(self, seconds: float, spans: Sequence[Any], attributes: Mapping[str, Value], *, failed: bool) -> None:
        """A group commit that has just ended, for the requests of these spans (None among them is nobody's)."""


tracer: Tracer | None = None
"""The tracer of this process; read it as `tracing.tracer`."""


def install(wanted: Tracer | None) -> None:
    """Trace with this one from now on, None for no more."""
    global tracer
    tracer = wanted


def span(name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[None]:
    """A span around a block, where somebody traces."""
    return NOTHING if tracer is None else tracer.span(name, attributes)


def carry() -> AbstractContextManager[None]:
    """Makes the running span that of another thread, for a block there."""
    return NOTHING if tracer is None else tracer.carry()
