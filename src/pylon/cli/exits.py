"""The exit codes of spec 07 §1."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    OK = 0
    FAILED = 1
    """Something was checked or tried, and it is not well."""
    USAGE = 64
    """The command line is wrong."""
    UNAVAILABLE = 69
    """No server answers."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C before it was done."""
