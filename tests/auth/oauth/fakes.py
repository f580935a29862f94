"""A server on loopback that stands in for every provider at once, and the people who sign in with them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from pylon.auth.methods.oauth.providers import PROVIDERS, Provider, of_tenant
from pylon.oauth_settings import OAuthClient

KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"})
SECRET = "a-client-secret"


class Asked:
    """One request to a provider."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    @property
    def fields(self) -> dict[str, Any]:
        """The body, form or JSON."""
        if self.headers.get("content-type", "").startswith("application/json"):
            return dict(json.loads(self.body))
        return dict(parse_qsl(self.body.decode()))

    @property
    def basic(self) -> str:
        """`id:secret` of HTTP Basic."""
        return base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic ")).decode()


Answer = tuple[int, Any] | Callable[[Asked], tuple[int, Any]]


class FakeProviders:
    """Answers by URL without its query; what was asked is in `asked`. A dict is sent as JSON, a text as a form."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, headers["x-wanted"], headers, self.rfile.read(length))
                outer.asked.append(asked)
                found = outer.answers.get(asked.url.partition("?")[0], (404, {"error": "no such page"}))
                status, body = found(asked) if callable(found) else found
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Leads every host here."""
        return _Here(self._server.server_address[1])

    def of(self, url: str) -> list[Asked]:
        """What was asked of one URL."""
        return [asked for asked in self.asked if asked.url.partition("?")[0] == url.partition("?")[0]]


class _Here(httpx.AsyncBaseTransport):
    def __init__(self, port: int) -> None:
        self._port = port
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        aimed = httpx.Request(
            request.method,
            f"http://127.0.0.1:{self._port}/",
            headers={**request.headers, "x-wanted": str(request.url)},
            stream=request.stream,
        )
        return await self._transport.handle_async_request(aimed)


def use(service: Any, fakes: FakeProviders) -> None:
    """Have a server ask the fakes."""
    service.outbound._client = httpx.AsyncClient(transport=fakes.transport())


def signed(claims: dict[str, Any], *, key: RSAKey = KEY, header: dict[str, Any] | None = None) -> str:
    """An id_token."""
    return jwt.encode(header or {"alg": "RS256", "kid": key.kid}, claims, key)


def claims_for(provider: Provider, client: OAuthClient, nonce: str | None, **claims: Any) -> dict[str, Any]:
    """Good claims, of now."""
    now = int(time.time())
    tenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
    found = {
        "iss": provider.issuer.replace("{tenantid}", tenant),
        "aud": client.client_id,
        "iat": now,
        "exp": now + 600,
        "tid": tenant,
    }
    return found | ({"nonce": nonce} if nonce else {}) | claims


def public_keys(*keys: RSAKey) -> dict[str, Any]:
    """A key set as an issuer shows it."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def challenge_of(verifier: str) -> str:
    """S256, worked out apart from the code that is tested."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def query_of(url: str) -> dict[str, str]:
    """A URL's parameters."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def builtin(name: str) -> Provider:
    """A provider as a server without a tenant uses it."""
    return of_tenant(PROVIDERS[name], "common") if name == "microsoft" else PROVIDERS[name]
