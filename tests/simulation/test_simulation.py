"""Sync converges, whatever happens: whole servers and clients on one thread, by seed.

`PYLON_TEST_LONG=1` runs 10,000 seeds instead of 200, `SIMULATION_SEED=n` just one, with its history.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.engine import committer, reads
from pylon.engine.engine import Engine
from pylon.signals import logs
from tests.simulation.host import InlineCommitter
from tests.simulation.run import simulate
from tests.simulation.world import World, run

PIECES = 8
SEEDS = 10_000 if os.environ.get("PYLON_TEST_LONG") else 200


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    level = logs.level()
    monkeypatch.setattr(Engine, "committer_type", InlineCommitter)
    # Real time decides nothing here: a busy machine must not change what a seed does.
    monkeypatch.setattr(reads, "INLINE_SECONDS", 3600.0)
    monkeypatch.setattr(committer, "BATCH_SECONDS", 3600.0)
    yield
    logs.set_level(level)  # a run logs errors only; the tests after it in this process log as before


def seed_of(seed: int, folder: Path) -> list[str]:
    folder.mkdir()
    histories: list[list[str]] = []

    async def main(world: World) -> None:
        histories.append(world.history)
        await simulate(world, folder)

    try:
        run(seed, main)
    except AssertionError as error:
        told = "\n".join(histories[0][-40:])
        raise AssertionError(f"SIMULATION_SEED={seed} replays this: {error}\n{told}") from error
    return histories[0]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.timeout(3600 if SEEDS > 1000 else 120)
def test_every_replica_converges_and_every_answer_holds(piece: int, tmp_path: Path) -> None:
    if only := os.environ.get("SIMULATION_SEED"):
        if piece == 0:
            print("\n".join(seed_of(int(only), tmp_path / only)))
        return
    for seed in range(piece, SEEDS, PIECES):
        seed_of(seed, tmp_path / str(seed))


@pytest.mark.usefixtures("one_thread")
def test_a_seed_replays(tmp_path: Path) -> None:
    assert seed_of(7, tmp_path / "once") == seed_of(7, tmp_path / "again")
