"""Signing in with accounts elsewhere: 25 providers as data, and any issuer of OpenID Connect (spec 03 §10).

    providers  data           sources   set up here      keys, id_token  whether an id_token is good
    identify   who it is      person    read off answers exchange        codes and refresh tokens for tokens
    flow       away and back  accounts  whose it is      refresh         tokens renewed
    native     from a phone   records   what travels     logout          signed out there, signed out here
    connections  grants for the app's code              service         all of it, for one server

One method, `oauth`, stands for all of them; each provider is one more, `oauth:<name>`, with a kill-switch of its own.
"""

from __future__ import annotations

from typing import Any

from pylon.auth.foundation import Foundation
from pylon.auth.registry import Method


def _build(foundation: Foundation) -> Any:
    from pylon.auth.methods.oauth.service import SignInElsewhere  # brings an HTTP client and signatures along

    return SignInElsewhere(foundation)


METHOD = Method(
    "oauth",
    "Other accounts",
    _build,
    is_configured=lambda foundation: bool(foundation.settings.oauth),
    needs="Set PYLON_OAUTH_<NAME>_CLIENT_ID and PYLON_OAUTH_<NAME>_CLIENT_SECRET.",
)
