"""Fixtures that several rooms share."""

from __future__ import annotations

import pytest

from pylon.engine.caller import Caller
from pylon.model.identity import ADMIN, Identity
from pylon.model.schema import (
    AppSpec,
    DefaultAuth,
    DefaultLiteral,
    DefaultNow,
    EntitySpec,
    Field,
    Index,
    Kind,
    PolicySpec,
)

ALICE = Caller(identity=Identity(user_id="alice"), door="test")
BOB = Caller(identity=Identity(user_id="bob"), door="test")
NOBODY = Caller(door="test")
ADMINISTRATOR = Caller(identity=ADMIN, door="test")

NOTE = EntitySpec(
    name="Note",
    fields=(
        Field(name="title", kind=Kind.STRING),
        Field(name="author", kind=Kind.ID, target="User", readonly=True, default=DefaultAuth()),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="done", kind=Kind.BOOL, default=DefaultLiteral(value=False)),
        Field(name="meta", kind=Kind.JSON, optional=True),
        Field(name="slug", kind=Kind.STRING, optional=True, unique=True),
        Field(name="created", kind=Kind.DATETIME, default=DefaultNow()),
        Field(name="secret", kind=Kind.STRING, optional=True, server_only=True),
    ),
    indexes=(Index(name="by_n", fields=("n",)),),
)
USER = EntitySpec(name="User", fields=(Field(name="name", kind=Kind.STRING),))


@pytest.fixture
def notes() -> AppSpec:
    """Notes that their author alone may read and change, and users that everybody may read."""
    return AppSpec(
        name="notes",
        entities=(NOTE, USER),
        policies=(
            PolicySpec(name="own", entity="Note", allow="auth.userId == data.author"),
            PolicySpec(name="people", entity="User", allow_read="true"),
        ),
    )
