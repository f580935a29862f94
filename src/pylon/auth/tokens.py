"""Session tokens: 256 random bits shown to the client once, and only their SHA-256 kept (spec 03 §2.1).

A plain hash is enough because the token has full entropy; nothing in the store can be turned back into one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "pylon_"
MAX_LENGTH = 512


def new_token() -> str:
    """`pylon_` and 64 lowercase hex digits."""
    return PREFIX + secrets.token_hex(32)


def token_key(token: str) -> bytes:
    """The key that a token is stored and cached under."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class AdminTokens:
    """The admin tokens of the environment, held as hashes and compared in constant time."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._keys = tuple(token_key(token) for token in tokens)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def accept(self, key: bytes) -> bool:
        """Whether this is the key of an admin token; every candidate is compared, whichever matches."""
        found = False
        for known in self._keys:
            found |= hmac.compare_digest(known, key)
        return found
