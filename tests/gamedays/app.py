"""The app that game days happen to: public notes, invoices whose reads are recorded, and functions on them."""

import time

from pylon import App, Context, Entity, Id, field
from pylon.plugins.webhooks import Webhooks

app = App("incidents", plugins=[Webhooks()])


class Note(Entity, crdt=False):
    """Everybody's."""

    title: str
    n: int = 0

    class Policy:
        allow = "true"


class Invoice(Entity, crdt=False, audit_reads=True):
    """Its owner's; whoever is shown one is recorded."""

    text: str
    owner: Id["Person"] = field(owner=True, index=True)

    class Policy:
        allow = "auth.userId == data.owner"


class Person(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"


@app.mutation(auth="public")
def note(ctx: Context, title: str) -> str:
    return ctx.db.insert(Note, title=title).id


@app.mutation(auth="public")
def flood(ctx: Context, rows: int) -> int:
    for n in range(rows):
        ctx.db.insert(Note, title="flood", n=n)
    return rows


@app.query(auth="public")
def notes(ctx: Context) -> list[Note]:
    return ctx.db.query(Note, limit=10)


@app.query(auth="user")
def invoices(ctx: Context) -> list[str]:
    return [invoice.text for invoice in ctx.db.query(Invoice)]


@app.query(auth="public")
def has_editor(ctx: Context, user: str | None = None) -> bool:
    return ctx.flags.enabled("new-editor", user)


@app.action(auth="user")
async def ask(ctx: Context, tokens: int) -> str:
    ctx.spend("llm_tokens", tokens)
    return "answer"


@app.query(auth="public")
def report(ctx: Context, seconds: float) -> int:
    """Holds its snapshot for a while."""
    until = time.monotonic() + seconds
    total = 0
    while time.monotonic() < until:
        total = ctx.db.count(Note)
        time.sleep(0.05)
    return total
