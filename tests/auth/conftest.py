"""An app with users, an organisation, and rows that belong to them."""

from __future__ import annotations

import pytest

from pylon import App, Auth, Entity, Id, Json, field
from pylon.model.schema import AppSpec


class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    displayName: str | None = None
    emailVerified: str | None = None
    passwordHash: str | None = None
    role: str | None = None
    tags: Json | None = None
    disabledAt: str | None = None
    createdAt: str | None = None

    class Policy:
        read = "auth.userId == data.id"
        insert = "true"
        update = "auth.userId == data.id"
        delete = "auth.userId == data.id"


class OrgMember(Entity, crdt=False):
    orgId: str
    userId: Id[User]
    role: str

    class Policy:
        allow = "auth.isAdmin"


class Note(Entity, crdt=False):
    title: str
    author: Id[User] | None = None
    reviewer: Id[User] | None = None

    class Policy:
        allow = "auth.userId == data.author"


class Seat(Entity, crdt=False):
    holder: Id[User] = field(unique=True)

    class Policy:
        allow = "auth.userId == data.holder"


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people() -> AppSpec:
    return App("people", entities=[User, OrgMember, Note, Seat], auth=Auth(admin_field="role")).spec()
