"""An app with something behind every door: each kind of field, users who sign in, organisations, tenants, plugins,
references, documents, live functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import msgspec

from pylon import App, Auth, Context, Entity, Id, Json, RichText, field, index, relation
from pylon.plugins import FeatureFlags, Slugify, SoftDelete, Timestamps, Versioning


class Note(Entity):
    title: str = field(max_length=80)
    body: RichText = ""
    count: int | None = None
    price: float | None = field(min=0)
    done: bool = False
    at: datetime | None = None
    size: Literal["small", "large"] = "small"
    data: Json | None = None
    code: str | None = field(unique=True)
    slug: str | None = field(unique=True)
    secret: str | None = field(encrypted=True, lookup=True)
    owner: Id[User] = field(owner=True)
    hidden: str | None = field(server_only=True)
    relations = [relation("lines", "Line", field="note", many=True)]

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.owner || auth.isAdmin"


class Line(Entity, crdt=False):
    note: Id[Note] = field(on_delete="cascade")
    text: str = field(pattern="[a-z ]*", default="")
    number: int = field(default=0, min=-5, max=5)
    relations = [relation("of", "Note", field="note")]

    class Policy:
        allow = "exists(Note where id == data.note and owner == auth.userId)"


class Task(Entity, crdt=False):
    tenantId: str  # noqa: N815 - the name on the wire
    title: str

    class Policy:
        allow = "auth.userId != null"


class User(Entity, crdt=False):
    name: str | None = None
    email: str | None = field(unique=True)
    displayName: str | None = None  # noqa: N815
    emailVerified: str | None = None  # noqa: N815
    passwordHash: str | None = None  # noqa: N815

    class Policy:
        read = "auth.userId == data.id"


class Org(Entity, crdt=False):
    name: str
    createdBy: str | None = None  # noqa: N815

    class Policy:
        read = "exists(OrgMember where orgId == data.id and userId == auth.userId)"


class OrgMember(Entity, crdt=False):
    orgId: Id[Org]  # noqa: N815
    userId: Id[User]  # noqa: N815
    role: str
    indexes = [index("userId", "orgId", unique=True)]

    class Policy:
        read = "auth.tenantId == data.orgId"


class OrgInvite(Entity, crdt=False):
    orgId: Id[Org]  # noqa: N815
    email: str
    role: str
    tokenHash: str = field(index=True)  # noqa: N815
    expiresAt: datetime  # noqa: N815
    acceptedAt: datetime | None = None  # noqa: N815

    class Policy:
        read = "auth.tenantId == data.orgId"


app = App(
    "fuzz",
    auth=Auth(org_roles=["billing"]),
    plugins=[Timestamps(Note), Slugify(Note, "title"), SoftDelete(Task), Versioning(Note, keep=3), FeatureFlags()],
)


class Given(msgspec.Struct):
    text: str
    number: int = 0


@app.query(auth="public")
def notes(ctx: Context, size: Literal["small", "large"] = "small", since: datetime | None = None) -> list[Note]:
    """Notes of a size."""
    return list(ctx.db.query(Note, size=size, limit=5))


@app.mutation
def write(ctx: Context, lines: list[Given]) -> Note:
    """Make a note of some lines."""
    return ctx.db.insert(Note, title=" ".join(line.text for line in lines)[:80])


@app.action(auth="guest")
async def count(ctx: Context, number: int = 3) -> AsyncIterator[int]:
    """Count."""
    for step in range(min(max(number, 0), 5)):
        yield step
