"""The foundation of signing in over a real database, without a server around it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation, lay_foundation
from pylon.auth.methods import METHODS
from pylon.auth.registry import Method
from pylon.auth.sessions import NOBODY, Session
from pylon.engine.caller import Caller
from pylon.engine.keyring import KeyRing
from pylon.model.schema import AppSpec
from pylon.settings import Settings
from pylon.testing.engine import open_engine

KEY = "key-of-the-tests-only-0123456789abcdef"


@asynccontextmanager
async def open_foundation(
    app: AppSpec,
    folder: Path,
    *,
    keys: Iterable[str] = (KEY,),
    methods: Iterable[Method] = METHODS,
    mail_folder: Path | None = None,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[Foundation]:
    """The app's foundation with every method on it; `settings` are fields of Settings."""
    async with open_engine(app, folder, clock=clock) as engine:
        configuration = Settings(data_dir=folder, **settings)
        foundation = lay_foundation(engine, configuration, KeyRing(tuple(keys)), methods, mail_folder=mail_folder)
        await foundation.start()
        try:
            yield foundation
        finally:
            await foundation.stop()


def somebody(session: Session = NOBODY, *, ip: str = "203.0.113.7", agent: str | None = "curl/8") -> Arrival:
    """Somebody at the door, with this session or none."""
    caller = Caller(identity=session.identity, ip=ip, door="test", session=session.key, request_id="r1")
    return Arrival(caller=caller, agent=agent, session=session)
