"""What this app stores, who may do what, and what it can do. Save this file and it is live."""

from datetime import datetime

from pylon import App, Context, Entity, Id, field

app = App("__APP_NAME__")


class Post(Entity):
    text: str
    author: Id["User"] = field(owner=True)  # noqa: F821 - stamped from the session
    likes: int = 0
    created: datetime = field(default="now")

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.author"


@app.mutation(auth="guest")
def like(ctx: Context, post: Id[Post]) -> Post:
    """Runs as one transaction: however many click at once, every like counts."""
    found = ctx.db.get(Post, post)
    if found is None:
        raise ctx.error("NOT_FOUND", "that post is gone")
    return ctx.db.update(Post, post, likes=found.likes + 1)
