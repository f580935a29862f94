"""The API's description: every route is in it, it says what the app declares, and tells nobody what he may not know."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec
import pytest

from pylon import App, Context, Entity, Id, Json, RichText, field
from pylon.testing.kit import TestApp
from pylon.web.app import describe

app = App("shop")


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Thing(Entity):
    title: str = field(min_length=1, max_length=80)
    body: RichText = ""
    owner: Id[Thing] | None = field(owner=True)
    size: Size = Size.SMALL
    stock: int = field(default=0, min=0)
    price: float | None = None
    on: bool = True
    made: datetime = field(default="now")
    data: Json | None = None
    passphrase: str = field(server_only=True, default="")

    class Policy:
        read = insert = update = delete = "true"


class Address(msgspec.Struct):
    street: str
    number: int | None = None


@app.query(auth="public")
def find(ctx: Context, size: Literal["small", "large"], address: Address | None = None) -> list[Thing]:
    """Things of a size. In no order."""
    return ctx.db.query(Thing, size=size)


@app.mutation
def hidden(ctx: Context, title: str) -> str:
    return title


@app.mutation(internal=True)
def inside(ctx: Context) -> None: ...


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(describe(app.spec()))
    return found


@pytest.fixture(scope="module")
def production() -> Iterator[TestApp]:
    with app.test(env={"PYLON_DEV_MODE": "0", "PYLON_CORS_ORIGIN": "https://shop.example"}) as t:
        yield t


def test_every_operation_has_a_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations)
    assert {"listThing", "createThing", "getThingById", "updateThing", "deleteThing", "callfind"} <= set(names)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for part in value.values():
                yield from references(part)
        elif isinstance(value, list):
            for part in value:
                yield from references(part)

    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_rows_and_what_writes_take_are_described_as_declared(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    row, insert, patch = schemas["Thing"], schemas["ThingInsert"], schemas["ThingUpdate"]
    assert row["properties"]["size"] == {"type": "string", "enum": ["small", "large"]}
    assert row["properties"]["stock"]["minimum"] == 0
    assert row["properties"]["price"] == {"type": ["number", "null"]}
    assert row["properties"]["title"] == {"type": "string", "minLength": 1, "maxLength": 80}
    assert insert["required"] == ["title"]
    assert "owner" in row["properties"]
    assert "owner" not in insert["properties"]
    assert "owner" not in patch["properties"]
    assert "required" not in patch


def test_what_stays_on_the_server_is_not_in_it(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    named = {name for shape in document["components"]["schemas"].values() for name in shape.get("properties", {})}
    assert "passphrase" not in named
    assert "/api/fn/inside" not in text
    assert '"inside"' not in text


def test_a_function_is_described_by_its_hints(document: dict[str, Any]) -> None:
    operation, schemas = document["paths"]["/api/fn/find"]["post"], document["components"]["schemas"]
    assert operation["summary"] == "Things of a size"
    taken = schemas["findInput"]
    assert taken["required"] == ["size"]
    assert taken["properties"]["size"] == {"enum": ["large", "small"]}
    assert taken["properties"]["address"]["anyOf"] == [{"$ref": "#/components/schemas/Address"}, {"type": "null"}]
    result = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert result == {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    assert {} in operation["security"]
    assert {} not in document["paths"]["/api/fn/hidden"]["post"]["security"]


def test_only_admins_see_it_in_production(production: TestApp) -> None:
    refused = production.anonymous().request("GET", "/api/openapi.json")
    assert refused.status == 404
    assert refused.json["error"]["code"] == "NOT_FOUND"
    assert production.as_admin().request("GET", "/api/openapi.json").status == 200


def test_a_client_that_holds_it_is_not_sent_it_again(production: TestApp) -> None:
    admin = production.as_admin()
    first = admin.request("GET", "/api/openapi.json")
    again = admin.request("GET", "/api/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_setting_opens_it_to_everybody() -> None:
    env = {"PYLON_DEV_MODE": "0", "PYLON_CORS_ORIGIN": "https://shop.example", "PYLON_OPENAPI_PUBLIC": "true"}
    with app.test(env=env) as t:
        assert t.anonymous().request("GET", "/api/openapi.json").status == 200
