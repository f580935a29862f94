"""`incident capture`: everything that tells what a process was doing, as one archive with a manifest.

A part that fails, takes too long or grows too large never stops the others: the manifest says which and why. Memory is
bounded by the size of one member; a larger part is cut into several.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.ops.incident.archive import Archive, digest
from pylon.ops.incident.mask import Mask
from pylon.ops.incident.moments import stamp, utc
from pylon.signals.logs import Log

log = Log("pylon.incident")

MEMBER_BYTES = 4 * 2**20
PART_BYTES = 256 * 2**20
STEP_SECONDS = 15.0
"""The longest wait for the next piece of a part."""

MANIFEST = "capture.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Window:
    """What is captured of the past: from `since` to `until` in Unix seconds."""

    since: float
    until: float

    @property
    def minutes(self) -> float:
        return (self.until - self.since) / 60


Pieces = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the bundle. `read` yields pieces that end where a line ends, so that masking sees whole lines."""

    name: str
    about: str
    read: Callable[[Window], Pieces]


@dataclass(slots=True)
class Manifest:
    """What the bundle holds, and what it could not."""

    files: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)

    def document(self, window: Window, about: dict[str, Any]) -> bytes:
        """`capture.json`."""
        told = {
            "format": FORMAT,
            "captured_at": utc(window.until),
            "since": utc(window.since),
            **about,
            "files": self.files,
            "not_captured": self.missing,
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


class Unavailable(Exception):
    """A part can't be captured here; the text says why."""


async def bundle(parts: Sequence[Part], window: Window, mask: Mask, about: dict[str, Any]) -> AsyncIterator[bytes]:
    """The archive, piece by piece. `about` goes into the manifest."""
    archive = Archive(folder_name(window.until), window.until)
    manifest = Manifest()
    for part in parts:
        number = 0
        try:
            async for content in _members(part, window):
                number += 1
                name = part.name if number == 1 else _numbered(part.name, number)
                packed, entry = await asyncio.to_thread(_pack, archive, name, content, mask)
                manifest.files.append(entry | {"about": part.about})
                yield packed
        except Exception as error:  # a supervised boundary: one part must not stop the others
            manifest.missing.append({"name": part.name, "why": mask.text(_why(error))})
            if not isinstance(error, (Unavailable, PylonError)):
                log.exception("a part was not captured", part=part.name)
    yield archive.member(MANIFEST, mask.bytes(manifest.document(window, about))) + archive.end()


def folder_name(at: float) -> str:
    """The name of a bundle."""
    return f"pylon-capture-{stamp(at)}"


def last_minutes(minutes: float, now: float | None = None) -> Window:
    """The window that ends now."""
    until = time.time() if now is None else now
    return Window(until - minutes * 60, until)


async def _members(part: Part, window: Window) -> AsyncIterator[bytes]:
    """The part's bytes, in members of bounded size. Raises when a piece takes too long, and past the size limit, after
    what there was."""
    pieces = part.read(window)
    gathered: list[bytes] = []
    size = total = 0
    trouble: Exception | None = None
    while True:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                piece = await anext(pieces)
        except StopAsyncIteration:
            break
        except Exception as error:  # what was read until then is kept
            trouble = error
            break
        if total + len(piece) > PART_BYTES:
            trouble = Unavailable(f"cut off at {PART_BYTES // 2**20} MB")
            break
        total += len(piece)
        if gathered and size + len(piece) > MEMBER_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
        gathered.append(piece)
        size += len(piece)
    if gathered or trouble is None:
        yield b"".join(gathered)
    if trouble is not None:
        raise trouble


def _pack(archive: Archive, name: str, content: bytes, mask: Mask) -> tuple[bytes, dict[str, Any]]:
    masked = mask.bytes(content)
    return archive.member(name, masked), {"name": name, "bytes": len(masked), "sha256": digest(masked)}


def _numbered(name: str, number: int) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{number}{dot}{ending}"


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {STEP_SECONDS:g} s"
    if isinstance(error, PylonError):
        return f"{error.code}: {error.message}"
    return str(error) if isinstance(error, Unavailable) else f"{type(error).__name__}: {error}"
