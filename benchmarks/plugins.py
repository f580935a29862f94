"""What plugins and tenants cost an insert, in process: `python -m benchmarks.plugins`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from pylon import App, Entity
from pylon.engine.caller import Caller
from pylon.model.identity import Identity
from pylon.plugins import SoftDelete, Timestamps, Validation, Versioning
from pylon.plugins.validation import Rule
from pylon.testing.engine import open_engine

ROWS = 10_000
BATCH = 500
ANN = Caller(identity=Identity(user_id="ann", tenant_id="t"), door="bench")
BODY = b'{"title":"x","n":1}'


class Note(Entity, crdt=False):
    title: str
    n: int | None = None

    class Policy:
        allow = "auth.userId != null"


class Scoped(Entity, crdt=False):
    title: str
    n: int | None = None
    tenantId: str | None = None  # noqa: N815 - the name on the wire

    class Policy:
        allow = "auth.userId != null"


CASES: dict[str, tuple[type, list[Any]]] = {
    "no plugins": (Note, []),
    "a tenant": (Scoped, []),
    "Timestamps": (Note, [Timestamps(Note)]),
    "Validation, one rule": (Note, [Validation({Note: {"title": Rule(min_length=1)}})]),
    "SoftDelete": (Note, [SoftDelete(Note)]),
    "Versioning": (Note, [Versioning(Note)]),
}


async def rate(entity: type, plugins: list[Any]) -> float:
    """Inserts per second, the best of three rounds."""
    app = App("bench", entities=[entity], plugins=plugins)
    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        async with open_engine(app.spec(), Path(folder)) as engine:
            for _ in range(3):
                began = time.perf_counter()
                for _ in range(ROWS // BATCH):
                    await asyncio.gather(*(engine.insert(ANN, entity.__name__, BODY) for _ in range(BATCH)))
                best = max(best, ROWS / (time.perf_counter() - began))
    return best


def main() -> None:
    for name, (entity, plugins) in CASES.items():
        print(f"{name:22} {asyncio.run(rate(entity, plugins)):10,.0f} inserts/s")


if __name__ == "__main__":
    main()
