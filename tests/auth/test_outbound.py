"""Requests to servers that others name never reach the operator's own network."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from pylon.auth import outbound
from pylon.auth.outbound import Guarded, Outbound, OutboundError
from pylon.outbound import is_public_text


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public_text(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "::7f00:1",
        "fec0::1",
        "no address",
    ],
)
def test_addresses_of_this_machine_and_its_networks_are_not(address: str) -> None:
    assert not is_public_text(address)


async def serve(answer: bytes) -> tuple[asyncio.Server, int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_name_that_leads_inside_is_not_followed_there() -> None:
    server, port = await serve(OK)
    async with server:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            with pytest.raises(OutboundError):
                await Outbound(Guarded()).send("GET", f"http://{host}:{port}/")
        assert (await Outbound(Guarded(inside=["localhost"])).send("GET", f"http://localhost:{port}/")).status == 200


async def test_a_name_is_resolved_once_and_connected_to_by_that_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with another address the second time gains nothing."""
    reached: list[tuple[str, Any]] = []

    class Recorder(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            reached.append((request.url.host, request.extensions["sni_hostname"]))
            assert request.headers["host"] == "rebind.example"
            return httpx.Response(200, content=b"{}")

    asked: list[str] = []

    async def resolve(self: Any, host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("10.0.0.1", "8.8.8.8")]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", resolve, raising=False)
    guarded = Guarded()
    guarded._transport = Recorder()  # type: ignore[assignment]
    await Outbound(guarded).send("GET", "https://rebind.example/")
    assert reached == [("8.8.8.8", "rebind.example")]
    assert asked == ["rebind.example"]


async def test_redirects_are_not_followed() -> None:
    server, port = await serve(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    async with server:
        answer = await Outbound(Guarded(inside=["127.0.0.1"])).send("GET", f"http://127.0.0.1:{port}/")
        assert answer.status == 302


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "MAX_BYTES", 1000)
    server, port = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
    async with server:
        with pytest.raises(OutboundError, match="too long"):
            await Outbound(Guarded(inside=["127.0.0.1"])).send("GET", f"http://127.0.0.1:{port}/")


async def test_a_server_that_keeps_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.05)
    given_up = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        given_up.set()

    silent = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(OutboundError):
        await Outbound(Guarded(inside=["127.0.0.1"])).send("GET", f"http://127.0.0.1:{port}/")
    await given_up.wait()
    silent.close()
