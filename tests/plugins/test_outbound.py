"""Calling out never reaches into the network that the server stands in, however the address is written."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.model.errors import PylonError
from pylon.outbound import MAX_ANSWER, Outbound, OutboundError, Refused, check_url, is_public, parse_networks
from tests.plugins.receiver import receiving

LOOPBACK = parse_networks(["127.0.0.0/8"])


def resolving(*answers: Sequence[str]) -> Outbound:
    """One whose resolver gives these answers in turn, the last one for ever."""
    given = list(answers)

    async def resolver(host: str, port: int) -> Sequence[str]:
        return given.pop(0) if len(given) > 1 else given[0]

    return Outbound(resolver=resolver)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.1",
        "169.254.169.254",  # the metadata of clouds
        "100.100.100.200",
        "198.18.0.1",
        "192.0.0.8",
        "224.0.0.1",
        "255.255.255.255",
        "localhost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",  # NAT64 of 169.254.169.254
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:7f00:1::]",  # 6to4 of 127.0.0.1
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",  # Teredo of 127.0.0.1
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_an_address_inside_is_refused_however_it_is_written(host: str, scheme: str) -> None:
    with pytest.raises(OutboundError) as problem:
        await Outbound().post(f"{scheme}://{host}/x", b"{}", {})
    # A form that this system's resolver doesn't take for an address is no way in either.
    assert isinstance(problem.value, Refused) or "resolved" in str(problem.value)


async def test_a_name_that_leads_inside_is_refused_and_so_is_one_of_several_addresses() -> None:
    for answer in (["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"]):
        with pytest.raises(Refused):
            await resolving(answer).post("https://evil.example/x", b"{}", {})


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """DNS rebinding: the first answer is public, the second leads inside. The name is asked once, and the address that
    was checked is the one that is connected to."""
    asked: list[str] = []

    async def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    async with receiving() as receiver:
        outbound = Outbound(parse_networks(["192.0.2.0/24"]), resolver=resolver, seconds=0.2)
        with pytest.raises(OutboundError):
            await outbound.post(f"http://rebind.example:{receiver.port}/", b"{}", {})
        assert asked == ["rebind.example"]
        assert receiver.bodies == []


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with receiving() as receiver:
        receiver.always = 302
        receiver.extra = f"Location: http://127.0.0.1:{receiver.port}/inside\r\n"
        answer = await Outbound(LOOPBACK).post(receiver.url, b"{}", {})
        assert answer.status == 302
        assert len(receiver.bodies) == 1


async def test_what_is_allowed_is_called_by_its_name_and_nothing_else_is() -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiving() as receiver:
        outbound = Outbound(LOOPBACK, resolver=resolver)
        answer = await outbound.post(f"http://hooks.example:{receiver.port}/in?x=1", b'{"seq":1}', {"X-A": "b"})
        assert (answer.status, answer.body) == (200, b"ok")
        sent = receiver.headers[0]
        assert (sent[":line"], sent["host"]) == ("POST /in?x=1 HTTP/1.1", f"hooks.example:{receiver.port}")
        assert sent["x-a"] == "b"
        with pytest.raises(Refused):
            await Outbound(parse_networks(["127.0.0.2"]), resolver=resolver).post(receiver.url, b"{}", {})


async def test_plain_http_is_for_allowed_networks_only() -> None:
    with pytest.raises(Refused, match="https"):
        await resolving(["93.184.216.34"]).post("http://example.com/", b"{}", {})


async def test_an_endless_answer_is_cut_and_a_silent_one_ends_in_time() -> None:
    async with receiving() as receiver:
        receiver.payload = b"x" * 1_000_000
        assert len((await Outbound(LOOPBACK).post(receiver.url, b"{}", {})).body) == MAX_ANSWER
        receiver.answers = [0]
        with pytest.raises(OutboundError, match="no answer"):
            await Outbound(LOOPBACK, seconds=1).post(receiver.url, b"{}", {})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://user:pw@example.com/",
        "https://example.com/#part",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Evil: 1",
        "https://ex\u00e4mple.com/",
        "https://example.com:99999/",
        "https://[::1/",
        "gopher://127.0.0.1:11211/",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_what_is_no_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(PylonError) as refusal:
        check_url(url)
    assert refusal.value.code == "INVALID_DATA"


@given(st.ip_addresses(v=4))
def test_every_notation_of_an_address_is_judged_like_the_address(address: ipaddress.IPv4Address) -> None:
    packed = int(address)
    for other in (
        ipaddress.IPv6Address(0xFFFF_0000_0000 | packed),
        ipaddress.IPv6Address((0x2002 << 112) | (packed << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) | packed),
    ):
        assert is_public(other) is is_public(address), other
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
