"""Whose address a request comes from, when proxies stand in front."""

from __future__ import annotations

import functools
import ipaddress


def client_address(peer: str, forwarded: str | None, hops: int) -> str:
    """The client's address: with `hops` trusted proxies the one that many entries from the right of X-Forwarded-For;
    the peer's without proxies, with too few entries, or where that entry is no address (spec 01 §11.4)."""
    if hops and forwarded:
        entries = [entry.strip() for entry in forwarded.split(",")]
        if len(entries) >= hops and _is_address(entries[-hops]):
            return entries[-hops]
    return peer


@functools.lru_cache(maxsize=4096)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
