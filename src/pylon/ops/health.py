"""Readiness: whether this process should be sent traffic now."""

from __future__ import annotations

import time

from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError

PROBE_SECONDS = 1.0
"""How long one probe's answer holds, so that frequent checks don't become load."""


class Readiness:
    """Answers `/readyz`: 503 while the store takes no writes, and from the moment the server begins to stop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping: str | None = None
        self._checked = 0.0
        self._problem: str | None = None
        self._waiting_since: float | None = None

    @property
    def known(self) -> str | None:
        """Why the server was not ready when it was last looked at, None when it was. A probe that gets no answer is an
        answer."""
        since = self._waiting_since
        if self._stopping is None and since is not None and time.monotonic() - since > PROBE_SECONDS:
            return "STORAGE_UNAVAILABLE"
        return self._stopping or self._problem

    def stop(self, reason: str) -> None:
        """Be unready from now on."""
        self._stopping = reason

    async def check(self) -> str | None:
        """Why the server is not ready, None when it is. Writes a probe row at most once a second."""
        if self._stopping is not None:
            return self._stopping
        if time.monotonic() - self._checked > PROBE_SECONDS:
            self._waiting_since = self._waiting_since or time.monotonic()
            self._problem = await self._probe()
            self._checked = time.monotonic()
            self._waiting_since = None
        return self._problem

    async def _probe(self) -> str | None:
        try:
            await self._engine.run(SYSTEM, lambda tx: tx.session.probe(), authority=Authority.TRUSTED)
        except PylonError as error:
            return error.code
        return None
