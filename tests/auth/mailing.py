"""A foundation whose letters stay here, for tests of what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pylon.auth.mail.transport import Letter
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.settings import EmailProvider
from pylon.testing.identity import open_foundation

PASSWORD = "correct horse battery"
OTHER = "staple horse correct"


class Post:
    """The letters that left, newest last."""

    name = "here"

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self._came = asyncio.Event()

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)
        self._came.set()

    async def close(self) -> None:
        pass

    async def to(self, address: str, count: int = 1) -> list[Letter]:
        """The letters to an address, once there are so many."""
        async with asyncio.timeout(5):
            while len(found := [letter for letter in self.letters if letter.to == address]) < count:
                self._came.clear()
                await self._came.wait()
        return found


@asynccontextmanager
async def open_with_mail(app: AppSpec, folder: Path, **options: Any) -> AsyncIterator[tuple[Any, Post]]:
    """(foundation, its letters). No limits and no breach check unless `options` say so."""
    settings: dict[str, Any] = {
        "email_provider": EmailProvider.CONSOLE,
        "public_url": "https://app.example.com",
        "hibp_disabled": True,
    }
    settings |= {f"auth_{name}": 0 for name in _LIMITS}
    async with open_foundation(app, folder, **(settings | options)) as base:
        post = Post()
        base.outbox._transport = post
        yield base, post


_LIMITS = (
    "login_ip_per_min",
    "login_account_per_hour",
    "send_ip_per_min",
    "send_account_per_hour",
    "verify_ip_per_min",
    "verify_account_per_hour",
    "register_ip_per_min",
)


async def code_of(awaitable: Any) -> str:
    """The code of the error that this raises, "" for none."""
    try:
        await awaitable
    except PylonError as problem:
        return problem.code
    return ""
