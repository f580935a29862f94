"""Issuers of id_tokens: their discovery documents and their keys, kept for a while and fetched again when a token names
a key that isn't known (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pylon.auth.outbound import Outbound, OutboundError
from pylon.oauth_settings import is_loopback

FRESH_SECONDS = 3600.0
STALE_SECONDS = 86_400.0
"""How long a document is still used while its server can't be reached."""

RETRY_SECONDS = 30.0
"""Least time between two fetches of one document that failed, and between two that an unknown key asks for: tokens of
strangers must not make this server ask without end."""


class _Kept:
    """One document: what was made of it, when, and when it was last tried."""

    __slots__ = ("asked_again_at", "at", "failure", "lock", "tried_at", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.at = self.tried_at = self.asked_again_at = float("-inf")
        self.failure = ""
        self.lock = asyncio.Lock()


class Documents:
    """Discovery documents and key sets by URL: as many as providers are configured. Use on the loop."""

    def __init__(self, outbound: Outbound, *, dev: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._outbound = outbound
        self._dev = dev
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def discovery(self, issuer: str) -> dict[str, Any]:
        """What an issuer says of itself, checked to be its own. Raises OutboundError."""

        def accept(found: Any) -> dict[str, Any]:
            if not isinstance(found, dict) or not isinstance(found.get("issuer"), str):
                raise OutboundError("the discovery document is none")
            if found["issuer"].rstrip("/") != issuer.rstrip("/"):
                raise OutboundError("the discovery document is another issuer's")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not self.may_ask(found.get(name)):
                    raise OutboundError(f"the discovery document has no safe {name}")
            if not self.may_ask(found.get("userinfo_endpoint")):
                found.pop("userinfo_endpoint", None)
            return found

        url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        found: dict[str, Any] = await self._get(url, accept)
        return found

    async def keys(self, url: str, *, again: bool = False) -> KeySet:
        """The key set at an address; `again` when a token names a key that isn't in it. Raises OutboundError."""

        def accept(found: Any) -> KeySet:
            try:
                return KeySet.import_key_set(found)
            except (JoseError, ValueError, TypeError, KeyError, AttributeError):
                raise OutboundError("the key set is none") from None

        found: KeySet = await self._get(url, accept, again=again)
        return found

    def may_ask(self, url: object) -> bool:
        """Whether an address may be asked: by https, or in dev mode on this machine."""
        if not isinstance(url, str):
            return False
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            return False
        return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and self._dev and is_loopback(host)))

    async def _get(self, url: str, accept: Callable[[Any], Any], *, again: bool = False) -> Any:
        kept = self._kept.setdefault(url, _Kept())
        if not again and kept.value is not None and self._clock() - kept.at < FRESH_SECONDS:
            return kept.value
        async with kept.lock:  # those who wait take what the first one brought
            now = self._clock()
            is_due = kept.value is None or now - kept.at >= FRESH_SECONDS
            is_due = is_due and now - kept.tried_at >= RETRY_SECONDS
            if again and now - kept.asked_again_at >= RETRY_SECONDS:
                kept.asked_again_at, is_due = now, True
            if is_due:
                kept.tried_at = now
                try:
                    answer = await self._outbound.send("GET", url)
                    if answer.status != 200:
                        raise OutboundError(f"it answers {answer.status}")
                    kept.value, kept.at, kept.failure = accept(answer.json()), now, ""
                except OutboundError as problem:
                    kept.failure = str(problem)
            if kept.value is None or now - kept.at > STALE_SECONDS:
                raise OutboundError(kept.failure or "it could not be fetched")
            return kept.value
