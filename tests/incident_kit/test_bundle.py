"""The bundle: bounded, hashed, without secrets, and whole whatever one of its parts does."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pylon.cli.incident.bundle import unpack
from pylon.model.errors import PylonError
from pylon.ops.incident import capture
from pylon.ops.incident.archive import Archive
from pylon.ops.incident.capture import MANIFEST, Part, Pieces, Unavailable, Window, bundle
from pylon.ops.incident.evidence import document, lines
from pylon.ops.incident.mask import Mask
from pylon.settings import Settings

WINDOW = Window(1_795_404_600.0, 1_795_406_400.0)
NO_SECRETS = Mask(())


async def made(parts: Sequence[Part], mask: Mask = NO_SECRETS) -> dict[str, bytes]:
    """The files of a bundle by name."""
    content = b"".join([piece async for piece in bundle(parts, WINDOW, mask, {"source": "test"})])
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        found = {}
        for member in archive.getmembers():
            folder, _, name = member.name.partition("/")
            assert folder == "pylon-capture-20261123T040000Z"
            file = archive.extractfile(member)
            assert file is not None
            found[name] = file.read()
        return found


async def pieces_of(parts: Sequence[Part]) -> list[bytes]:
    return [piece async for piece in bundle(parts, WINDOW, NO_SECRETS, {})]


def part(name: str, *pieces: bytes | Exception) -> Part:
    async def read(window: Window) -> Pieces:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    return Part(name, "a test", read)


def manifest(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files[MANIFEST])
    return found


async def test_the_manifest_has_the_hash_of_every_file() -> None:
    files = await made([part("a.txt", b"one\n", b"two\n"), document("b.json", "b", lambda _: {"x": 1})])
    assert files["a.txt"] == b"one\ntwo\n"
    told = {each["name"]: each for each in manifest(files)["files"]}
    assert set(told) == set(files) - {MANIFEST}
    for name, each in told.items():
        assert each["sha256"] == hashlib.sha256(files[name]).hexdigest()
        assert each["bytes"] == len(files[name])


async def test_a_part_that_fails_stops_no_other() -> None:
    files = await made([part("bad.txt", ValueError("no luck")), part("good.txt", b"x\n")])
    assert files["good.txt"] == b"x\n"
    assert manifest(files)["not_captured"] == [{"name": "bad.txt", "why": "ValueError: no luck"}]


async def test_what_a_failing_part_gave_before_is_kept() -> None:
    files = await made([part("half.txt", b"first\n", Unavailable("the rest is gone"))])
    assert files["half.txt"] == b"first\n"
    assert manifest(files)["not_captured"] == [{"name": "half.txt", "why": "the rest is gone"}]


async def test_a_part_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "STEP_SECONDS", 0.05)

    async def read(window: Window) -> Pieces:
        await asyncio.Event().wait()
        yield b""

    files = await made([Part("stuck.txt", "", read), part("good.txt", b"x\n")])
    assert files["good.txt"] == b"x\n"
    assert manifest(files)["not_captured"] == [{"name": "stuck.txt", "why": "it took longer than 0.05 s"}]


async def test_a_large_part_is_cut_into_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MEMBER_BYTES", 10)
    files = await made([part("log.txt", b"12345678\n", b"abcdefgh\n", b"x\n")])
    assert (files["log.txt"], files["log.2.txt"], files["log.3.txt"]) == (b"12345678\n", b"abcdefgh\n", b"x\n")


async def test_a_part_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "PART_BYTES", 2**20)

    async def read(window: Window) -> Pieces:
        while True:
            yield b"x" * 2**18

    files = await made([Part("endless.txt", "", read)])
    assert len(files["endless.txt"]) == 2**20
    assert manifest(files)["not_captured"] == [{"name": "endless.txt", "why": "cut off at 1 MB"}]


async def test_memory_stays_bounded_while_a_bundle_is_sent() -> None:
    import tracemalloc

    async def read(window: Window) -> Pieces:
        for _ in range(24):
            yield b"x" * 2**20

    tracemalloc.start()
    try:
        async for _ in bundle([Part("big.txt", "", read)], WINDOW, NO_SECRETS, {}):
            pass
        assert tracemalloc.get_traced_memory()[1] < 6 * capture.MEMBER_BYTES
    finally:
        tracemalloc.stop()


async def test_the_archive_opens_with_the_tools_that_everybody_has(tmp_path: Path) -> None:
    archive = Archive("folder", 1_795_406_400.0)
    content = archive.member("a name.txt", b"x" * 700) + archive.member("empty", b"") + archive.end()
    (tmp_path / "x.tar.gz").write_bytes(content)
    process = await asyncio.create_subprocess_exec("tar", "xzf", "x.tar.gz", cwd=tmp_path)
    assert await process.wait() == 0
    assert (tmp_path / "folder" / "a name.txt").read_bytes() == b"x" * 700


def test_a_bundle_is_unpacked_and_checked(tmp_path: Path) -> None:
    pieces = asyncio.run(pieces_of([part("a.txt", b"x\n")]))
    told = unpack(iter(pieces), tmp_path / "evidence")
    folder = Path(told["folder"])
    assert (folder / "a.txt").read_bytes() == b"x\n"
    assert (folder / "a.txt").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_bundle_that_was_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    pieces = asyncio.run(pieces_of([part("a.txt", b"original\n")]))
    forged = gzip.compress(gzip.decompress(b"".join(pieces)).replace(b"original", b"0riginal"))
    with pytest.raises(PylonError, match=r"not what the manifest says: a\.txt"):
        unpack(iter([forged]), tmp_path)


@pytest.mark.parametrize("name", ["../evil", "a/b", ".bashrc", ""])
def test_a_member_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    archive = Archive("folder", 0)
    with pytest.raises(PylonError, match="none of ours"):
        unpack(iter([archive.member(name, b"x") + archive.end()]), tmp_path / "in")
    assert not (tmp_path / "evil").exists()


@pytest.fixture
def settings() -> Settings:
    return Settings.load(
        {
            "PYLON_ADMIN_TOKEN": "first-admin-token-000,second-admin-token-111",
            "PYLON_METRICS_TOKEN": "metrics-token-222222",
            "DATABASE_URL": "postgresql://app:p%40ss-word-3@db/app",
        }
    )


SECRETS = (
    "first-admin-token-000",
    "second-admin-token-111",
    "metrics-token-222222",
    "postgresql://app:p%40ss-word-3@db/app",
    "p%40ss-word-3",
    "p@ss-word-3",
    "pylon_" + "0123456789abcdef" * 4,
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", '"{}"', "x={} y", "Authorization: Bearer {}", "GET /?token={}&a=b", "\n{}\n"])
def test_no_secret_passes_the_mask(settings: Settings, secret: str, around: str) -> None:
    masked = Mask.of(settings).bytes(around.format(secret).encode()).decode()
    assert secret not in masked
    assert "***" in masked


def test_cookies_and_keys_are_masked_by_their_looks() -> None:
    text = 'Cookie: notes_session=abcdefgh12345678; "app_session": "qwertyuiop"\nAGE-SECRET-KEY-1QQQQ'
    masked = NO_SECRETS.text(text)
    for secret in ("abcdefgh12345678", "qwertyuiop", "1QQQQ"):
        assert secret not in masked


def test_ordinary_text_passes_the_mask_as_it_is(settings: Settings) -> None:
    text = '{"name": "PYLON_PORT", "value": "4321", "cookie_name": null}\npylon_http_requests_total{method="GET"} 5\n'
    assert Mask.of(settings).text(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        "x",
        "pylon_",
        "pylon_a",
        "_session=",
        "cookie ",
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "?token=",
        "://x:",
        "ookie",
        "pylon_a_",
    ],
)
def test_masking_takes_time_in_proportion_to_the_text(unit: str) -> None:
    began = time.perf_counter()
    NO_SECRETS.text(unit * (2**20 // len(unit)))
    assert time.perf_counter() - began < 5


async def test_the_mask_sees_what_a_failing_part_says(settings: Settings) -> None:
    files = await made([part("bad.txt", ValueError("refused by " + SECRETS[3]))], Mask.of(settings))
    assert SECRETS[3].encode() not in files[MANIFEST]


async def test_lines_are_told_in_portions() -> None:
    def give(window: Window) -> Iterator[str]:
        yield from (str(n) for n in range(5_000))

    pieces: AsyncIterator[bytes] = lines("n.txt", "", give).read(WINDOW)
    found = [piece async for piece in pieces]
    assert len(found) == 3
    assert b"".join(found).split() == [str(n).encode() for n in range(5_000)]
