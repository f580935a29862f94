"""Keys of encrypted fields: a new one seals from then on, the old ones open, and sealing anew changes no value."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing, load_keyring
from pylon.engine.resealing import Resealing
from pylon.model.errors import PylonError
from pylon.sync.subset import Subsets
from pylon.testing.engine import open_engine
from pylon.testing.waiting import eventually
from tests.conftest import ADMINISTRATOR, ALICE
from tests.fields.test_encrypted import SECRET, app, found, make


async def sealed(resealing: Resealing) -> dict[str, dict[str, int]]:
    return {state.field: state.by_key for state in await resealing.states()}


async def finished(resealing: Resealing) -> None:
    await asyncio.to_thread(eventually, lambda: not resealing.progress.running)


async def with_rows(engine: Engine) -> list[str]:
    return [await make(engine, ssn=f"{SECRET}{i % 3}", notes="n" if i % 2 else None, born=i) for i in range(450)]


async def test_after_a_rotation_everything_is_sealed_anew_and_nothing_else_happens(tmp_path: Path) -> None:
    ring = load_keyring([], tmp_path)
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        await with_rows(engine)
        resealing = Resealing(engine, ring, tmp_path)
        head, before = engine.reads.log_head(), await found(engine, ALICE, {})
        seen: list[object] = []
        engine.subscribe(seen.extend)
        old = ring.ids[0]
        new = await resealing.rotate(ADMINISTRATOR)
        assert ring.ids == (new, old)
        assert (await sealed(resealing))["ssn"] == {new: 0, old: 450}
        assert len(await found(engine, ALICE, {"ssn": SECRET + "1"})) == 150

        await resealing.start(ADMINISTRATOR)
        await finished(resealing)
        assert resealing.progress.sealed == 450 + 225 + 450
        assert (await sealed(resealing))["ssn"] == {new: 450, old: 0}
        assert (await sealed(resealing))["notes"] == {new: 225, old: 0}
        assert await found(engine, ALICE, {}) == before
        assert len(await found(engine, ALICE, {"ssn": SECRET + "1"})) == 150
        assert (engine.reads.log_head(), seen) == (head, [])
    again = load_keyring([], tmp_path)
    assert again.ids == (new, old)
    async with open_engine(app(), tmp_path, keys=KeyRing([(tmp_path / "secret.key").read_text().split()[0]])) as engine:
        assert await found(engine, ALICE, {}) == before


async def test_what_a_client_writes_while_everything_is_sealed_anew_is_kept(tmp_path: Path) -> None:
    ring = load_keyring([], tmp_path)
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        ids = await with_rows(engine)
        resealing = Resealing(engine, ring, tmp_path)
        await resealing.rotate(ADMINISTRATOR)
        await resealing.start(ADMINISTRATOR)
        await asyncio.gather(
            *(engine.update(ALICE, "Patient", row_id, msgspec.json.encode({"ssn": row_id})) for row_id in ids)
        )
        await finished(resealing)
        assert {row["ssn"] == row["id"] for row in await found(engine, ALICE, {})} == {True}
        assert set((await sealed(resealing))["ssn"].values()) == {0, 450}


async def test_it_goes_on_after_it_was_stopped(tmp_path: Path) -> None:
    async with open_engine(app(), tmp_path, keys=KeyRing(["old" * 20])) as engine:
        await with_rows(engine)
    ring = KeyRing(["new" * 20, "old" * 20])
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        first = Resealing(engine, ring, None)
        await first.start(ADMINISTRATOR)
        await asyncio.sleep(0)
        await first.stop()
        second = Resealing(engine, ring, None)
        await second.start(ADMINISTRATOR)
        await finished(second)
        assert (await sealed(second))["born"] == {ring.ids[0]: 450, ring.ids[1]: 0}


async def test_a_lost_key_is_told_and_holds_up_no_other_row(tmp_path: Path) -> None:
    async with open_engine(app(), tmp_path, keys=KeyRing(["lost" * 20])) as engine:
        await make(engine, notes=SECRET)
    async with open_engine(app(), tmp_path, keys=KeyRing(["old" * 20])) as engine:
        await make(engine, notes=SECRET)
    ring = KeyRing(["new" * 20, "old" * 20])
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        resealing = Resealing(engine, ring, None)
        assert [state.unknown for state in await resealing.states() if state.field == "notes"] == [1]
        await resealing.start(ADMINISTRATOR)
        await finished(resealing)
        assert "1 rows hold values that no key here opens" in resealing.progress.error
        assert (await sealed(resealing))["notes"] == {ring.ids[0]: 1, ring.ids[1]: 0}


async def test_what_the_older_program_sealed_is_told_left_alone_and_never_shown(tmp_path: Path) -> None:
    ring = KeyRing(["new" * 20])
    foreign = "enc:v1:AAAAAAAAAAAAAAAA:c2VhbGVk"
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        old, new = await make(engine, notes="x"), await make(engine, notes=SECRET)
        await engine.run(ADMINISTRATOR, lambda tx: tx.session.update("Patient", old, {"notes": foreign}))
        with pytest.raises(PylonError) as error:
            await engine.reads.get(ALICE, "Patient", old)
        assert error.value.code == "SEALED_UNREADABLE"
        assert foreign not in str(error.value)
        assert engine.plans.field_keys.unreadable == 1
        assert msgspec.json.decode(await engine.reads.get(ALICE, "Patient", new))["notes"] == SECRET

        resealing = Resealing(engine, ring, None)
        [state] = [state for state in await resealing.states() if state.field == "notes"]
        assert (state.by_key, state.open, state.unknown) == ({ring.ids[0]: 1}, 0, 1)
        await resealing.start(ADMINISTRATOR)
        await finished(resealing)
        assert resealing.progress.unreadable == 1
        at = engine.plans["Patient"].types.columns.index("notes")
        stored = await engine.reads.run(lambda session: session.get("Patient", old), 1.0)
        assert stored is not None
        assert stored[at] == foreign

        with pytest.raises(PylonError) as refused:
            engine.plans["Patient"].types.decode_import(msgspec.json.encode({"name": "p", "notes": foreign}))
        assert refused.value.code == "INVALID_DATA"


async def test_configured_keys_are_not_the_servers_to_change(tmp_path: Path) -> None:
    ring = KeyRing(["new" * 20])
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        with pytest.raises(PylonError) as error:
            await Resealing(engine, ring, None).rotate(ADMINISTRATOR)
        assert error.value.code == "KEYS_CONFIGURED"


async def test_a_partial_replica_by_a_lookup_holds_the_same_rows_after_a_rotation(tmp_path: Path) -> None:
    ring = load_keyring([], tmp_path)
    async with open_engine(app(), tmp_path, keys=ring) as engine:
        await with_rows(engine)
        resealing, subsets = Resealing(engine, ring, tmp_path), Subsets(engine.plans)

        async def held() -> int:
            subset = subsets.of({"Patient": {"ssn": SECRET + "1"}}, ALICE.identity)
            assert subset is not None
            selection = subset.parts["Patient"].selection
            return await engine.queries.count(ALICE, "Patient", selection)

        assert await held() == 150
        await resealing.rotate(ADMINISTRATOR)
        await resealing.start(ADMINISTRATOR)
        await finished(resealing)
        assert await held() == 150
