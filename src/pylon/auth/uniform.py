"""Answers that look alike: what takes longer for an account that exists is made to take as long for one that
doesn't."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LEAST_SECONDS = 0.15
JITTER_SECONDS = 0.03


@asynccontextmanager
async def evenly(seconds: float = LEAST_SECONDS, jitter: float = JITTER_SECONDS) -> AsyncIterator[None]:
    """Let the block take at least so long, whether it returns or raises. What may take longer than that, such as
    sending mail, belongs in a queue and not in the block."""
    began = time.perf_counter()
    try:
        yield
    finally:
        due = seconds + random.random() * jitter  # noqa: S311 - blurs the clock's own grain, guards nothing by itself
        await asyncio.sleep(max(0.0, due - (time.perf_counter() - began)))
