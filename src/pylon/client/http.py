"""Requests: who sends them, what is tried again, and errors.

429 and 503 mean that nothing was done, so any request is tried again after the server's Retry-After, with a jitter of
our own. A request that got no answer is tried again only where doing it twice is doing it once.

To the server a dead token is nobody's; so each request says whom it expects to be taken for, and one that would be
somebody else's is refused (`SESSION_EXPIRED`, `SESSION_CHANGED`) instead of answered as that.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from pylon.client.errors import ApiError, Unreachable, error_of


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before trying again: a random time up to `first` seconds, doubled each time up to `most`
    (spec 02 §16.3). A connection that held for `stable` seconds starts over. `tries` is for single requests."""

    first: float = 1.0
    most: float = 30.0
    stable: float = 5.0
    tries: int = 4
    random: random.Random = field(default_factory=random.Random)

    def delay(self, attempt: int) -> float:
        """Before the try after this many failures."""
        return self.random.uniform(0, min(self.most, self.first * 2 ** min(max(attempt - 1, 0), 30)))

    def advised(self, seconds: float) -> float:
        """What the server advises, and up to half of it on top: those who were refused together don't return so."""
        return seconds * self.random.uniform(1.0, 1.5)


class Http:
    """One server's door, with the caller's token."""

    def __init__(
        self,
        url: str,
        token: str | None,
        transport: httpx.AsyncBaseTransport | None,
        *,
        timeout: float,
        backoff: Backoff,
    ) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.backoff = backoff
        self._client = httpx.AsyncClient(base_url=self.url, transport=transport, timeout=timeout)

    def headers(self) -> dict[str, str]:
        """What proves who calls."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def _told(self, path: str, user: str | None) -> dict[str, str]:
        """The same, with whom the server must take us for: this user, "" for nobody; None for any that the token is."""
        told = self.headers()
        if not path.startswith("/api/auth/"):
            if user is not None:
                told["X-Pylon-Expect-User"] = quote(user, safe="")
            elif self.token is not None:
                told["X-Pylon-Expect-User"] = "*"
        return told

    def fingerprint(self) -> str:
        """Tells tokens apart without being one. No user's id looks like it."""
        return "?" + hashlib.sha256((self.token or "").encode()).hexdigest()[:16]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        is_repeatable: bool | None = None,
        tries: int | None = None,
        user: str | None = None,
    ) -> Any:
        """The decoded answer. `is_repeatable` says whether doing it twice does no harm, by default for GET alone;
        `tries` is for who tries again by himself, `user` for who must be nobody else. Raises ApiError, Unreachable."""
        tries = tries or self.backoff.tries
        repeats = method == "GET" if is_repeatable is None else is_repeatable
        content = None if body is None else msgspec.json.encode(body)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await self._client.request(
                    method, path, content=content, params=params, headers=self._told(path, user)
                )
            except httpx.TransportError as error:
                if not repeats or attempt >= tries:
                    raise unreachable(method, path, error) from error
                await asyncio.sleep(self.backoff.delay(attempt))
                continue
            if answer.is_success:
                return _decoded(answer)
            problem = error_of(answer)
            seconds = self._wait(problem, attempt)
            if seconds is None or attempt >= tries:
                raise problem
            await asyncio.sleep(seconds)

    def _wait(self, problem: ApiError, attempt: int) -> float | None:
        """How long to wait after a refusal; None for one that waiting doesn't mend, or not soon."""
        advice = problem.retry_after
        if problem.status not in (429, 503) or (advice is not None and advice > self.backoff.most):
            return None
        if advice is None:  # a limit without an end of its own, such as a budget
            return self.backoff.delay(attempt) if problem.status == 503 else None
        return self.backoff.advised(advice)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is read while it arrives. Raises ApiError, Unreachable."""
        content = None if body is None else msgspec.json.encode(body)
        timeout = httpx.Timeout(self._client.timeout.connect, read=60.0)  # a heartbeat comes every 15 seconds
        try:
            async with self._client.stream(
                method, path, content=content, headers={**self._told(path, None), **(headers or {})}, timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    raise error_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise unreachable(method, path, error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _decoded(answer: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(answer.content) if answer.content else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ApiError("INTERNAL", "The answer is not JSON: is this a Pylon server?", status=502) from None


def unreachable(method: str, path: str, error: Exception) -> Unreachable:
    """No answer came."""
    return Unreachable(f"{method} {path}: {type(error).__name__}: {error}".rstrip(": "))
