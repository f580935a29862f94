"""Password hashes: argon2id on threads of its own, so many at a time and no more (spec 03 §9).

One hash takes 19 MB and some tens of milliseconds of a core. They run beside the event loop, a bounded number at once;
what waits is bounded too, and beyond it is answered 503 instead of being let to pile up.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from pylon.model.errors import PylonError

T = TypeVar("T")

TIME_COST, MEMORY_KIB, PARALLELISM = 2, 19_456, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
MAX_PASSWORD_BYTES = 4096
"""Longer ones are refused before they are hashed."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether the password is right, and the hash to store in place of one with weaker parameters."""

    ok: bool
    rehashed: str | None = None


class Hashing:
    """The password hashes of one server. `threads` run at once, `waiting` more may wait."""

    def __init__(self, *, threads: int = 0, waiting: int = 100) -> None:
        from argon2 import PasswordHasher

        self._hasher = PasswordHasher(
            time_cost=TIME_COST,
            memory_cost=MEMORY_KIB,
            parallelism=PARALLELISM,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self.threads = threads or max(1, (os.cpu_count() or 2) // 2)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="pylon-hash", initializer=_be_polite)
        self._limit = self.threads + waiting
        self._nobodys = _hash_of_nobody()
        self.running = 0
        self.done = 0
        self.refused = 0

    async def hash(self, password: str) -> str:
        """The hash of a password, as a PHC string. Raises OVERLOADED, WEAK_PASSWORD for one that is too long to
        hash."""
        return await self._run(lambda: self._hasher.hash(_checked(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether a password fits a stored hash. Without one it takes as long, and doesn't. Raises OVERLOADED."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
            password, stored = "too long", None
        return await self._run(lambda: self._verify(stored, password))

    def _verify(self, stored: str | None, password: str) -> Verdict:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._hasher.verify(stored if stored is not None else self._nobodys, password)
        except InvalidHashError:
            if stored is not None:
                return self._verify(None, password)
            raise
        except VerificationError:
            return Verdict(False)
        if stored is None:
            return Verdict(False)
        return Verdict(True, self._hasher.hash(password) if self._hasher.check_needs_rehash(stored) else None)

    async def _run(self, work: Callable[[], T]) -> T:
        if self.running >= self._limit:
            self.refused += 1
            raise PylonError("OVERLOADED", "Too many sign-ins at once. Retry shortly.", headers={"Retry-After": "2"})
        self.running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self.running -= 1
            self.done += 1

    def close(self) -> None:
        """Stop the threads; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _hash_of_nobody() -> str:
    """A hash that no password has, and with which checking costs what it costs with a real one: chance instead of a
    result, so that it need not be computed before the first stranger comes."""
    salt, result = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}${salt}${result}"


def _checked(password: str) -> str:
    if len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        raise PylonError("WEAK_PASSWORD", f"Passwords have at most {MAX_PASSWORD_BYTES} bytes")
    return password


def _be_polite() -> None:
    """On Linux niceness is a thread's own: a burst of sign-ins then leaves requests their core."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 10)
    except (OSError, AttributeError):
        return
