"""Whom a provider says somebody is: its answer read by the provider's mapping, and nothing believed that it doesn't
say."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.methods.oauth.providers import Mapping, Provider
from pylon.auth.methods.oauth.records import Person
from pylon.auth.users import normal_email
from pylon.model.errors import PylonError
from pylon.oauth_settings import OAuthClient

MAX_SUBJECT = 255
MAX_NAME = 200
MAX_PICTURE = 2048


def read_person(answer: Any, provider: Provider, client: OAuthClient, issuer: str = "") -> Person | None:
    """Who it is; None when the answer names nobody."""
    mapping = provider.mapping
    subject = _subject(_at(answer, mapping.subject))
    if subject is None:
        return None
    handle = _text(_at(answer, mapping.handle), 64)
    email, spare, is_made_up = _email(_at(answer, mapping.email)), "", False
    if email is None and mapping.domain:
        spare = f"{subject}@{mapping.domain}".lower()
        email = _email(f"{handle}@{mapping.domain}") if handle else None
        email, is_made_up = email or _email(spare), True
    picture = _at(answer, mapping.picture)
    return Person(
        provider=provider.id,
        subject=subject,
        issuer=issuer,
        email=email,
        spare_email=spare,
        is_verified=email is not None and not is_made_up and _vouches(answer, mapping, email, client),
        is_made_up=is_made_up,
        name=_text(_at(answer, mapping.name), MAX_NAME) or handle,
        picture=picture if isinstance(picture, str) and _is_picture(picture) else None,
    )


def merged(claims: dict[str, Any], said: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """An id_token with what a profile adds. That an address is verified counts for that very address: what one of the
    two says of its own is not taken for the other's."""
    found = {**said, **claims}
    first, second = (claims, said) if claims.get(mapping.email) else (said, claims)
    verified = first.get(mapping.verified)
    if verified is None and first.get(mapping.email) == second.get(mapping.email):
        verified = second.get(mapping.verified)
    return found | {mapping.verified: verified} if mapping.verified else found


def with_addresses(person: Person, listed: Any, client: OAuthClient) -> Person:
    """The person with its primary address of those that a provider lists apart; one that isn't verified is left out."""
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("primary") is True and entry.get("verified") is True:
            email = _email(entry.get("email"))
            if email is not None:
                return msgspec.structs.replace(person, email=email, is_verified=_may_vouch(email, client))
    return person


def _vouches(answer: Any, mapping: Mapping, email: str, client: OAuthClient) -> bool:
    said = _at(answer, mapping.verified) if mapping.verified else None
    is_said = said is True or said == "true" or (said == 1 and not isinstance(said, bool)) or said == "1"
    return is_said and _may_vouch(email, client)


def _may_vouch(email: str, client: OAuthClient) -> bool:
    return not client.email_domains or email.rpartition("@")[2] in client.email_domains


def _at(value: Any, path: str) -> Any:
    if not path:
        return None
    for part in path.split("/"):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _subject(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT else None


def _text(value: Any, longest: int) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(c for c in value if c.isprintable()).strip()[:longest] or None


def _email(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return normal_email(value)
    except PylonError:
        return None


def _is_picture(url: str) -> bool:
    return url.startswith("https://") and len(url) <= MAX_PICTURE and url.isascii() and url.isprintable()
