"""Verifying id_tokens: signed by the issuer's own key, for this server, for this very sign-in, and not over
(OpenID Connect Core 1.0 §3.1.3.7). Never one without a signature, nor one under a shared secret."""

from __future__ import annotations

import hmac
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.providers import Provider

LEEWAY_SECONDS = 60
MAX_LENGTH = 32_768
MAX_NAME = 255
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class IdTokenError(Exception):
    """The id_token is not what it should be; the text says why, to the log."""


async def verify_id_token(
    token: str, provider: Provider, audiences: tuple[str, ...], nonce: str | None, documents: Documents, now: float
) -> dict[str, Any]:
    """The claims of an id_token for one of these audiences; `nonce` is None for providers that lose it. Raises
    IdTokenError, and OutboundError when the keys can't be fetched."""
    claims = await _signed_claims(token, provider, documents)
    claims["iss"] = _issuer(claims, provider)
    _check_audience(claims, audiences)
    _check_times(claims, now)
    if nonce is not None:
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise IdTokenError("it is of another sign-in")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise IdTokenError("it names nobody")
    return claims


async def verify_logout_token(
    token: str, provider: Provider, audiences: tuple[str, ...], documents: Documents, now: float, longest: float
) -> dict[str, Any]:
    """The claims of a logout token, which is good for at most `longest` seconds and names a user (OpenID Connect
    Back-Channel Logout 1.0 §2.6). Raises like `verify_id_token`."""
    if not provider.issuer:
        raise IdTokenError("its provider signs nothing")
    claims = await _signed_claims(token, provider, documents)
    _issuer(claims, provider)
    _check_audience(claims, audiences)
    _check_times(claims, now)
    if _time(claims, "exp") > now + longest or _time(claims, "iat") < now - longest:
        raise IdTokenError("it is good for too long")
    events = claims.get("events")
    if "nonce" in claims or not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise IdTokenError("it is no logout token")
    for name in ("sub", "jti"):
        if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= MAX_NAME:
            raise IdTokenError(f"its {name} is missing")
    return claims


def check_strength(claims: dict[str, Any], wanted: tuple[str, ...]) -> bool:
    """Whether the provider says that its user signed in as strongly as this server asks (`acr`); False where nothing is
    asked. Raises IdTokenError when it doesn't."""
    if not wanted:
        return False
    if claims.get("acr") not in wanted:
        raise IdTokenError("the sign-in there was not as strong as is asked")
    return True


async def _signed_claims(token: str, provider: Provider, documents: Documents) -> dict[str, Any]:
    if len(token) > MAX_LENGTH:
        raise IdTokenError("it is too long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, UnicodeError):
        raise IdTokenError("it is not signed") from None
    if header.get("alg") not in provider.algorithms:
        raise IdTokenError("it is signed in a way that isn't taken")
    kid = header.get("kid")
    for again in (False, True):  # keys change: one that isn't known is looked for once more
        keys = await documents.keys(provider.jwks, again=again)
        fitting = [key for key in keys.keys if kid is None or key.kid == kid]
        for key in fitting:
            if key.key_type == "oct":
                continue
            try:
                claims = jwt.decode(token, key, algorithms=list(provider.algorithms)).claims
            except (JoseError, ValueError, TypeError):
                continue
            return dict(claims)
    raise IdTokenError("no key of its issuer signed it")


def _issuer(claims: dict[str, Any], provider: Provider) -> str:
    expected = provider.issuer
    if "{tenantid}" in expected:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not tenant.replace("-", "").isalnum():
            raise IdTokenError("it names no tenant")
        expected = expected.replace("{tenantid}", tenant)
    if claims.get("iss") not in (expected, provider.issuer_alias or expected):
        raise IdTokenError("it is of another issuer")
    return expected


def _check_audience(claims: dict[str, Any], audiences: tuple[str, ...]) -> None:
    given = claims.get("aud")
    named = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    ours = [audience for audience in audiences if audience in named]
    if not ours:
        raise IdTokenError("it is for somebody else")
    party = claims.get("azp")
    if (party is not None or len(named) > 1) and party not in audiences:
        raise IdTokenError("it was given to somebody else")


def _check_times(claims: dict[str, Any], now: float) -> None:
    if _time(claims, "exp") <= now - LEEWAY_SECONDS:
        raise IdTokenError("it is over")
    if _time(claims, "iat") > now + LEEWAY_SECONDS:
        raise IdTokenError("it is of another time")
    if "nbf" in claims and _time(claims, "nbf") > now + LEEWAY_SECONDS:
        raise IdTokenError("it is not good yet")


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise IdTokenError(f"its {name} is no time")
    return float(value)
