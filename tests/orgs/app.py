"""An app whose users are in organisations and leave traces in many places."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Auth, Context, Entity, Id, RichText, field, index

app = App("orgs", auth=Auth(org_roles=["billing"], on_delete_account="farewell"))


class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    displayName: str | None = None
    passwordHash: str | None = None
    emailVerified: str | None = None
    disabledAt: str | None = None

    class Policy:
        read = "auth.userId == data.id"


class Org(Entity, crdt=False):
    name: str
    createdBy: str | None = None
    createdAt: datetime | None = None
    secondFactorRequired: bool = False

    class Policy:
        read = "exists(OrgMember where orgId == data.id and userId == auth.userId)"
        insert = "auth.userId != null"
        update = delete = "auth.userId != null"


class OrgMember(Entity, crdt=False):
    orgId: Id[Org]
    userId: Id[User]
    role: str
    joinedAt: datetime | None = None
    indexes = [index("userId", "orgId", unique=True), index("orgId")]

    class Policy:
        read = "auth.tenantId == data.orgId"
        insert = update = delete = "auth.userId != null"


class OrgInvite(Entity, crdt=False):
    orgId: Id[Org]
    email: str
    role: str
    invitedBy: Id[User] | None = None
    tokenHash: str = field(index=True)
    tokenPrefix: str | None = None
    createdAt: datetime | None = None
    expiresAt: datetime
    acceptedAt: datetime | None = None

    class Policy:
        read = "auth.tenantId == data.orgId"


class Task(Entity, crdt=False):
    tenantId: str
    title: str

    class Policy:
        allow = "auth.userId != null"


class Page(Entity):
    author: Id[User] = field(owner=True)
    body: RichText = ""
    reviewer: Id[User] | None = None

    class Policy:
        allow = "auth.userId == data.author"


class Comment(Entity, crdt=False):
    page: Id[Page]
    createdBy: str = field(owner=True)
    text: str

    class Policy:
        allow = "auth.userId != null"


class Ticket(Entity, crdt=False):
    title: str
    opener: Id[User] | None = field(on_delete="set_null")

    class Policy:
        allow = "auth.userId != null"


class Farewell(Entity, crdt=False):
    who: str

    class Policy:
        allow = "auth.isAdmin"


@app.mutation
def farewell(ctx: Context, userId: str) -> None:  # noqa: N803 - the name on the wire
    """What the app does before an account is deleted."""
    if ctx.db.query(Comment, createdBy=userId, text="keep me"):
        raise ctx.error("NOT_YET", "There is something to keep")
    ctx.db.insert(Farewell, who=userId)
