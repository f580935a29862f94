"""The server's secret keys: what is sealed at rest is sealed under them, and short secrets are hashed with them.

The keys stand in `PYLON_SECRET_KEY`, comma-separated, or else in the file `secret.key` of the data folder, one a line;
the first is current, the others still open what they sealed. A database without them yields nothing that is sealed,
and no code that could be tried out.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pylon.model.errors import PylonError

FILE_NAME = "secret.key"
_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD = len(_VERSION) + _ID_BYTES


class KeyRing:
    """Keys by id; the first is current. Every purpose has keys of its own, derived from these, so that nothing sealed
    for one can be passed off as another's."""

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        if not keys:
            raise ValueError("a key ring needs a key")
        raw = [key.encode() if isinstance(key, str) else key for key in keys]
        self._roots = {_derive(_extract(key), b"key id")[:_ID_BYTES]: _extract(key) for key in raw}
        self._current = next(iter(self._roots))
        self._derived: dict[tuple[bytes, str], bytes] = {}
        self._ciphers: dict[tuple[bytes, str], Any] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, which are no secret, the current one first."""
        return tuple(identifier.hex() for identifier in self._roots)

    def mac(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 under the current key."""
        return hmac.digest(self._key(self._current, purpose), message, "sha256")

    def macs(self, purpose: str, message: bytes) -> list[bytes]:
        """The same under every key, the current one first: what an older key may have made."""
        return [hmac.digest(self._key(identifier, purpose), message, "sha256") for identifier in self._roots]

    def marks(self, purpose: str, message: bytes) -> list[tuple[str, bytes]]:
        """The same, each with the id of its key."""
        roots = list(self._roots)
        return [(key.hex(), hmac.digest(self._key(key, purpose), message, "sha256")) for key in roots]

    def key_id(self, sealed: bytes) -> str:
        """The id of the key that sealed this."""
        return sealed[len(_VERSION) : _HEAD].hex()

    def lead_with(self, key: str | bytes) -> None:
        """Seal with this key from now on; the others still open what they sealed."""
        root = _extract(key.encode() if isinstance(key, str) else key)
        identifier = _derive(root, b"key id")[:_ID_BYTES]
        self._roots = {identifier: root} | self._roots
        self._current = identifier

    def seal(self, purpose: str, plain: bytes, context: bytes = b"") -> bytes:
        """Encrypt and authenticate (AES-256-GCM). What was sealed under one `context`, such as the id of its row, does
        not open under another."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = self._cipher(self._current, purpose).encrypt(nonce, plain, context)
        return _VERSION + self._current + nonce + sealed

    def open(self, purpose: str, sealed: bytes, context: bytes = b"") -> bytes:
        """What was sealed. Raises SEALED_UNREADABLE when no key here fits, or it was changed or moved."""
        identifier = sealed[len(_VERSION) : _HEAD]
        if sealed[:1] != _VERSION or identifier not in self._roots:
            raise PylonError("SEALED_UNREADABLE", "What is stored was sealed with a key that this server does not have")
        from cryptography.exceptions import InvalidTag

        nonce, body = sealed[_HEAD : _HEAD + _NONCE_BYTES], sealed[_HEAD + _NONCE_BYTES :]
        try:
            plain: bytes = self._cipher(identifier, purpose).decrypt(nonce, body, context)
        except (InvalidTag, ValueError):
            raise PylonError("SEALED_UNREADABLE", "What is stored was changed since it was sealed") from None
        return plain

    def _key(self, identifier: bytes, purpose: str) -> bytes:
        found = self._derived.get((identifier, purpose))
        if found is None:
            found = self._derived[identifier, purpose] = _derive(self._roots[identifier], purpose.encode())
        return found

    def _cipher(self, identifier: bytes, purpose: str) -> Any:
        found = self._ciphers.get((identifier, purpose))
        if found is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 20 ms, not felt by who seals nothing

            found = self._ciphers[identifier, purpose] = AESGCM(self._key(identifier, f"seal:{purpose}"))
        return found


def load_keyring(configured: Sequence[str], data_dir: Path) -> KeyRing:
    """The keys of this server: those configured, else the file's, which is made when there is none. Raises
    CONFIG_INVALID for a file that can't be read or holds no key."""
    if configured:
        return KeyRing(configured)
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        keys = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise PylonError("CONFIG_INVALID", f"The secret key file can't be read: {type(problem).__name__}") from None
    if not keys or any(len(key) < 32 for key in keys):
        raise PylonError(
            "CONFIG_INVALID",
            f"{FILE_NAME} in the data folder holds no key of at least 32 characters a line.",
            hint="Put the key back from your backup; a new one can't open what the old one sealed.",
        )
    return KeyRing(keys)


def add_key(data_dir: Path) -> str:
    """Put a new key in front of those of the file, durably, before anything is sealed with it; the key."""
    path = data_dir / FILE_NAME
    key = secrets.token_hex(32)
    temporary = _written(path, f"{key}\n{path.read_text('utf-8')}")
    temporary.replace(path)
    _settle(path.parent)
    return key


def _create(path: Path) -> None:
    """A new key, on the disk before anything is sealed with it."""
    temporary = _written(path, secrets.token_hex(32) + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)  # never over a key that somebody else made meanwhile
    temporary.unlink()
    _settle(path.parent)


def _written(path: Path, text: str) -> Path:
    """The text in a file of another name beside this one, on the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _settle(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _extract(secret: bytes) -> bytes:
    return hmac.digest(b"pylon secret key v1", secret, "sha256")


def _derive(root: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand with one block."""
    return hmac.digest(root, purpose + b"\x01", "sha256")
