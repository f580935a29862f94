"""`backup.json`: what one backup holds, readable without its key.

    {"format": 1, "pylon": "0.1.0", "app": {"name", "version", "schema"} | null, "taken_at": "…Z", "seq": 1234, …,
     "encryption": null | {"method", "key"?}, "files": [{"name", "size", "sha256"}], "sealed"?: "-----BEGIN AGE …"}

`files` describes the bytes as they are stored, so a backup's integrity is checked without its key. In an encrypted one
the names of uploads are secret, and so are the sums of what is inside: both are in `sealed`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_millis

FORMAT = 1
NAME = "backup.json"
DATABASE = "pylon.db"
MAX_BYTES = 256 * 2**20

_UNSAFE = re.compile(r"(^|/)\.{1,2}(/|$)|^/|//|\0|/$|^$")


class FileEntry(msgspec.Struct, frozen=True):
    """One stored file: its path in the backup, and its bytes as stored."""

    name: str
    size: int
    sha256: str


class SealedFile(msgspec.Struct, frozen=True):
    """What an encrypted file becomes when it is opened."""

    stored: str
    name: str
    size: int
    sha256: str


class AppFacts(msgspec.Struct, frozen=True):
    """The app that a backup is of; `schema` is the SHA-256 of its declared entities."""

    name: str
    version: str
    schema: str


class Database(msgspec.Struct, frozen=True):
    """The copy of the database; `schema` is the SHA-256 of its own definitions."""

    pages: int
    page_size: int
    schema: str


class AuditHead(msgspec.Struct, frozen=True):
    """The newest block of the audit trail in the copy."""

    id: int
    hash: str


class Encryption(msgspec.Struct, frozen=True):
    """How the files are sealed. For a passphrase, `key` is the age identity that opens them, sealed with it."""

    method: Literal["age-passphrase", "age-x25519"]
    key: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. `seq` is the change log's head in the copy, `timeline` the restore that the data descends from."""

    format: int = FORMAT
    pylon: str
    app: AppFacts | None = None
    taken_at: str
    seq: int
    log_floor: int
    timeline: int = 0
    audit: AuditHead | None = None
    database: Database
    encryption: Encryption | None = None
    files: tuple[FileEntry, ...]
    sealed: str | None = None

    @property
    def taken(self) -> float:
        """When the copy is of, in Unix seconds."""
        return datetime.fromisoformat(self.taken_at).timestamp()

    @property
    def size(self) -> int:
        """Bytes stored, this file aside."""
        return sum(entry.size for entry in self.files)

    def encode(self) -> bytes:
        """The file's text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def moment(seconds: float) -> str:
    """A time as the manifest writes it."""
    return iso_millis(datetime.fromtimestamp(seconds, UTC))


def decode(text: bytes, label: str) -> Manifest:
    """The manifest of a backup. Raises BACKUP_INVALID, and BACKUP_TOO_NEW for a format that this release can't read."""
    try:
        version = msgspec.json.decode(text, type=_Version).format
    except msgspec.MsgspecError as error:
        raise invalid(label, f"{NAME} can't be read ({error})") from error
    if version > FORMAT:
        raise PylonError(
            "BACKUP_TOO_NEW",
            f"{label} has format {version}; this release reads formats up to {FORMAT}.",
            hint="Use the release of Pylon that made it, or a newer one.",
        )
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
        datetime.fromisoformat(manifest.taken_at)
    except (msgspec.MsgspecError, ValueError) as error:
        raise invalid(label, f"{NAME} is malformed ({error})") from error
    names = [entry.name for entry in manifest.files]
    if len(set(names)) != len(names) or any(is_unsafe(name) for name in names):
        raise invalid(label, f"{NAME} names a file twice, or one outside the backup")
    return manifest


def check_version(manifest: Manifest, label: str, running: str) -> None:
    """Raise BACKUP_TOO_NEW for a backup of a newer major version than the running one."""
    if _major(manifest.pylon) > _major(running):
        raise PylonError(
            "BACKUP_TOO_NEW",
            f"{label} was made by Pylon {manifest.pylon}; this is {running}.",
            hint="Restore it with that release or a newer one.",
        )


def is_unsafe(name: str) -> bool:
    """Whether a name could lead out of the folder that it is written to."""
    return _UNSAFE.search(name) is not None


def invalid(label: str, why: str) -> PylonError:
    """BACKUP_INVALID with its reason."""
    return PylonError("BACKUP_INVALID", f"{label} does not verify: {why}.", hint="Use another backup.")


class _Version(msgspec.Struct):
    format: int


def _major(version: str) -> int:
    head = version.split(".", 1)[0]
    return int(head) if head.isdigit() else 0
