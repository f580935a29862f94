"""The app that the benchmarks drive: one public entity, one with a row policy, a counter, and mutations on them."""

from pylon import App, Context, Entity, Id, RichText, field

app = App("bench")


class Item(Entity, crdt=False):
    """Everybody's."""

    title: str
    n: int = 0
    done: bool = False
    created: str | None = None

    class Policy:
        allow = "true"


class Own(Entity, crdt=False):
    """Its owner's alone."""

    title: str
    body: str = ""
    n: int = 0
    owner: Id["User"] = field(owner=True, index=True)

    class Policy:
        allow = "auth.userId == data.owner"


class Open(Entity, crdt=False):
    """Everybody's but its owner's: no index finds who may see it."""

    title: str
    n: int = 0
    owner: Id["User"] = field(owner=True)

    class Policy:
        read = "data.n > 0 && auth.userId != data.owner"
        insert = "true"


class Watched(Entity, crdt=False, audit_reads=True):
    """Its owner's alone, and whoever is shown one is recorded."""

    title: str
    body: str = ""
    n: int = 0
    owner: Id["User"] = field(owner=True, index=True)

    class Policy:
        allow = "auth.userId == data.owner"


class User(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"


class Page(Entity):
    title: str
    body: RichText = ""

    class Policy:
        allow = "true"


class Counter(Entity, crdt=False):
    value: int = 0

    class Policy:
        read = "true"


@app.mutation(auth="public")
def increment(ctx: Context, counter: str) -> int:
    row = ctx.db.get(Counter, counter)
    if row is None:
        raise ctx.error("NOT_FOUND", "no such counter")
    return ctx.db.update(Counter, counter, value=row.value + 1).value


@app.mutation(auth="public")
def copy(ctx: Context, item: str) -> str:
    row = ctx.db.get(Item, item)
    if row is None:
        raise ctx.error("NOT_FOUND", "no such item")
    return ctx.db.insert(Item, title=row.title, n=row.n + 1).id


class Ticket(Entity, crdt=False, sync=False):
    """What the live queries read."""

    queue: str = field(index=True)
    n: int = 0

    class Policy:
        insert = "true"


class Unwatched(Entity, crdt=False, sync=False):
    """The same, and nobody reads it."""

    queue: str = field(index=True)
    n: int = 0

    class Policy:
        insert = "true"


@app.query(auth="public")
def queue_state(ctx: Context, queue: str) -> dict[str, int]:
    latest = ctx.db.one(Ticket, queue=queue, order="-n")
    return {"length": ctx.db.count(Ticket, queue=queue), "last": -1 if latest is None else latest.n}
