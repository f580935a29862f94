"""Channels, messages, reactions and read markers, live for everybody who may see them.

Who may read what is said by the policies; what takes several writes at once, or a check first, is a function. No policy
lets a client write an entity directly: the functions are the only way in.
"""

import re
from datetime import UTC, datetime

from pylon import App, Context, Entity, Id, field, index

app = App("chat")

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
LONGEST_MESSAGE = 4000
LONGEST_NAME = 40
LONGEST_EMOJI = 16

IS_MEMBER = "exists(Membership where channel == data.channel and user == auth.userId)"
IS_PUBLIC = "exists(Channel where id == data.channel and private == false)"


class Profile(Entity):
    """What others see of a person. `user` is the id of the session, a guest's too."""

    user: str = field(owner=True, unique=True)
    name: str

    class Policy:
        read = "true"


class Channel(Entity):
    """A place to write. The last message and the count are kept by `send`, in the transaction of the message."""

    name: str = field(unique=True)
    topic: str = ""
    private: bool = False
    messages: int = 0
    last_message: str | None = None
    last_author: str | None = None
    last_at: datetime | None = None
    created: datetime = field(default="now")

    class Policy:
        read = "!data.private || exists(Membership where channel == data.id and user == auth.userId)"


class Membership(Entity):
    channel: Id[Channel]
    user: str
    joined: datetime = field(default="now")

    indexes = [index("channel", "user", unique=True)]

    class Policy:
        read = f"auth.userId == data.user || {IS_PUBLIC} || {IS_MEMBER}"


class Message(Entity):
    channel: Id[Channel]
    author: str = field(owner=True)
    body: str
    sent: datetime = field(default="now")

    indexes = [index("channel", "sent")]

    class Policy:
        read = f"{IS_PUBLIC} || {IS_MEMBER}"


class Reaction(Entity):
    """At most one of each emoji by each person on a message: the unique index says so, whoever asks twice."""

    message: Id[Message]
    channel: Id[Channel]
    user: str = field(owner=True)
    emoji: str

    indexes = [index("message", "user", "emoji", unique=True)]

    class Policy:
        read = f"{IS_PUBLIC} || {IS_MEMBER}"


class ReadMarker(Entity):
    """How far somebody has read a channel."""

    channel: Id[Channel]
    user: str = field(owner=True)
    at: datetime

    indexes = [index("channel", "user", unique=True)]

    class Policy:
        read = "auth.userId == data.user"


@app.mutation(auth="guest")
def rename_me(ctx: Context, name: str) -> Profile:
    """Sets the caller's display name."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ctx.error("INVALID_NAME", f"a name has 1 to {LONGEST_NAME} characters")
    profile = ctx.db.one(Profile, user=ctx.auth.user_id)
    if profile is None:
        return ctx.db.insert(Profile, user=ctx.auth.user_id, name=name)
    return ctx.db.update(Profile, profile, name=name)


@app.mutation(auth="guest")
def create_channel(ctx: Context, name: str, topic: str = "", private: bool = False) -> Channel:
    """Makes a channel with the caller as its first member."""
    if not NAME.fullmatch(name):
        raise ctx.error("INVALID_NAME", "a channel's name is 1 to 30 of a-z, 0-9 and -")
    if ctx.db.one(Channel, name=name):
        raise ctx.error("CHANNEL_EXISTS", f"#{name} exists already")
    channel = ctx.db.insert(Channel, name=name, topic=topic[:200], private=private)
    ctx.db.insert(Membership, channel=channel.id, user=ctx.auth.user_id)
    return channel


@app.mutation(auth="guest")
def join(ctx: Context, channel: Id[Channel]) -> Membership:
    """Makes the caller a member of a public channel; of a private one a member must `invite`."""
    found = ctx.db.get(Channel, channel)
    membership = _membership(ctx, channel, ctx.auth.user_id)
    if membership is not None:
        return membership
    if found is None or found.private:
        raise ctx.error("NOT_FOUND", "there is no such channel")
    return ctx.db.insert(Membership, channel=channel, user=ctx.auth.user_id)


@app.mutation(auth="guest")
def invite(ctx: Context, channel: Id[Channel], user: str) -> Membership:
    """Makes somebody else a member of a channel that the caller is in."""
    _require_member(ctx, channel)
    if ctx.db.one(Profile, user=user) is None:
        raise ctx.error("NOT_FOUND", "nobody of that id is here")
    return _membership(ctx, channel, user) or ctx.db.insert(Membership, channel=channel, user=user)


@app.mutation(auth="guest")
def send(ctx: Context, channel: Id[Channel], body: str, id: str | None = None) -> Message:
    """Writes a message and what the channel list shows of it, both or neither. With an `id` made by the client it
    may be repeated after a lost answer: the second time gives the message of the first."""
    room = _require_member(ctx, channel)
    body = body.strip()
    if not body:
        raise ctx.error("EMPTY_MESSAGE", "write something first")
    if len(body) > LONGEST_MESSAGE:
        raise ctx.error("MESSAGE_TOO_LONG", f"a message has at most {LONGEST_MESSAGE} characters")
    earlier = ctx.db.get(Message, id) if id else None
    if earlier is not None and earlier.author == ctx.auth.user_id and earlier.channel == channel:
        return earlier
    given = {"id": id} if id else {}
    message = ctx.db.insert(Message, channel=channel, author=ctx.auth.user_id, body=body, **given)
    ctx.db.update(
        Channel,
        room,
        messages=room.messages + 1,
        last_message=body[:140],
        last_author=message.author,
        last_at=message.sent,
    )
    _mark(ctx, channel, message.sent)
    return message


@app.mutation(auth="guest")
def react(ctx: Context, message: Id[Message], emoji: str) -> bool:
    """Adds the caller's reaction, or takes it back; whether it is there now."""
    found = ctx.db.get(Message, message)
    if found is None:
        raise ctx.error("NOT_FOUND", "there is no such message")
    _require_member(ctx, found.channel)
    if not 1 <= len(emoji) <= LONGEST_EMOJI:
        raise ctx.error("INVALID_EMOJI", "that is not an emoji")
    mine = ctx.db.one(Reaction, message=message, user=ctx.auth.user_id, emoji=emoji)
    if mine is not None:
        ctx.db.delete(Reaction, mine.id)
        return False
    ctx.db.insert(Reaction, message=message, channel=found.channel, user=ctx.auth.user_id, emoji=emoji)
    return True


@app.mutation(auth="guest")
def mark_read(ctx: Context, message: Id[Message]) -> ReadMarker:
    """Notes that the caller has read a channel up to this message. A marker never moves back."""
    found = ctx.db.get(Message, message)
    if found is None:
        raise ctx.error("NOT_FOUND", "there is no such message")
    _require_member(ctx, found.channel)
    return _mark(ctx, found.channel, found.sent)


@app.query(auth="guest")
def unread(ctx: Context) -> dict[str, int]:
    """The number of unread messages of others, by channel, in the channels that the caller is a member of."""
    markers = {m.channel: m.at for m in ctx.db.query(ReadMarker, user=ctx.auth.user_id)}
    never = datetime.fromtimestamp(0, UTC)
    counts = {}
    for membership in ctx.db.query(Membership, user=ctx.auth.user_id):
        since = markers.get(membership.channel, never)
        filter = {"sent": {"$gt": _wire_time(since)}, "author": {"$not": ctx.auth.user_id}}
        counts[membership.channel] = ctx.db.count(Message, filter, channel=membership.channel)
    return counts


def _membership(ctx: Context, channel: str, user: str | None) -> Membership | None:
    return ctx.db.one(Membership, channel=channel, user=user)


def _require_member(ctx: Context, channel: str) -> Channel:
    found = ctx.db.get(Channel, channel)
    if found is None or _membership(ctx, channel, ctx.auth.user_id) is None:
        if found is None or found.private:
            raise ctx.error("NOT_FOUND", "there is no such channel")
        raise ctx.error("NOT_A_MEMBER", f"join #{found.name} first")
    return found


def _mark(ctx: Context, channel: str, at: datetime) -> ReadMarker:
    marker = ctx.db.one(ReadMarker, channel=channel, user=ctx.auth.user_id)
    if marker is None:
        return ctx.db.insert(ReadMarker, channel=channel, user=ctx.auth.user_id, at=at)
    return ctx.db.update(ReadMarker, marker, at=at) if marker.at < at else marker


def _wire_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
