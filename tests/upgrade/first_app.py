"""The app whose data later releases find."""

from datetime import datetime
from enum import Enum
from typing import Any

from pylon import App, Entity, Id, RichText, field, index, relation

app = App("kept")


class State(Enum):
    OPEN = "open"
    DONE = "done"


class Person(Entity):
    name: str = field(unique=True)

    class Policy:
        allow = "true"


class Note(Entity):
    title: str
    body: RichText = ""
    stars: int = 0
    score: float = 0.0
    done: bool = False
    at: datetime = field(default="now")
    meta: dict[str, Any] | None = None
    state: State = State.OPEN
    author: Id["Person"] | None = None
    secret: str | None = field(default=None, server_only=True)

    indexes = [index("state", "at")]
    relations = [relation("person", "Person", field="author")]

    class Policy:
        allow = "true"
