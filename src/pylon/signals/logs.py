"""Structured log lines on stderr: a message and named fields, pretty for people or one JSON object per line.

    log = Log("pylon.sync")
    log.warning("slow consumer closed", buffered_bytes=n)

A line costs its caller one append: one thread writes them out, and what it can't keep up with is counted and dropped,
never queued without end. Errors are written before the call returns. Secrets are masked, control characters escaped,
and the request id of the running request is added. Own code because structlog costs 75 ms of every start.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pylon.signals.redaction import MASK, is_secret_name, redact

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

QUEUE_LINES = 10_000
"""Lines that may wait for a stderr that does not take them; later ones are dropped and counted."""

GATHER_SECONDS = 0.05
"""How long lines gather before they are written together: waking the writing thread for each would cost more than the
line. Errors don't wait."""

request_id: ContextVar[str | None] = ContextVar("pylon_request_id", default=None)
"""The id of the request that the running task serves; set by the web room, added to each line."""

Fields = dict[str, Any]
Format = Callable[[datetime, str, str, Fields], str]
Access = Callable[[str, str, float, str, str], str]


@contextlib.contextmanager
def bound_request(identifier: str) -> Iterator[None]:
    """Every line logged inside carries this request id."""
    token = request_id.set(identifier)
    try:
        yield
    finally:
        request_id.reset(token)


class Sink:
    """Owns the way to one file descriptor: a bounded queue and the thread that empties it."""

    def __init__(self, descriptor: int, limit: int = QUEUE_LINES) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._lines: deque[str] = deque()
        self._waiting = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._written = 0
        self._dropped = 0
        self._reported = 0

    def put(self, line: str) -> None:
        """Queue one line. Never blocks and never fails."""
        if len(self._lines) >= self._limit:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._waiting.is_set():
            if self._thread is None:
                self._start()
            self._waiting.set()

    def flush(self) -> None:
        """Write everything that is queued, on the caller's thread."""
        with self._writing:
            batch: list[str] = []
            while self._lines:
                batch.append(self._lines.popleft())
            if self._dropped > self._reported:
                batch.append(f"({self._dropped - self._reported} log lines dropped: stderr does not keep up)")
                self._reported = self._dropped
            if batch:
                self._written += len(batch)
                self._write("\n".join(batch) + "\n")

    def statistics(self) -> dict[str, int]:
        """Lines written, dropped and waiting."""
        return {"written": self._written, "dropped": self._dropped, "waiting": len(self._lines)}

    def _start(self) -> None:
        with self._writing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pylon-log", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        while self._waiting.wait():
            time.sleep(GATHER_SECONDS)
            self._waiting.clear()
            self.flush()

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError):  # nobody reads stderr any more: logging must not end the process
            while data:
                data = data[os.write(self._descriptor, data) :]


def pretty_line(now: datetime, level: str, message: str, fields: Fields) -> str:
    """`2026-01-31T12:00:00.000000Z INFO message key=value`; a traceback follows on its own lines."""
    exception = fields.pop("exception", None)
    parts = [_stamp(now), level.upper().ljust(5), _printable(message)]
    parts.extend(f"{name}={_printable(str(value))}" for name, value in fields.items())
    line = " ".join(parts)
    return line if exception is None else f"{line}\n{str(exception).rstrip()}"


def json_line(now: datetime, level: str, message: str, fields: Fields) -> str:
    """One object: timestamp, level, and the message among its fields (spec 07 §15.1)."""
    import orjson

    record = {"timestamp": _stamp(now), "level": level.upper(), "fields": {"message": message} | fields}
    return orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def pretty_access(stamp: str, message: str, ms: float, ip: str, identifier: str) -> str:
    """The line of one answered request, in the form of `pretty_line`."""
    return f"{stamp} INFO  {_printable(message)} ms={ms:.1f} ip={ip} request_id={identifier} logger=pylon.http"


def json_access(stamp: str, message: str, ms: float, ip: str, identifier: str) -> str:
    """The same in the form of `json_line`."""
    import orjson

    fields = {"message": message, "ms": round(ms, 1), "ip": ip, "request_id": identifier, "logger": "pylon.http"}
    return orjson.dumps({"timestamp": stamp, "level": "INFO", "fields": fields}).decode()


class _Stamps:
    """Timestamps of now, the part down to the second made once a second."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def now(self) -> str:
        moment = time.time()
        second = int(moment)
        if second != self._second:
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._prefix}.{int((moment - second) * 1e6):06d}Z"


_stamps = _Stamps()


def access(message: str, ms: float, ip: str, identifier: str) -> None:
    """Log one answered request at `info`: method, path and status as `message`, whose parts hold no secret. Costs a
    fraction of `Log.info`, which looks for secrets in every field."""
    if _output.threshold <= LEVELS["info"]:
        _output.sink.put(_output.access(_stamps.now(), message, ms, ip, identifier))


def _stamp(now: datetime) -> str:
    return now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _printable(text: str) -> str:
    """The text on one line: a client must not be able to forge a log line or drive a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _clean(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value


class _Output:
    """Where this process logs to: one per process, because stderr is."""

    def __init__(self) -> None:
        self.sink = Sink(2)
        self.threshold = LEVELS["info"]
        self.format: Format = pretty_line
        self.access: Access = pretty_access


_output = _Output()


def configure(format: str, level: str) -> None:
    """Choose `pretty` or `json` and the lowest level; once, at start. Raises KeyError for any other word."""
    _output.format = {"pretty": pretty_line, "json": json_line}[format]
    _output.access = {"pretty": pretty_access, "json": json_access}[format]
    _output.threshold = LEVELS[level]


def flush() -> None:
    """Write what is queued. Call before ending the process without Python's own exit."""
    _output.sink.flush()


def statistics() -> dict[str, int]:
    """Of the queue: lines written, dropped and waiting."""
    return _output.sink.statistics()


class Log:
    """A named source of log lines. Cheap to make and to keep; below the threshold a call costs one comparison."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def debug(self, message: str, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write("error", message, fields)
        _output.sink.flush()

    def exception(self, message: str, **fields: Any) -> None:
        """As `error`, with the traceback of the exception that is being handled."""
        self.error(message, exception=_traceback(), **fields)

    def enabled(self, level: str) -> bool:
        """True when lines of this level are written: to skip work that only a log line needs."""
        return LEVELS[level] >= _output.threshold

    def _write(self, level: str, message: str, fields: Fields) -> None:
        if LEVELS[level] < _output.threshold:
            return
        shown = {name: MASK if is_secret_name(name) else _clean(value) for name, value in fields.items()}
        shown["logger"] = self.name
        identifier = request_id.get()
        if identifier is not None:
            shown.setdefault("request_id", identifier)
        _output.sink.put(_output.format(datetime.now(UTC), level, redact(message), shown))


def _traceback() -> str | None:
    error = sys.exception()
    return None if error is None else "".join(traceback.format_exception(error))
