"""An engine over a real database in a folder of the test's, without a server around it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing
from pylon.engine.plan import Plans
from pylon.model.schema import AppSpec
from pylon.plugins.host import Plugins
from pylon.store.sqlite.database import SqliteStore


@asynccontextmanager
async def open_engine(
    app: AppSpec,
    folder: Path,
    *,
    keys: KeyRing | None = None,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> AsyncIterator[Engine]:
    """The app's engine, started, on `folder/pylon.db`, under the test's clock, with its plugins' hooks of writes.
    `keys` are those of encrypted fields, options those of Engine."""
    plans = Plans(app)
    plans.field_keys.keys = keys
    store = SqliteStore(folder / "pylon.db", {name: plan.types for name, plan in plans.items()}, clock=clock)
    store.apply(app.entities)
    engine = Engine(plans, store, clock=clock, **options)
    Plugins(app.plugins, engine)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()
