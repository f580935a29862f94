"""Blocking work in a thread that nobody can walk away from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(step: Callable[[], T]) -> T:
    """Run a step in a thread. Whoever is cancelled meanwhile waits for its end all the same: it must not go on unseen,
    nor may the connection it uses be closed under it."""
    running = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
