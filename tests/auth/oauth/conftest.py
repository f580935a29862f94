"""A fake of every provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.auth.oauth.fakes import FakeProviders


@pytest.fixture
def fakes() -> Iterator[FakeProviders]:
    made = FakeProviders()
    yield made
    made.close()
