"""Session tokens: 256 random bits shown to the client once, and only their SHA-256 kept (spec 03 §2.1).

A plain hash is enough because the token has full entropy; nothing in the store can be turned back into one."""

from __future__ import annotations

import hashlib
import secrets

PREFIX = "pylon_"
MAX_LENGTH = 512


def new_token() -> str:
    """`pylon_` and 64 lowercase hex digits."""
    return PREFIX + secrets.token_hex(32)


def token_key(token: str) -> bytes:
    """The key that a token is stored and cached under."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
