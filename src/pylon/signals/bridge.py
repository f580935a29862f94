"""Sends what libraries log through the standard `logging` module to our own log. Apart, because importing `logging` is
work that only a server needs."""

from __future__ import annotations

import logging
import traceback

from pylon.signals.logs import Log

_METHODS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning"}


class Bridge(logging.Handler):
    """A standard handler that writes to `Log`."""

    def emit(self, record: logging.LogRecord) -> None:
        log = Log(record.name)
        write = getattr(log, _METHODS.get(record.levelno, "error"))
        if record.exc_info and record.exc_info[1] is not None:
            write(record.getMessage(), exception="".join(traceback.format_exception(record.exc_info[1])))
        else:
            write(record.getMessage())


def capture_logging(level: str) -> None:
    """Make our log the only destination of the root logger, from this level on. Idempotent."""
    root = logging.getLogger()
    root.handlers = [Bridge()]
    root.setLevel(level.upper())
