"""Requests from this server to servers that somebody else named: in bounded time and size, without following redirects,
and never to an address inside the operator's own network.

A host is resolved here, judged, and connected to by that very address, so a name that changes its answer between the
check and the connection gains nothing. TLS still asks for the certificate of the name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import msgspec

from pylon.outbound import is_public_text, resolve

SECONDS = 10.0
MAX_BYTES = 1_048_576
AGENT = "pylon/0.1"


class OutboundError(Exception):
    """The other server could not be asked, or what it answered is too long or too late. The text names no secret."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: status, content type and the whole body."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises OutboundError."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise OutboundError("the answer is not JSON") from None


class Guarded(httpx.AsyncBaseTransport):
    """Connects to public addresses only, except for hosts that are named in `inside`: those the operator chose."""

    def __init__(self, inside: Iterable[str] = ()) -> None:
        self._inside = frozenset(host.lower() for host in inside)
        self._transport = httpx.AsyncHTTPTransport(
            trust_env=False, retries=0, limits=httpx.Limits(max_connections=100, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to an address that was judged."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await resolve(host, port)
        if host.lower() not in self._inside:
            addresses = [address for address in addresses if is_public_text(address)]
        if not addresses:
            raise httpx.ConnectError("the host has no public address")
        aimed = httpx.Request(
            request.method,
            request.url.copy_with(host=addresses[0]),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._transport.handle_async_request(aimed)


class Outbound:
    """The requests of one server. Use on its loop. No connection outlives its answer, so there is nothing to close."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = httpx.AsyncClient(transport=transport, timeout=SECONDS, follow_redirects=False, trust_env=False)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> Answer:
        """One request and its whole answer. Raises OutboundError."""
        sent = {"User-Agent": AGENT, "Accept": "application/json", **(headers or {})}
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._client.stream(method, url, headers=sent, data=form, json=json) as response,
            ):
                parts: list[bytes] = []
                size = 0
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size > MAX_BYTES:
                        raise OutboundError("the answer is too long")
                    parts.append(part)
                return Answer(response.status_code, response.headers.get("content-type", ""), b"".join(parts))
        except TimeoutError:
            raise OutboundError("the server did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as problem:
            raise OutboundError(f"the server can't be reached ({type(problem).__name__})") from None
