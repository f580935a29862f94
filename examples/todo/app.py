"""The smallest Pylon app: everybody has a list of their own."""

from datetime import datetime

from pylon import App, Entity, Id, field

app = App("todo")


class Todo(Entity):
    title: str
    done: bool = False
    owner: Id["User"] = field(owner=True)  # noqa: F821 - sessions carry user ids; the app declares no User
    created: datetime = field(default="now")

    class Policy:
        read = insert = update = delete = "auth.userId == data.owner"
