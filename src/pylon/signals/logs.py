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
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pylon.signals.recent import LogLine, Recent
from pylon.signals.redaction import MASK, is_secret_name, redact, redact_path

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}

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
Forward = Callable[[str, str, Fields], None]

ACCESS = "pylon.http"
"""The logger of the access lines."""


class bound_request:  # noqa: N801 - reads as the statement it is; @contextmanager costs three times as much
    """`with bound_request(id):` every line logged inside carries this request id."""

    __slots__ = ("_identifier", "_token")

    def __init__(self, identifier: str) -> None:
        self._identifier = identifier

    def __enter__(self) -> None:
        self._token = request_id.set(self._identifier)

    def __exit__(self, *_: object) -> None:
        request_id.reset(self._token)


class Sink:
    """Owns the way to one file descriptor: a bounded queue and the thread that empties it. What has been written is
    kept in `recent` for a while."""

    def __init__(self, descriptor: int, limit: int = QUEUE_LINES, recent: Recent | None = None) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self.recent = recent or Recent()
        self._lines: deque[tuple[int, str]] = deque()
        self._waiting = threading.Event()
        self._writing = threading.Lock()
        self._taking = threading.Lock()
        self._taken: list[tuple[int, str]] = []
        self._thread: threading.Thread | None = None
        self._written = 0
        self._dropped = 0
        self._reported = 0

    def put(self, line: str, level: int = INFO) -> None:
        """Queue one line of a level, given by its number. Never blocks and never fails."""
        if len(self._lines) + len(self._taken) >= self._limit:
            self._dropped += 1
            return
        self._lines.append((level, line))
        if not self._waiting.is_set():
            if self._thread is None:
                self._start()
            self._waiting.set()

    def flush(self) -> None:
        """Write everything that is queued, on the caller's thread."""
        with self._writing:
            batch = self._take()
            if batch:
                self._written += len(batch)
                self._write("\n".join([line for _, line in batch]) + "\n")

    def settle(self) -> None:
        """Bring what is queued into `recent`, without waiting for a stderr that nobody reads: it is written later."""
        with self._taking:
            self._taken += self._gather()

    def _take(self) -> list[tuple[int, str]]:
        with self._taking:
            batch, self._taken = self._taken + self._gather(), []
        return batch

    def _gather(self) -> list[tuple[int, str]]:
        batch: list[tuple[int, str]] = []
        while self._lines:
            batch.append(self._lines.popleft())
        if self._dropped > self._reported:
            lost = self._dropped - self._reported
            batch.append((WARNING, f"({lost} log lines dropped: stderr does not keep up)"))
            self._reported = self._dropped
        self.recent.add(batch)
        return batch

    def statistics(self) -> dict[str, int]:
        """Lines written, dropped and waiting."""
        return {"written": self._written, "dropped": self._dropped, "waiting": len(self._lines) + len(self._taken)}

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
    return f"{stamp} INFO  {_printable(message)} ms={ms:.1f} ip={ip} request_id={identifier} logger={ACCESS}"


def json_access(stamp: str, message: str, ms: float, ip: str, identifier: str) -> str:
    """The same in the form of `json_line`."""
    import orjson

    fields = {"message": message, "ms": round(ms, 1), "ip": ip, "request_id": identifier, "logger": ACCESS}
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
    """Log one answered request at `info`: method, path and status as `message`. Costs a fraction of `Log.info`, because
    a path without a `=` or a token's prefix holds no secret that `redact` would know."""
    output = _output
    if output.threshold <= INFO:
        output.counts["info"] += 1
        message = redact_path(message)
        output.sink.put(output.access(_stamps.now(), message, ms, ip, identifier))
        if output.forward is not None:
            output.forward("info", message, {"ms": round(ms, 1), "ip": ip, "request_id": identifier, "logger": ACCESS})


def _stamp(now: datetime) -> str:
    return now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _printable(text: str) -> str:
    """The text on one line: a client must not be able to forge a log line or drive a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _clean(value: Any) -> Any:
    """The value without secrets; what is no plain value becomes text, which is what a line would make of it."""
    match value:
        case str():
            return redact(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {str(name): _shown(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
    return redact(str(value))


def _shown(name: str, value: Any) -> Any:
    return MASK if is_secret_name(name) else _clean(value)


class _Output:
    """Where this process logs to: one per process, because stderr is."""

    def __init__(self) -> None:
        self.sink = Sink(2)
        self.threshold = LEVELS["info"]
        self.format: Format = pretty_line
        self.access: Access = pretty_access
        self.forward: Forward | None = None
        self.captures = False
        self.counts = dict.fromkeys(LEVELS, 0)

    @property
    def level(self) -> str:
        """The lowest level that is written."""
        return next(name for name, number in LEVELS.items() if number == self.threshold)


_output = _Output()


def configure(format: str, level: str) -> None:
    """Choose `pretty` or `json` and the lowest level; once, at start. Raises KeyError for any other word."""
    _output.format = {"pretty": pretty_line, "json": json_line}[format]
    _output.access = {"pretty": pretty_access, "json": json_access}[format]
    _output.threshold = LEVELS[level]


def level() -> str:
    """The lowest level that is logged now."""
    return _output.level


def set_level(level: str) -> None:
    """Log from this level on, from now on; also what libraries log. Raises KeyError for any other word."""
    _output.threshold = LEVELS[level]
    library = sys.modules.get("logging")  # not imported for it: then nothing logs through it
    if library is not None and _output.captures:
        library.getLogger().setLevel(level.upper())


def capture_libraries(level: str) -> None:
    """Send what libraries log through the standard `logging` module here."""
    from pylon.signals.bridge import capture_logging  # apart: importing `logging` is work that only a server needs

    capture_logging(level)
    _output.captures = True


def recent(minutes: float, level: str = "debug") -> list[LogLine]:
    """The lines of the last minutes from a level up, oldest first, as far as memory holds them."""
    _output.sink.settle()
    return _output.sink.recent.since(time.time() - minutes * 60, LEVELS[level])


def forward_to(forward: Forward | None) -> None:
    """Also hand each line, secrets masked, to `forward(level, message, fields)`, which neither blocks nor raises."""
    _output.forward = forward


def lines_by_level() -> dict[str, int]:
    """How many lines were logged, by level."""
    return dict(_output.counts)


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
        output = _output
        number = LEVELS[level]
        if number < output.threshold:
            return
        output.counts[level] += 1
        shown = {name: _shown(name, value) for name, value in fields.items()}
        shown["logger"] = self.name
        identifier = request_id.get()
        if identifier is not None:
            shown.setdefault("request_id", identifier)
        message = redact(message)
        if output.forward is not None:
            output.forward(level, message, dict(shown))
        output.sink.put(output.format(datetime.now(UTC), level, message, shown), number)


def _traceback() -> str | None:
    error = sys.exception()
    return None if error is None else "".join(traceback.format_exception(error))
