"""Asking a provider whom its tokens are of: by its id_token where it gives one that is verified, and by its profile for
what that lacks."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.methods.oauth.id_token import IdTokenError, check_strength, verify_id_token
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.person import merged, read_person, with_addresses
from pylon.auth.methods.oauth.providers import Mapping, Provider
from pylon.auth.methods.oauth.records import Person, Tokens
from pylon.auth.methods.oauth.sources import Source
from pylon.auth.outbound import Outbound, OutboundError


async def identify(
    outbound: Outbound,
    documents: Documents,
    source: Source,
    provider: Provider,
    tokens: Tokens,
    nonce: str | None,
    now: float,
) -> Person:
    """Who it is. Raises IdTokenError, OutboundError."""
    claims: dict[str, Any] = {}
    if provider.issuer:
        if not tokens.id_token:
            raise IdTokenError("there is none")
        claims = await verify_id_token(tokens.id_token, provider, (source.client.client_id,), nonce, documents, now)
    is_strong = check_strength(claims, source.client.acr)
    answer: Any = claims
    if provider.userinfo and not _says_all(claims, provider.mapping):
        said = await _ask(outbound, provider, tokens, provider.userinfo_method, provider.userinfo)
        if claims and (not isinstance(said, dict) or said.get("sub") != claims["sub"]):
            raise IdTokenError("the profile is somebody else's")
        answer = merged(claims, said, provider.mapping) if claims else said
    person = read_person(answer, provider, source.client, claims.get("iss", ""))
    if person is None:
        raise OutboundError("the provider names nobody")
    person = msgspec.structs.replace(person, is_strong=is_strong)
    if provider.emails:
        try:
            listed = await _ask(outbound, provider, tokens, "GET", provider.emails)
        except OutboundError:  # without the scope for it the profile's own address stays, unverified
            return person
        person = with_addresses(person, listed, source.client)
    return person


def _says_all(claims: dict[str, Any], mapping: Mapping) -> bool:
    """Whether an id_token leaves nothing to ask for; a picture alone is not worth a request."""
    wanted = (mapping.name, mapping.email, mapping.verified if mapping.email else "")
    return bool(claims) and all(claims.get(name) is not None for name in wanted if name)


async def _ask(outbound: Outbound, provider: Provider, tokens: Tokens, method: str, url: str) -> Any:
    headers = {**dict(provider.headers), "Authorization": f"Bearer {tokens.access_token}"}
    body = provider.userinfo_json if method == "POST" else None
    answer = await outbound.send(method, url, headers=headers, json=body)
    if answer.status != 200:
        raise OutboundError(f"the provider answers {answer.status}")
    return answer.json()
