"""The client's address behind trusted proxies, and nobody's invention."""

from __future__ import annotations

import pytest

from pylon.model.addresses import client_address


@pytest.mark.parametrize(
    ("forwarded", "hops", "expected"),
    [
        (None, 0, "10.0.0.1"),
        ("203.0.113.9", 0, "10.0.0.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.7, 203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.7, 203.0.113.9", 2, "198.51.100.7"),
        ("203.0.113.9", 2, "10.0.0.1"),
        ("not an address", 1, "10.0.0.1"),
        ("2001:db8::1", 1, "2001:db8::1"),
    ],
)
def test_only_what_trusted_proxies_add_counts(forwarded: str | None, hops: int, expected: str) -> None:
    assert client_address("10.0.0.1", forwarded, hops) == expected
