"""Asking a provider's token endpoint, in each of the shapes that providers want (spec 03 §10.3), and reading what it
answers. Whatever is told of a failure has its secrets blanked out."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from pylon.auth.methods.oauth.providers import Provider, Shape
from pylon.auth.methods.oauth.records import Tokens
from pylon.auth.outbound import Answer, Outbound, OutboundError

LONGEST_TOLD = 240
_BLANKED = "client_secret|code_verifier|client_assertion|refresh_token|access_token|id_token|code"
_FORM = re.compile(rf"\b({_BLANKED})=[^&\s]*")
_JSON = re.compile(rf'"({_BLANKED})"(\s*:\s*)"(?:[^"\\]|\\.)*"?')


class ExchangeError(Exception):
    """The provider gave no tokens. The text may be told: it has no secrets in it."""


async def ask_for_tokens(
    outbound: Outbound, provider: Provider, client_id: str, client_secret: str, fields: Mapping[str, str]
) -> Tokens:
    """Tokens for a grant; `fields` has `grant_type` and what belongs to it. Raises ExchangeError."""
    headers = dict(provider.headers)
    sent = dict(fields)
    if provider.shape in (Shape.BASIC, Shape.BASIC_JSON):
        pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    else:
        sent[provider.client_param] = client_id
        if client_secret:
            sent["client_secret"] = client_secret
    as_json = provider.shape in (Shape.JSON, Shape.BASIC_JSON)
    try:
        answer = await outbound.send(
            "POST", provider.token, headers=headers, form=None if as_json else sent, json=sent if as_json else None
        )
    except OutboundError as problem:
        raise ExchangeError(str(problem)) from None
    found = _decoded(answer)
    if answer.status >= 400 or "error" in found:
        secrets = [client_secret, *(sent[name] for name in ("code", "code_verifier", "refresh_token") if name in sent)]
        raise ExchangeError(_told(answer.status, found, secrets))
    token = found.get("access_token")
    if not isinstance(token, str) or not token:
        raise ExchangeError("the provider sent no access token")
    return Tokens(
        access_token=token,
        refresh_token=_text(found.get("refresh_token")),
        id_token=_text(found.get("id_token")),
        expires_in=_seconds(found.get("expires_in")),
        refresh_expires_in=_seconds(found.get("refresh_token_expires_in") or found.get("refresh_expires_in")),
        scope=_text(found.get("scope")),
    )


def masked(text: str, secrets: list[str]) -> str:
    """The text without the values of secret fields, nor these."""
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "***")
    return _JSON.sub(r'"\1"\2"***"', _FORM.sub(r"\1=***", text))


def _decoded(answer: Answer) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = dict(parse_qsl(answer.body.decode("utf-8", "replace"), max_num_fields=50)) if answer.body else {}
    return found if isinstance(found, dict) else {}


def _told(status: int, found: dict[str, Any], secrets: list[str]) -> str:
    said = [str(found[name]) for name in ("error", "error_description") if isinstance(found.get(name), str)]
    text = f"the provider answers {status}" + (f": {' '.join(said)}" if said else "")
    return "".join(c for c in masked(text, secrets) if c.isprintable())[:LONGEST_TOLD]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return 0
    return min(max(number, 0), 10 * 365 * 86_400)
