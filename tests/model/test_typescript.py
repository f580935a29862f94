"""An app as TypeScript: what each hint and field becomes, and what stays out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

import msgspec

from pylon import App, Context, Entity, Id, Json, RichText, field
from pylon.model.typescript import client_types


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Author(Entity):
    name: str
    password: str = field(server_only=True)


class Post(Entity):
    title: str
    body: RichText = ""
    author: Id[Author] = field(owner=True)
    state: Literal["draft", "live"] = "draft"
    score: float | None = None
    tags: Json | None = None
    at: datetime = field(default="now")


class Filter(TypedDict):
    tag: str
    since: NotRequired[datetime]


class Node(msgspec.Struct):
    name: str
    children: list[Node]


@dataclass
class PostInsert:
    """Named as what is generated for Post."""

    pair: tuple[int, str]
    by_name: dict[str, list[Colour | None]]


typed = App("typed", entities=[Author, Post])


@typed.query
def search(ctx: Context, where: Filter, limit: int = 10, colours: set[Colour] | None = None) -> list[Post]:
    return []


@typed.query
def tree(ctx: Context) -> Node | None:
    return None


@typed.mutation
def odd(ctx: Context, value: Json) -> PostInsert:
    raise NotImplementedError


@typed.mutation(internal=True)
def secret(ctx: Context) -> None:
    return None


@typed.action
async def unsaid(ctx: Context) -> Any:
    return None


TEXT = client_types(typed.spec())


def block(name: str) -> list[str]:
    """The members of an interface."""
    return [line.strip() for line in TEXT.split(f"export interface {name} {{\n")[1].split("\n}")[0].splitlines()]


def test_a_row_has_every_field_that_clients_see() -> None:
    assert block("Author") == ["id: string;", "name: string;"]
    assert block("Post") == [
        "id: string;",
        "title: string;",
        "body: string;",
        "author: string;",
        'state: "draft" | "live";',
        "score: number | null;",
        "tags: any;",
        "at: string;",
    ]


def test_an_insert_may_leave_out_what_has_a_default_and_an_owner_is_stamped() -> None:
    assert block("PostInsert")[:3] == ["id?: string;", "title: string;", "body?: string;"]
    assert not any(line.startswith("author") for line in block("PostInsert") + block("PostUpdate"))
    assert all("?:" in line for line in block("PostUpdate"))


def test_functions_have_their_arguments_and_results() -> None:
    schema = block("Schema")
    assert (
        'search: { kind: "query"; args: { where: Filter; limit?: number | null; '
        'colours?: ("red" | "blue")[] | null }; result: Post[] };' in schema
    )
    assert 'tree: { kind: "query"; args: {}; result: Node | null };' in schema
    assert 'odd: { kind: "mutation"; args: { value: any }; result: PostInsert2 };' in schema
    assert 'unsaid: { kind: "action"; args: {}; result: any };' in schema
    assert "secret" not in TEXT


def test_classes_are_written_once_under_a_name_that_nothing_else_has() -> None:
    assert block("Filter") == ["tag: string;", "since?: string;"]
    assert block("Node") == ["name: string;", "children: Node[];"]
    assert block("PostInsert2") == ["pair: [number, string];", 'by_name: Record<string, ("red" | "blue" | null)[]>;']
    assert TEXT.count("export interface Node ") == 1
    assert client_types(typed.spec()) == TEXT
