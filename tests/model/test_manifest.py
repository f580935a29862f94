"""Manifests: read, written, and what the public sees of them."""

from __future__ import annotations

import copy
import enum
import json
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon import App, DeclarationError, Entity, Id, Json, RichText, field, index, relation
from pylon.model.manifest import from_manifest, public_manifest, to_manifest
from pylon.model.schema import (
    AppSpec,
    DefaultAuth,
    DefaultLiteral,
    DefaultNow,
    EntitySpec,
    Field,
    Index,
    Kind,
    PolicySpec,
    Relation,
)


class State(enum.Enum):
    DRAFT = "draft"
    LIVE = "live"


class User(Entity, crdt=False):
    email: str = field(unique=True)


class Product(Entity, sync_scope="data.live == true", sync_limit=5000):
    name: str
    body: RichText | None
    live: bool = True
    created: datetime = field(default="now")
    meta: Json | None = field(sync_omit=True)
    seller: Id[User] = field(owner=True, name="sellerId")
    state: State = State.DRAFT
    key: str | None = field(server_only=True, encrypted=True)

    indexes = [index("seller", unique=True, where="state = 'draft'", name="one_draft")]
    relations = [relation("seller", User, field="seller")]
    search = {"text": ["name"]}

    class Policy:
        read = "true"
        write = "auth.isAdmin"


app = App("shop", version="1.2.0")


@app.query(auth="public")
def get_product(ctx: object, id: Id[Product], n: int = 1) -> None: ...


@app.mutation
def buy(ctx: object) -> None: ...


@app.action(internal=True)
async def secretly(ctx: object) -> None: ...


SPEC = app.spec()


def field_of(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    entities = {e["name"]: e for e in manifest["entities"]}
    return next(f for f in entities["Product"]["fields"] if f["name"] == name)


# -- writing -----------------------------------------------------------------------------------------------------


def test_keys_are_in_the_order_of_the_reference() -> None:
    assert list(to_manifest(SPEC)) == [
        "manifest_version",
        "name",
        "version",
        "entities",
        "routes",
        "queries",
        "actions",
        "policies",
        "auth",
    ]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("name", {"type": "string", "optional": False, "unique": False}),
        ("body", {"type": "richtext", "optional": True, "unique": False}),
        ("live", {"type": "bool", "optional": False, "unique": False, "default": True}),
        ("created", {"type": "datetime", "optional": False, "unique": False, "default": "now"}),
        ("meta", {"type": "json", "optional": True, "unique": False, "syncOmit": True}),
        (
            "sellerId",
            {
                "type": "id(User)",
                "optional": False,
                "unique": False,
                "readonly": True,
                "default": {"$auth": "userId"},
            },
        ),
        (
            "state",
            {"type": "string", "optional": False, "unique": False, "default": "draft", "enumValues": ["draft", "live"]},
        ),
        ("key", {"type": "string", "optional": True, "unique": False, "serverOnly": True, "encrypted": True}),
    ],
)
def test_a_field_has_its_modifiers_only_when_set(name: str, written: dict[str, Any]) -> None:
    assert field_of(to_manifest(SPEC), name) == {"name": name} | written


def test_an_entity_is_written_by_the_rules_of_the_sdk() -> None:
    user, product = to_manifest(SPEC)["entities"]
    assert list(user) == ["name", "fields", "indexes", "crdt"]
    assert product["indexes"] == [
        {"name": "one_draft", "fields": ["sellerId"], "unique": True, "where": "state = 'draft'"}
    ]
    assert product["relations"] == [{"name": "seller", "target": "User", "field": "sellerId", "many": False}]
    assert product["search"] == {"text": ["name"], "facets": [], "sortable": []}
    assert (product["sync_scope"], product["sync_limit"]) == ("data.live == true", 5000)
    assert "sync" not in product
    assert "crdt" not in product


def test_functions_appear_as_queries_and_actions() -> None:
    manifest = to_manifest(SPEC)
    assert manifest["queries"] == [
        {
            "name": "get_product",
            "input": [
                {"name": "id", "type": "id(Product)", "optional": False, "unique": False},
                {"name": "n", "type": "int", "optional": True, "unique": False},
            ],
            "auth": "public",
        }
    ]
    assert manifest["actions"] == [{"name": "buy", "auth": "user", "fn_type": "mutation"}]


def test_internal_functions_are_not_told_of() -> None:
    assert "secretly" not in json.dumps([to_manifest(SPEC), public_manifest(SPEC)])


def test_policies_are_written_without_empty_rules() -> None:
    assert to_manifest(SPEC)["policies"] == [
        {"name": "Product_attached_0", "entity": "Product", "allowRead": "true", "allowWrite": "auth.isAdmin"}
    ]


# -- what the public sees ----------------------------------------------------------------------------------------


def test_the_public_manifest_has_no_expressions() -> None:
    manifest = public_manifest(SPEC)
    assert manifest["policies"] == [{"name": "Product_attached_0", "entity": "Product"}]
    text = json.dumps(manifest)
    assert "auth.isAdmin" not in text
    assert "data.live" not in text


def test_the_public_manifest_ends_with_the_filled_auth_block() -> None:
    manifest = public_manifest(SPEC)
    assert list(manifest)[-1] == "auth"
    assert manifest["auth"] == {
        "user": {"entity": "User"},
        "session": {
            "expires_in": 2592000,
            "cookie_cache": {"enabled": False, "max_age": 300, "claims": ["is_admin", "tenant_id"]},
        },
        "org": {
            "entity": "Org",
            "member_entity": "OrgMember",
            "invite_entity": "OrgInvite",
            "disabled": False,
        },
    }


def test_what_the_auth_block_says_wins_over_its_defaults() -> None:
    spec = msgspec.structs.replace(
        SPEC, raw={"auth": {"user": {"entity": "P"}, "session": {"cookie_cache": {"enabled": True}}}}
    )
    auth = public_manifest(spec)["auth"]
    assert auth["user"] == {"entity": "P"}
    assert auth["session"]["expires_in"] == 2592000
    assert auth["session"]["cookie_cache"] == {
        "enabled": True,
        "max_age": 300,
        "claims": ["is_admin", "tenant_id"],
    }


# -- there and back ----------------------------------------------------------------------------------------------


def without_classes(spec: AppSpec) -> AppSpec:
    """The declaration alone: no Python class, attributes or functions."""
    replace = msgspec.structs.replace
    entities = tuple(
        replace(e, python_class=None, fields=tuple(replace(f, attribute=f.name) for f in e.fields))
        for e in spec.entities
    )
    return replace(spec, entities=entities, functions=())


def test_an_app_of_classes_comes_back_from_its_manifest() -> None:
    back = from_manifest(msgspec.json.encode(to_manifest(SPEC)))
    assert msgspec.structs.replace(back, queries=(), actions=()) == without_classes(SPEC)
    assert to_manifest(back) == to_manifest(SPEC)


COMPLETE: dict[str, Any] = {
    "manifest_version": 1,
    "name": "shop",
    "version": "1.2.0",
    "entities": [
        {
            "name": "Product",
            "fields": [
                {"name": "name", "type": "string", "optional": False, "unique": True, "crdt": "text"},
                {"name": "emb", "type": "vector(3)", "optional": True, "unique": False, "serverOnly": True},
                {"name": "x", "type": "json", "optional": True, "unique": False, "default": {"a": [1]}, "unknown": 1},
            ],
            "indexes": [{"name": "i", "fields": ["name"], "unique": False, "where": "name > ''", "unknown": 1}],
            "relations": [{"name": "r", "target": "Product", "field": "name", "many": True, "unknown": 1}],
            "search": {"text": ["name"], "facets": [], "sortable": [], "language": "english"},
            "sync": False,
            "sync_scope": "true",
            "sync_limit": 1,
            "crdt": False,
            "unknown": {"a": 1},
        }
    ],
    "routes": [{"path": "/", "mode": "ssr", "kind": "page", "layouts": ["a"], "component": "c", "unknown": 1}],
    "queries": [{"name": "q", "input": [{"name": "n", "type": "int", "optional": True, "unique": False}]}],
    "actions": [{"name": "a", "auth": "user", "fn_type": "mutation"}],
    "policies": [
        {
            "name": "p",
            "entity": "Product",
            "allow": "1",
            "allowRead": "2",
            "allowInsert": "3",
            "allowUpdate": "4",
            "allowDelete": "5",
            "allowWrite": "6",
            "unknown": 1,
        }
    ],
    "auth": {"user": {"entity": "User"}, "org_roles": ["x"], "unknown": 1},
    "llm": {"provider": "openai"},
    "connections": [{"name": "c", "provider": "p"}],
    "crons": [{"schedule": "15 3 * * *", "function": "nightly"}],
    "fonts": [{"family": "f", "variable": "v"}],
    "requiredEnv": [{"name": "E", "description": "d"}],
    "unknown": True,
}


def test_every_key_of_a_manifest_is_kept_in_its_place() -> None:
    written = to_manifest(from_manifest(COMPLETE))
    assert json.dumps(written) == json.dumps(COMPLETE)


def test_reading_does_not_hold_on_to_the_callers_object() -> None:
    manifest = copy.deepcopy(COMPLETE)
    spec = from_manifest(manifest)
    manifest["auth"]["org_roles"].append("y")
    assert spec.raw["auth"]["org_roles"] == ["x"]


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.none() | st.text(min_size=1, max_size=8)
JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5).filter(lambda t: t != "now"),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
EXTRA = st.dictionaries(st.from_regex(r"x_[a-z]{1,4}", fullmatch=True), JSON, max_size=2)
TYPES = st.one_of(
    st.sampled_from([k for k in Kind if k not in (Kind.ID, Kind.VECTOR)]).map(lambda k: {"kind": k}),
    NAMES.map(lambda n: {"kind": Kind.ID, "target": n}),
    st.integers(1, 8192).map(lambda n: {"kind": Kind.VECTOR, "dimensions": n}),
)


@st.composite
def fields(draw: st.DrawFn) -> Field:
    name = draw(NAMES)
    return Field(
        name=name,
        attribute=name,
        **draw(TYPES),
        optional=draw(st.booleans()),
        unique=draw(st.booleans()),
        crdt=draw(st.sampled_from([None, "lww", "text", "counter", "list", "movable-list", "tree"])),
        server_only=draw(st.booleans()),
        sync_omit=draw(st.booleans()),
        readonly=draw(st.booleans()),
        encrypted=draw(st.booleans()),
        default=draw(
            st.one_of(
                st.none(),
                st.just(DefaultNow()),
                st.sampled_from(["userId", "tenantId"]).map(DefaultAuth),
                JSON.map(DefaultLiteral),
            )
        ),
        enum_values=draw(st.none() | st.lists(st.text(max_size=3), min_size=1, max_size=3).map(tuple)),
        extra=draw(EXTRA),
    )


INDEXES = st.builds(
    Index, name=NAMES, fields=st.lists(NAMES, max_size=3).map(tuple), unique=st.booleans(), where=TEXTS, extra=EXTRA
)
RELATIONS = st.builds(Relation, name=NAMES, target=NAMES, field=NAMES, many=st.booleans(), extra=EXTRA)
POLICIES = st.builds(
    PolicySpec,
    name=st.text(max_size=5),
    entity=TEXTS,
    action=TEXTS,
    allow=TEXTS,
    allow_read=TEXTS,
    allow_insert=TEXTS,
    allow_update=TEXTS,
    allow_delete=TEXTS,
    allow_write=TEXTS,
    extra=EXTRA,
)
ENTITIES = st.builds(
    EntitySpec,
    name=NAMES,
    fields=st.lists(fields(), max_size=4).map(tuple),
    indexes=st.lists(INDEXES, max_size=2).map(tuple),
    relations=st.lists(RELATIONS, max_size=2).map(tuple),
    search=st.none() | st.just({"text": ["a"], "facets": [], "sortable": []}),
    crdt=st.booleans(),
    sync=st.booleans(),
    sync_scope=TEXTS,
    sync_limit=st.none() | st.integers(1, 100),
    python_class=st.none(),
    extra=EXTRA,
)
RAW = st.fixed_dictionaries(
    {"auth": st.just({"user": {"entity": "P"}})},
    optional={"llm": st.just({"provider": "x"}), "crons": st.just([{"schedule": "* * * * *", "function": "f"}])},
)
APPS = st.builds(
    AppSpec,
    name=st.text(max_size=5),
    version=st.text(max_size=5),
    entities=st.lists(ENTITIES, max_size=2).map(tuple),
    policies=st.lists(POLICIES, max_size=2).map(tuple),
    functions=st.just(()),
    routes=st.just(()) | st.just(({"path": "/", "mode": "static"},)),
    queries=st.just(()) | st.just(({"name": "q"},)),
    actions=st.just(()) | st.just(({"name": "a", "fn_type": "action"},)),
    raw=RAW,
    extra=EXTRA,
)


@settings(max_examples=60, deadline=None)
@given(APPS)
def test_any_declaration_comes_back_from_its_manifest(spec: AppSpec) -> None:
    text = msgspec.json.encode(to_manifest(spec))
    assert from_manifest(text) == spec
    assert msgspec.json.encode(to_manifest(from_manifest(text))) == text


# -- what can't be read ------------------------------------------------------------------------------------------


def refusal(data: dict[str, Any] | bytes) -> tuple[list[str], str]:
    with pytest.raises(DeclarationError) as caught:
        from_manifest(data)
    return [d.code for d in caught.value.diagnostics], caught.value.message


def changed(**keys: Any) -> dict[str, Any]:
    return COMPLETE | keys


def with_field(**keys: Any) -> dict[str, Any]:
    fields = [{"name": "x", "type": "string", "optional": False, "unique": False} | keys]
    return {
        "manifest_version": 1,
        "name": "x",
        "version": "1",
        "entities": [{"name": "E", "fields": fields, "indexes": []}],
        "routes": [],
    }


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff", {"name": "x"}])
def test_what_is_no_manifest_is_a_parse_error(data: dict[str, Any] | bytes) -> None:
    assert refusal(data)[0] == ["MANIFEST_PARSE_ERROR"]


def test_a_missing_key_is_told_with_its_place() -> None:
    manifest = with_field()
    del manifest["entities"][0]["fields"][0]["optional"]
    assert refusal(manifest) == (["MANIFEST_PARSE_ERROR"], "entities[0].fields[0]: missing field `optional`")


def test_an_unknown_crdt_does_not_parse() -> None:
    assert refusal(with_field(crdt="magic"))[0] == ["MANIFEST_PARSE_ERROR"]


@pytest.mark.parametrize("version", [0, 2, "1", True, None])
def test_another_version_is_refused(version: Any) -> None:
    assert refusal(changed(manifest_version=version))[0] == ["MANIFEST_VERSION_UNSUPPORTED"]


@pytest.mark.parametrize("kind", ["text", "vector(0)", "vector(9000)", "id()", "String"])
def test_an_unknown_field_type_lists_the_valid_ones(kind: str) -> None:
    codes, message = refusal(with_field(type=kind))
    assert codes == ["FIELD_TYPE_UNKNOWN"]
    assert "Valid types: string, int" in message


def test_unknown_types_are_told_together_with_the_other_findings() -> None:
    manifest = with_field(type="text")
    manifest["entities"][0]["indexes"] = [{"name": "i", "fields": [], "unique": False}]
    assert refusal(manifest)[0] == ["FIELD_TYPE_UNKNOWN", "INDEX_FIELDS_EMPTY"]
