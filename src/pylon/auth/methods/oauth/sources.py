"""The providers that this server is set up for: each as the record that the flow works with, and as this server's own
credentials with it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.providers import PROVIDERS, Provider, Shape, of_tenant
from pylon.model.connections import Connection
from pylon.model.errors import PylonError
from pylon.oauth_settings import OAuthClient

APPLE_SECRET_SECONDS = 300
CONNECTION = "connection:"
"""What the name of a connection's source begins with, so that it is no provider's."""

OFFLINE = "offline_access"
"""The scope with which an operator asks for tokens to be kept and refreshed, at whichever provider."""


class Source:
    """One provider, as this server uses it."""

    def __init__(
        self, client: OAuthClient, documents: Documents, default_redirect: str, *, connection: Connection | None = None
    ) -> None:
        self.client = client
        self.connection = connection
        self.redirect = default_redirect if connection is not None else client.redirect or default_redirect
        self._documents = documents
        self._builtin = PROVIDERS.get(client.name)
        if self._builtin is not None and client.name == "microsoft":
            self._builtin = of_tenant(self._builtin, client.tenant)
        self._apple_key = _apple_key(client) if client.name == "apple" and client.private_key else None

    @property
    def name(self) -> str:
        """Its id, in lower case; for a connection that one's."""
        return self.client.name if self.connection is None else CONNECTION + self.connection.name

    @property
    def title(self) -> str:
        """What people know it by."""
        return self._builtin.title if self._builtin is not None else self.client.name.replace("_", " ").title()

    @property
    def method(self) -> str:
        """The name of its kill-switch and of its sessions."""
        return f"oauth:{self.client.name}"

    @property
    def form_post(self) -> bool:
        """Whether it leads back with a form of its own page."""
        return self._builtin is not None and self._builtin.form_post

    @property
    def native_audiences(self) -> tuple[str, ...]:
        """The client ids of this server's apps on phones, else that of its pages."""
        return self.client.native_client_ids or (self.client.client_id,)

    @property
    def keeps_tokens(self) -> bool:
        """Whether its tokens are kept, since the operator asked for what can be refreshed."""
        asked = self.client.scopes
        return (
            self.connection is not None
            or OFFLINE in asked
            or (
                self._builtin is not None and bool(self._builtin.offline_scope) and self._builtin.offline_scope in asked
            )
        )

    async def provider(self) -> Provider:
        """The record, by discovery where it is no builtin one. Raises OutboundError."""
        if self._builtin is not None:
            return self._builtin
        found = await self._documents.discovery(self.client.oidc_issuer)
        ways = found.get("token_endpoint_auth_methods_supported")
        posts = isinstance(ways, list) and "client_secret_post" in ways
        return Provider(
            id=self.name,
            title=self.title,
            authorize=found["authorization_endpoint"],
            token=found["token_endpoint"],
            userinfo=found.get("userinfo_endpoint", ""),
            scopes=("openid", "email", "profile"),
            shape=Shape.STANDARD if posts or not self.client.client_secret else Shape.BASIC,
            issuer=found["issuer"],
            jwks=found["jwks_uri"],
            offline_scope=OFFLINE,
            iss_parameter=found.get("authorization_response_iss_parameter_supported") is True,
        )

    def secret(self, now: float) -> str:
        """The client secret; Apple's is a token that this server signs."""
        if self._apple_key is None:
            return self.client.client_secret
        claims = {
            "iss": self.client.team_id,
            "iat": int(now),
            "exp": int(now) + APPLE_SECRET_SECONDS,
            "aud": "https://appleid.apple.com",
            "sub": self.client.client_id,
        }
        return jwt.encode({"alg": "ES256", "kid": self.client.key_id}, claims, self._apple_key, algorithms=["ES256"])

    def authorize_url(self, provider: Provider, *, state: str = "", verifier: str = "", nonce: str = "") -> str:
        """Where the browser goes (spec 03 §10.2). Without a state it only shows where that is."""
        scopes = list(self.client.scopes or provider.scopes)
        if self.connection is not None:
            scopes = [*provider.scopes, *self.connection.scopes, OFFLINE]
        extra = list(provider.extra)
        if OFFLINE in scopes and provider.offline_scope != OFFLINE:
            scopes.remove(OFFLINE)
            extra += provider.offline
            if provider.offline_scope:
                scopes.append(provider.offline_scope)
        query = [
            (provider.client_param, self.client.client_id),
            ("redirect_uri", self.redirect),
            ("response_type", "code"),
        ]
        if scopes:
            query.append(("scope", provider.separator.join(dict.fromkeys(scopes))))
        query += extra
        if verifier and provider.pkce:
            query += [("code_challenge", challenge(verifier)), ("code_challenge_method", "S256")]
        if nonce and provider.issuer and provider.nonce:
            query.append(("nonce", nonce))
        if self.client.acr:
            query.append(("acr_values", " ".join(self.client.acr)))
        if state:
            query.append(("state", state))
        mark = "&" if urlsplit(provider.authorize).query else "?"
        return f"{provider.authorize}{mark}{urlencode(query, quote_via=quote, safe='')}"


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _apple_key(client: OAuthClient) -> Any:
    try:
        text = client.private_key if "BEGIN" in client.private_key else Path(client.private_key).read_text("utf-8")
        key = ECKey.import_key(text.replace("\\n", "\n"))
        if key.curve_name != "P-256" or not key.is_private:
            raise ValueError
    except (OSError, UnicodeDecodeError, ValueError, TypeError, JoseError):
        raise PylonError(
            "CONFIG_INVALID",
            "PYLON_OAUTH_APPLE_PRIVATE_KEY is no private key of the curve P-256",
            hint="Set it to the text of the .p8 file that Apple gave you, or to its path.",
        ) from None
    return key
