"""`capture`: fetches the server's bundle into a folder and checks it; without a server, bundles the data folder."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import os
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from pylon.cli import commands
from pylon.cli.exits import Exit
from pylon.cli.incident.line import Line, is_down
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, RemoteError, Unreachable
from pylon.model.errors import PylonError
from pylon.ops.incident import offline
from pylon.ops.incident.archive import digest
from pylon.ops.incident.capture import MANIFEST, bundle, last_minutes
from pylon.ops.incident.mask import Mask
from pylon.ops.incident.moments import stamp
from pylon.settings import Settings
from pylon.store.lock import folder_holder

READ_SECONDS = 120.0
"""The longest silence of a server that is capturing."""

BACKUP_SECONDS = 3600.0


def capture(options: argparse.Namespace, output: Output) -> int:
    """Save a bundle."""
    line = Line.of(options)
    if not 0 < options.minutes <= 7 * 24 * 60:
        raise PylonError("INVALID_DATA", "--minutes: expected a number above 0, at most 10080")
    folder = Path(options.folder)
    document = save(line, folder, options.minutes, output)
    if options.backup:
        document["backup"] = back_up(line, folder, output)
    output.answer(document, told(document))
    return Exit.OK if not options.backup or document["backup"].get("taken") else Exit.FAILED


def save(line: Line, folder: Path, minutes: float, output: Output) -> dict[str, Any]:
    """Fetch the server's bundle, or make one of the data folder; what is in it. Raises RemoteError, OSError."""
    try:
        return from_server(line.remote, folder, minutes)
    except RemoteError as error:
        if not is_down(error):
            raise
        holder = folder_holder(line.settings.data_dir) if isinstance(error, Unreachable) else None
        why = error.message if holder is None else f"{error.message}, though process {holder} holds the data folder"
        output.note(f"{why}; capturing what the data folder holds")
        return from_data_folder(line.settings, folder, minutes, why)


def from_server(remote: Remote, folder: Path, minutes: float) -> dict[str, Any]:
    """The running server's bundle."""
    patient = Remote(remote.url, remote.token, timeout=READ_SECONDS)
    pieces = patient.stream("/api/admin/capture", minutes=minutes)
    try:
        return unpack(pieces, folder)
    except (tarfile.TarError, EOFError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise PylonError("CAPTURE_FAILED", f"the bundle broke off: {error}", hint="What arrived is kept.") from None


def from_data_folder(settings: Settings, folder: Path, minutes: float, why: str) -> dict[str, Any]:
    """A bundle without a server."""
    parts = offline.parts(settings)
    about = {"source": "data folder", "why": why, "minutes": minutes}
    made = bundle(parts, last_minutes(minutes, time.time()), Mask.of(settings), about)
    return unpack(iter(asyncio.run(_gathered(made))), folder)


def back_up(line: Line, folder: Path, output: Output) -> dict[str, Any]:
    """Take a backup into the folder where the data folder is at hand; elsewhere have the server take one."""
    command = commands.find("backup")
    if command is not None and line.remote.is_local and line.settings.database_path.is_file():
        target = folder / f"pylon-backup-{stamp(time.time())}"
        words = [str(target), "--data-dir", str(line.settings.data_dir)]
        if commands.call(command, words, output) != Exit.OK:
            return {"taken": False, "why": "the backup failed"}
        return {"taken": True, "folder": str(target)}
    try:
        answer = Remote(line.remote.url, line.remote.token, timeout=BACKUP_SECONDS).post("/api/admin/backups", {})
    except RemoteError as error:
        output.report([failure(error.code, f"no backup was taken: {error.message}", error.hint)])
        return {"taken": False, "why": error.message}
    return {"taken": True, "backup": answer}


def told(document: dict[str, Any]) -> str:
    """What a person needs to know of a bundle."""
    lines = [f"captured {len(document['files'])} files into {document['folder']}"]
    lines += [f"  not captured: {each['name']}: {each['why']}" for each in document["not_captured"]]
    if document.get("backup", {}).get("taken"):
        lines.append("backup taken")
    return "\n".join(lines)


def unpack(pieces: Iterator[bytes], folder: Path) -> dict[str, Any]:
    """Write the members of a bundle, each name checked, and compare their hashes with the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes: dict[str, str] = {}
    manifest: dict[str, Any] = {}
    target = folder
    with tarfile.open(fileobj=cast("IO[bytes]", io.BufferedReader(_Stream(pieces))), mode="r|gz") as archive:
        for member in archive:
            top, _, name = member.name.partition("/")
            if not member.isfile() or not name or "/" in name or name.startswith(".") or top.startswith("."):
                raise PylonError("CAPTURE_FAILED", f"the bundle has a member that is none of ours: {member.name[:80]}")
            target = folder / top
            target.mkdir(mode=0o700, exist_ok=True)
            content = cast("IO[bytes]", archive.extractfile(member)).read()
            with os.fdopen(os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            if name == MANIFEST:
                manifest = msgspec.json.decode(content)
            else:
                hashes[name] = digest(content)
    wrong = [f["name"] for f in manifest.get("files", ()) if hashes.get(f["name"]) != f["sha256"]]
    if not manifest or wrong:
        what = f"these files are not what the manifest says: {', '.join(wrong)}" if wrong else "it has no manifest"
        raise PylonError("CAPTURE_FAILED", f"the bundle is not whole: {what}", hint="What arrived is kept.")
    return {"folder": str(target), **manifest}


class _Stream(io.RawIOBase):
    """Pieces as a file to be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


async def _gathered(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]
