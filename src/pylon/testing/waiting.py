"""Waiting for what another process or thread does, as long as it takes and no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.01


def eventually(condition: Callable[[], T], seconds: float = 10.0, what: str = "") -> T:
    """The first truthy value of `condition`, asked again and again. Raises AssertionError when none comes in time."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(what or f"did not happen in {seconds:g} s")
        time.sleep(_PAUSE)
    return value


async def comes_true(condition: Callable[[], object], seconds: float = 10.0, what: str = "") -> None:
    """The same for what another task of this loop does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(what or f"did not happen in {seconds:g} s")
        await asyncio.sleep(_PAUSE)
