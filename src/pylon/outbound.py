"""Requests to addresses that somebody else chose: webhooks, and whatever else calls out by a URL out of the database.

Such a URL must not lead into the network that the server stands in (SSRF). The name is resolved here, every address it
resolves to is checked, and the connection is made to the address that was checked: a name that changes its mind between
check and connect gains nothing. Redirects are answers like any other and are not followed; proxies of the environment
are not used; size and time have limits.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pylon.model.errors import PylonError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, as text."""

MAX_ANSWER = 65_536
"""Bytes of an answer that are read; what is longer counts as an answer, cut."""

SECONDS = 10.0
MAX_URL = 2048

_CLOSED = [
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "100::/64", "2001:db8::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
        *("2001::/23", "3fff::/20", "5f00::/16"),
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


class OutboundError(Exception):
    """A request that was not made or not answered; the message says why, in words an operator may read."""


class Refused(OutboundError):
    """The address is none that may be called; trying again won't help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the beginning of the body."""

    status: int
    body: bytes


def parse_networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Networks of a setting: `10.1.0.0/16`, or one address. Raises ValueError naming the word."""
    return tuple(ipaddress.ip_network(word, strict=False) for word in words)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, by every notation that leads to another: IPv4 in IPv6, 6to4,
    Teredo and NAT64."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address in _NAT64_LOCAL:
            return False
    closed = any(address in network for network in _CLOSED if network.version == address.version)
    return not closed and address.is_global and not address.is_multicast


def is_public_text(text: str) -> bool:
    """The same of an address as resolvers write it, with its zone or without; what is no address is not public."""
    try:
        return is_public(_parsed(text))
    except ValueError:
        return False


def _parsed(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (int(address) < 2**32 and int(address) > 1):  # ::a.b.c.d, deprecated and still parsed
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def check_url(url: str) -> SplitResult:
    """A URL that may be stored to be called. Whether its address may be called shows when it is. Raises
    INVALID_DATA."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, SplitResult("", "", "", "", "")
    sound = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) <= MAX_URL
    if not sound or parts.scheme not in ("https", "http") or not host or port == 0 or parts.fragment:
        raise PylonError("INVALID_DATA", "url is no https:// address")
    if parts.username is not None or parts.password is not None:
        raise PylonError("INVALID_DATA", "url holds a password: it would be shown to operators")
    return parts


@functools.cache
def _default_context() -> ssl.SSLContext:
    """The system's authorities, read once, off the event loop: it takes tens of milliseconds."""
    return ssl.create_default_context()


async def resolve(host: str, port: int) -> Sequence[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True)
class Outbound:
    """Calls out. `allowed` are networks that may be called although they are not public, and over plain HTTP too;
    everything else must be public and HTTPS."""

    allowed: tuple[Network, ...] = ()
    resolver: Resolve = resolve
    seconds: float = SECONDS
    verify: ssl.SSLContext | None = field(default=None)

    async def address_of(self, url: SplitResult) -> str:
        """The address to connect to. One that is not allowed refuses the name as a whole. Raises Refused,
        OutboundError."""
        assert url.hostname is not None
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self.resolver(url.hostname, port)
        except (OSError, UnicodeError):
            raise OutboundError("the name can't be resolved") from None
        addresses = [_parsed(text) for text in found]
        if not addresses:
            raise OutboundError("the name has no address")
        for address in addresses:
            if not self._may_call(address, url.scheme):
                what = "is not a public address" if url.scheme == "https" else "may be called over https:// only"
                raise Refused(f"{url.hostname} {what}")
        return str(addresses[0])

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST a body. Raises Refused for an address that may not be called, OutboundError when no answer comes."""
        try:
            parts = check_url(url)
        except PylonError as problem:
            raise Refused(problem.message) from None
        try:
            async with asyncio.timeout(self.seconds):
                return await self._post(parts, await self.address_of(parts), body, headers)
        except TimeoutError:
            raise OutboundError(f"no answer within {self.seconds:g} seconds") from None

    def _may_call(self, address: Address, scheme: str) -> bool:
        inner = _inner(address) if isinstance(address, ipaddress.IPv6Address) else None
        for one in (address, inner):
            if one is not None and any(one in n for n in self.allowed if n.version == one.version):
                return True
        return scheme == "https" and is_public(address)

    async def _post(self, url: SplitResult, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        import httpcore  # only where something is called

        host = url.netloc.encode("ascii")
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        sent = [(b"Host", host), *((k.encode("ascii"), v.encode("latin-1")) for k, v in headers.items())]
        sent.append((b"Content-Length", str(len(body)).encode()))
        request_url = httpcore.URL(
            scheme=url.scheme.encode(), host=address.encode(), port=url.port, target=target.encode("ascii")
        )
        context = self.verify
        if context is None and url.scheme == "https":
            context = await asyncio.to_thread(_default_context)
        extensions: dict[str, Any] = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self.seconds)}
        if url.scheme == "https":
            extensions["sni_hostname"] = url.hostname  # the certificate is checked against the name, not the address
        try:
            async with (
                httpcore.AsyncConnectionPool(ssl_context=context, max_connections=1) as pool,
                pool.stream("POST", request_url, headers=sent, content=body, extensions=extensions) as answer,
            ):
                read = b""
                async for piece in answer.aiter_stream():
                    read += piece
                    if len(read) >= MAX_ANSWER:
                        break
                return Answer(answer.status, read[:MAX_ANSWER])
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            ssl.SSLError,
            OSError,
        ) as error:
            raise OutboundError(f"no answer: {type(error).__name__}") from None
