"""Texts that several people edit at once, also offline. Everybody who has a session, a guest's too, may read and write.

`body` is `RichText`: edits merge character by character. `title` is an ordinary field: the last one wins.
"""

from datetime import datetime

from pylon import App, Context, Entity, RichText, field

app = App("editor")

WELCOME = """\
Open this page in a second browser and write in both.

Then cut one off (its network, or the server) and go on writing in both. When it is back, each has what the other wrote.

The page even opens without a connection: what you wrote is on your disk.
"""


class Doc(Entity):
    title: str = "Untitled"
    body: RichText = ""
    created: datetime = field(default="now")

    class Policy:
        allow = "auth.userId != null"


@app.mutation(auth="guest")
def first_doc(ctx: Context) -> Doc:
    """The oldest text; where there is none yet, one that says what to try."""
    rows = ctx.db.query(Doc, order="created", limit=1)
    return rows[0] if rows else ctx.db.insert(Doc, title="Read me first", body=WELCOME)
