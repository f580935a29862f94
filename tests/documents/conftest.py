"""An app with a field of each kind of merge."""

from __future__ import annotations

import pytest

from pylon.model.schema import AppSpec, DefaultAuth, EntitySpec, Field, Kind, PolicySpec

DOC = EntitySpec(
    name="Doc",
    fields=(
        Field(name="title", kind=Kind.STRING),
        Field(name="body", kind=Kind.RICHTEXT, optional=True),
        Field(name="count", kind=Kind.INT, optional=True),
        Field(name="rate", kind=Kind.FLOAT, optional=True),
        Field(name="done", kind=Kind.BOOL, optional=True),
        Field(name="state", kind=Kind.STRING, optional=True, enum_values=("open", "closed")),
        Field(name="votes", kind=Kind.INT, optional=True, crdt="counter"),
        Field(name="tags", kind=Kind.JSON, optional=True, crdt="list"),
        Field(name="steps", kind=Kind.JSON, optional=True, crdt="movable-list"),
        Field(name="outline", kind=Kind.JSON, optional=True, crdt="tree"),
        Field(name="meta", kind=Kind.JSON, optional=True),
        Field(name="slug", kind=Kind.STRING, optional=True, unique=True),
        Field(name="author", kind=Kind.ID, target="User", readonly=True, default=DefaultAuth()),
        Field(name="secret", kind=Kind.STRING, optional=True, server_only=True),
        Field(name="local", kind=Kind.STRING, optional=True, sync_omit=True),
    ),
)
PLAIN = EntitySpec(name="Plain", fields=(Field(name="title", kind=Kind.STRING),), crdt=False)


@pytest.fixture
def docs() -> AppSpec:
    """Docs that everybody may read and their author may change."""
    return AppSpec(
        name="docs",
        entities=(DOC, PLAIN),
        policies=(
            PolicySpec(name="docs", entity="Doc", allow_read="true", allow_write="auth.userId == data.author"),
            PolicySpec(name="plain", entity="Plain", allow="true"),
        ),
    )
