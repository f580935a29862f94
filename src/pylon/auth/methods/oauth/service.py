"""Signing in elsewhere, put together for one server."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from pylon.auth.foundation import Foundation
from pylon.auth.methods.oauth.connections import Connections
from pylon.auth.methods.oauth.flow import OAuth
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.logout import Logout
from pylon.auth.methods.oauth.native import Native
from pylon.auth.methods.oauth.refresh import Refreshing
from pylon.auth.methods.oauth.sources import Source
from pylon.auth.outbound import Guarded, Outbound
from pylon.auth.registry import Method
from pylon.model.connections import connections_of


class SignInElsewhere:
    """What the routes use: the flow, and the tokens afterwards."""

    def __init__(self, foundation: Foundation, transport: httpx.AsyncBaseTransport | None = None) -> None:
        settings = foundation.settings
        issuers = [urlsplit(client.oidc_issuer).hostname or "" for client in settings.oauth if client.oidc_issuer]
        self.outbound = outbound = Outbound(transport or Guarded(inside=issuers))
        documents = Documents(outbound, dev=settings.dev_mode)
        base = foundation.redirects.public_url or f"http://localhost:{settings.port}"
        sources = {
            client.name: Source(client, documents, f"{base}/api/auth/callback/{client.name}")
            for client in settings.oauth
        }
        self.flow = OAuth(foundation, outbound, sources, documents)
        self.native = Native(foundation, self.flow, documents)
        self.connections = Connections(
            foundation,
            outbound,
            documents,
            connections_of(foundation.engine.app),
            {client.name: client for client in settings.oauth},
            base,
        )
        self.logout = Logout(foundation, self.flow, documents)
        self.refreshing = Refreshing(foundation, outbound, self.flow.accounts)
        for source in sources.values():
            foundation.registry.add(Method(source.method, source.title, lambda _: self), foundation)
