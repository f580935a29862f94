"""Hashes of secrets, made so that the store holds nothing that opens a door.

A token of 256 random bits needs no key: SHA-256 (`tokens.token_key`) is not turned back. A code of six digits does,
since a thief of the database could try them all: it is hashed with the key ring, bound to what it is for.
"""

from __future__ import annotations

import hmac
import secrets

from pylon.engine.keyring import KeyRing

OPEN_TOKEN_BYTES = 32


def new_secret() -> str:
    """32 random bytes as 43 characters of base64url."""
    return secrets.token_urlsafe(OPEN_TOKEN_BYTES)


def new_code(digits: int = 6) -> str:
    """A decimal code, every one as likely, leading zeros included."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def new_id(prefix: str) -> str:
    """A public id: the prefix and 27 characters of base64url."""
    return prefix + secrets.token_urlsafe(20)


class Vault:
    """Keyed hashes and sealing, for one server. `kind` keeps what was made for one purpose from serving another."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring

    def hash(self, kind: str, secret: str) -> bytes:
        """The hash to store."""
        return self.ring.mac(f"hash:{kind}", secret.encode("utf-8", "surrogatepass"))

    def hashes(self, kind: str, secret: str) -> list[bytes]:
        """The hashes that a stored one may equal: one for each key, the current first."""
        return self.ring.macs(f"hash:{kind}", secret.encode("utf-8", "surrogatepass"))

    def matches(self, kind: str, secret: str, stored: bytes) -> bool:
        """Whether a stored hash is of this secret, in constant time."""
        found = False
        for candidate in self.hashes(kind, secret):
            found |= hmac.compare_digest(candidate, stored)
        return found

    def seal(self, kind: str, plain: str | bytes, owner: str) -> bytes:
        """Encrypt what must be read back. It opens for the same kind and owner (a user's id, a row's) only."""
        data = plain.encode() if isinstance(plain, str) else plain
        return self.ring.seal(kind, data, owner.encode())

    def open(self, kind: str, sealed: bytes, owner: str) -> bytes:
        """What was sealed. Raises SEALED_UNREADABLE."""
        return self.ring.open(kind, sealed, owner.encode())
