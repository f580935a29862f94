"""What an app may do for its users at providers, beyond signing in there (spec 03 §10.7): `App("notes", connections=[
Connection("calendar", provider="google", scopes=[…])])`, or `connections` in a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pylon.model.findings import Diagnostic, error
from pylon.model.schema import AppSpec

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
MAX_CONNECTIONS = 100


class Connection(msgspec.Struct, frozen=True):
    """A grant that each user may give the app at a provider.

    Attributes:
        name: what the app and its clients call it: lower-case letters, digits, `-` and `_`.
        provider: the id of a provider that people may sign in with, as in `PYLON_OAUTH_<NAME>_CLIENT_ID`.
        scopes: what is asked for beside what says who the user is.
    """

    name: str
    provider: str
    scopes: Sequence[str] = ()


def connections_block(connections: Sequence[Connection]) -> list[dict[str, Any]]:
    """The manifest's form."""
    return [{"name": one.name, "provider": one.provider, "scopes": list(one.scopes)} for one in connections]


def connections_of(spec: AppSpec) -> tuple[Connection, ...]:
    """The connections of an app. A block that `check_connections` finds fault with counts as absent."""
    try:
        return msgspec.convert(spec.raw.get("connections") or (), tuple[Connection, ...])
    except msgspec.ValidationError:
        return ()


def check_connections(spec: AppSpec) -> Iterator[Diagnostic]:
    """What is wrong with them."""
    try:
        found = msgspec.convert(spec.raw.get("connections") or (), tuple[Connection, ...])
    except msgspec.ValidationError as problem:
        yield error("CONNECTION_INVALID", f"connections: {problem}", "Each has a name, a provider and scopes.")
        return
    names = [one.name for one in found]
    for one in found:
        if not _NAME.match(one.name) or not one.provider:
            yield error("CONNECTION_INVALID", f"connections: {one.name!r} is no connection's name, or has no provider")
    if len(set(names)) != len(names) or len(names) > MAX_CONNECTIONS:
        yield error("CONNECTION_INVALID", f"connections: each name once, and at most {MAX_CONNECTIONS}")
