"""The app of the auth tests, and its clock."""

from __future__ import annotations

from tests.auth.conftest import clock, people

__all__ = ["clock", "people"]
