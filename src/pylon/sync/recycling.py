"""Bouncing connections without a stampede: in waves, each told to come back at a moment of its own."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence

from pylon.sync.connection import Connection
from pylon.sync.events import reconnect_notice

PER_SECOND = 500
"""Connections recycled a second, unless somebody says how long it may take."""

WAVE_SECONDS = 0.1
RECONNECT_MS = (100, 2000)
"""When a recycled client is asked to come back, at random."""


def seconds_for(count: int) -> float:
    """How long recycling so many takes by itself."""
    return max(1.0, count / PER_SECOND)


def send_away(connection: Connection, most_ms: int = RECONNECT_MS[1]) -> None:
    """End a connection whose client is to come back at a random moment."""
    connection.deliver(reconnect_notice(random.randint(RECONNECT_MS[0], most_ms)))  # noqa: S311 - jitter
    connection.end(1012, "service restart; reconnect")


async def recycle(connections: Sequence[Connection], seconds: float, is_open: Callable[[Connection], bool]) -> None:
    """End these connections in random order, spread over the seconds, those that are still open when it is their
    turn."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    order = random.sample(connections, len(connections))
    waves = max(1, math.ceil(seconds / WAVE_SECONDS))
    done = 0
    for wave in range(waves):
        until = len(order) * (wave + 1) // waves
        for connection in order[done:until]:
            if is_open(connection):
                send_away(connection)
        done = until
        next_wave = began + (wave + random.uniform(0.5, 1.5)) * seconds / waves  # noqa: S311 - jitter
        if done < len(order):
            await asyncio.sleep(max(0.0, next_wave - loop.time()))
