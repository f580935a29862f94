"""`PYLON_OAUTH_<NAME>_*`: the providers that people sign in with, as an operator sets them up (spec 03 §10.1).

The name is one of BUILTIN, or any other with an `_OIDC_ISSUER`. These variables carry a name, so they are no fields of
`Settings`, which holds what is read here as `oauth`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BUILTIN = (
    "apple",
    "atlassian",
    "discord",
    "dropbox",
    "facebook",
    "figma",
    "github",
    "gitlab",
    "google",
    "kick",
    "linear",
    "linkedin",
    "microsoft",
    "notion",
    "paypal",
    "reddit",
    "roblox",
    "salesforce",
    "slack",
    "spotify",
    "tiktok",
    "twitch",
    "twitter",
    "vercel",
    "zoom",
)
"""The providers whose addresses Pylon knows."""

TENANT_GROUPS = ("common", "organizations", "consumers")
"""What Microsoft takes in place of the id of one directory."""

SUFFIXES: dict[str, str] = {
    "CLIENT_ID": "Id of this app with the provider.",
    "CLIENT_SECRET": "Its secret. Apple has none, an OIDC issuer may have none. Secret: never shown or logged.",
    "REDIRECT": "Address that the provider leads back to, where it isn't `PYLON_PUBLIC_URL/api/auth/callback/<name>`.",
    "SCOPES": "Scopes to ask for, in place of the provider's own. With `offline_access` its tokens are kept.",
    "EMAIL_DOMAINS": "Domains whose addresses the provider is believed to have verified, by commas; all where unset.",
    "NATIVE_CLIENT_IDS": "Apple, Google: ids of your apps on phones, by commas, whose id_tokens are taken.",
    "OIDC_ISSUER": "Of a provider of your own: its issuer, where `/.well-known/openid-configuration` is found.",
    "ACR": "OIDC: values of `acr` of a strong sign-in there, by commas: needed, and taken as a second factor.",
    "TENANT": "Microsoft: `common`, `organizations`, `consumers`, or the id of one directory.",
    "TEAM_ID": "Apple: the team's id.",
    "KEY_ID": "Apple: the key's id.",
    "PRIVATE_KEY": "Apple: the key as PEM, or the path of its file. Secret: never shown or logged.",
}
"""What a variable may end with, and what it means."""

_NAME = re.compile(rf"PYLON_OAUTH_(?P<name>[A-Z0-9][A-Z0-9_]{{0,39}}?)_(?P<suffix>{'|'.join(SUFFIXES)})\Z")
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """This server as one provider knows it. `name` is in lower case; empty texts and tuples are unset."""

    name: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    redirect: str = ""
    scopes: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    native_client_ids: tuple[str, ...] = ()
    oidc_issuer: str = ""
    acr: tuple[str, ...] = ()
    tenant: str = "common"
    team_id: str = ""
    key_id: str = ""
    private_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one of these variables, and the mend."""

    variable: str
    what: str
    mend: str


def is_oauth_variable(name: str) -> bool:
    """Whether this is the name of a variable of this family."""
    return _NAME.match(name) is not None


def read_clients(environ: Mapping[str, str], *, dev: bool) -> tuple[tuple[OAuthClient, ...], list[Fault]]:
    """The providers that are set up, by name, and everything that is wrong with their variables."""
    given: dict[str, dict[str, str]] = {}
    for variable, text in environ.items():
        match = _NAME.match(variable)
        if match is not None and text.strip():
            given.setdefault(match["name"].lower(), {})[match["suffix"]] = text.strip()
    clients: list[OAuthClient] = []
    faults: list[Fault] = []
    for name, values in sorted(given.items()):
        found = _faults(name, values, dev=dev)
        faults += found
        if not found:
            clients.append(_client(name, values))
    return tuple(clients), faults


def _client(name: str, values: Mapping[str, str]) -> OAuthClient:
    return OAuthClient(
        name=name,
        client_id=values["CLIENT_ID"],
        client_secret=values.get("CLIENT_SECRET", ""),
        redirect=values.get("REDIRECT", ""),
        scopes=tuple(values.get("SCOPES", "").split()),
        email_domains=tuple(part.lower().lstrip("@") for part in _words(values.get("EMAIL_DOMAINS", ""))),
        native_client_ids=tuple(_words(values.get("NATIVE_CLIENT_IDS", ""))),
        oidc_issuer=values.get("OIDC_ISSUER", ""),
        acr=tuple(_words(values.get("ACR", ""))),
        tenant=values.get("TENANT", "common").lower(),
        team_id=values.get("TEAM_ID", ""),
        key_id=values.get("KEY_ID", ""),
        private_key=values.get("PRIVATE_KEY", ""),
    )


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _faults(name: str, values: Mapping[str, str], *, dev: bool) -> list[Fault]:
    def of(suffix: str, what: str, mend: str) -> Fault:
        return Fault(f"PYLON_OAUTH_{name.upper()}_{suffix}", what, mend)

    found: list[Fault] = []
    is_builtin = name in BUILTIN
    if not is_builtin and "OIDC_ISSUER" not in values:
        found.append(
            of("OIDC_ISSUER", f"{name} is no provider that Pylon knows", "Set its issuer, or correct the name")
        )
    if is_builtin and "OIDC_ISSUER" in values:
        found.append(of("OIDC_ISSUER", f"{name} is a provider that Pylon knows", "Unset it, or choose another name"))
    if "CLIENT_ID" not in values:
        found.append(of("CLIENT_ID", "the provider has no client id", "Set it to the id that the provider gave you"))
    if name == "apple":
        has_key = {"TEAM_ID", "KEY_ID", "PRIVATE_KEY"} <= values.keys()
        if not has_key and "CLIENT_SECRET" not in values:
            found.append(of("PRIVATE_KEY", "Apple needs a key", "Set _TEAM_ID, _KEY_ID and _PRIVATE_KEY"))
    elif is_builtin and "CLIENT_SECRET" not in values:
        found.append(
            of("CLIENT_SECRET", "the provider has no secret", "Set it to the secret that the provider gave you")
        )
    for suffix in ("REDIRECT", "OIDC_ISSUER"):
        if suffix in values and not _is_safe_url(values[suffix], dev=dev):
            found.append(of(suffix, "not an https address", "Write one such as https://id.example.com"))
    tenant = values.get("TENANT", "common").lower()
    if name == "microsoft" and tenant not in TENANT_GROUPS and not _TENANT.match(tenant):
        found.append(of("TENANT", "not the id of a directory", f"Write its id, or one of {', '.join(TENANT_GROUPS)}"))
    return found


def _is_safe_url(url: str, *, dev: bool) -> bool:
    """https; http to this very machine in dev mode."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username is not None or parts.query or parts.fragment or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and dev and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host name is this very machine's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
