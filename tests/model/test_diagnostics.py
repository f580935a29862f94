"""The checks on a declaration: every code of spec 05 §2 that shows in a readable manifest, and ours."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pylon.model.diagnostics import Diagnostic, Severity, Span, check
from pylon.model.findings import DeclarationError, error, warning
from pylon.model.manifest import from_manifest

Manifest = dict[str, Any]
SOUND: Manifest = {
    "manifest_version": 1,
    "name": "shop",
    "version": "1",
    "entities": [
        {
            "name": "Product",
            "fields": [
                {"name": "name", "type": "string", "optional": False, "unique": False},
                {"name": "seller", "type": "id(User)", "optional": False, "unique": False},
            ],
            "indexes": [{"name": "by_name", "fields": ["name"], "unique": False}],
            "relations": [{"name": "seller", "target": "User", "field": "seller"}],
            "search": {"text": ["name"], "facets": [], "sortable": []},
        },
        {"name": "User", "fields": [], "indexes": []},
    ],
    "routes": [{"path": "/p/:id", "mode": "server", "query": "getProduct"}],
    "queries": [
        {"name": "getProduct", "input": [{"name": "id", "type": "id(Product)", "optional": False, "unique": False}]}
    ],
    "actions": [{"name": "buy"}],
    "policies": [
        {"name": "product", "entity": "Product", "allow": "true"},
        {"name": "buy", "action": "buy", "allow": "true"},
    ],
}
FIELD = {"name": "x", "type": "string", "optional": False, "unique": False}


def findings(change: Callable[[Manifest], object]) -> list[Diagnostic]:
    manifest = copy.deepcopy(SOUND)
    change(manifest)
    return check(from_manifest(manifest))


def field(**keys: Any) -> Callable[[Manifest], object]:
    return lambda m: m["entities"][0]["fields"].append(FIELD | keys)


def entity(**keys: Any) -> Callable[[Manifest], object]:
    return lambda m: m["entities"][0].update(keys)


def add(block: str, **keys: Any) -> Callable[[Manifest], object]:
    return lambda m: m[block].append(keys)


def test_a_sound_app_has_no_findings() -> None:
    assert findings(lambda m: None) == []


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("SCHEMA_EMPTY", lambda m: m.update(entities=[], routes=[], queries=[], actions=[], policies=[])),
        ("ENTITY_NAME_EMPTY", add("entities", name="", fields=[], indexes=[])),
        ("ENTITY_NAME_INVALID", add("entities", name="a-b", fields=[], indexes=[])),
        ("ENTITY_NAME_INVALID", add("entities", name="_pylon_x", fields=[], indexes=[])),
        ("ENTITY_DUPLICATE", add("entities", name="User", fields=[], indexes=[])),
        ("ENTITY_DUPLICATE", add("entities", name="user", fields=[], indexes=[])),
        ("FIELD_NAME_EMPTY", field(name="")),
        ("FIELD_NAME_INVALID", field(name="a b")),
        ("FIELD_NAME_RESERVED", field(name="id")),
        ("FIELD_DUPLICATE", field(name="name")),
        ("FIELD_DUPLICATE", field(name="NAME")),
        ("RENAME_CLASH", field(name="other", renamedFrom="name")),
        ("FIELD_ID_TARGET_NOT_FOUND", field(type="id(Nope)")),
        ("FIELD_DEFAULT_INVALID", field(type="int", default="a")),
        ("FIELD_DEFAULT_INVALID", field(type="int", default="now")),
        ("FIELD_DEFAULT_INVALID", field(type="bool", default={"$auth": "userId"})),
        ("FIELD_DEFAULT_INVALID", field(default={"$auth": "tenantId"})),
        ("FIELD_DEFAULT_INVALID", field(enumValues=["a"], default="b")),
        ("FIELD_CRDT_INVALID", field(type="int", crdt="text")),
        ("FIELD_CRDT_INVALID", field(crdt="counter")),
        ("FIELD_CRDT_INVALID", field(type="int", crdt="list")),
        ("FIELD_CRDT_INVALID", field(type="float", crdt="tree")),
        ("FIELD_CRDT_INVALID", field(crdt="text", enumValues=["a"])),
        ("FIELD_CRDT_INVALID", field(crdt="text", serverOnly=True)),
        ("VECTOR_NOT_SERVER_ONLY", field(type="vector(3)")),
        ("ENCRYPTED_INVALID", field(encrypted=True, unique=True)),
        ("ENCRYPTED_INVALID", field(lookup=True)),
        ("ENCRYPTED_INVALID", field(type="json", encrypted=True, lookup=True)),
        ("INDEX_NAME_EMPTY", entity(indexes=[{"name": "", "fields": ["name"], "unique": False}])),
        ("INDEX_NAME_INVALID", entity(indexes=[{"name": 'a"b', "fields": ["name"], "unique": False}])),
        ("INDEX_NAME_DUPLICATE", entity(indexes=[{"name": "a", "fields": ["name"], "unique": False}] * 2)),
        ("INDEX_FIELDS_EMPTY", entity(indexes=[{"name": "a", "fields": [], "unique": False}])),
        ("INDEX_FIELD_NOT_FOUND", entity(indexes=[{"name": "a", "fields": ["id"], "unique": False}])),
        ("RELATION_NAME_EMPTY", entity(relations=[{"name": "", "target": "User", "field": "seller"}])),
        ("RELATION_DUPLICATE", entity(relations=[{"name": "a", "target": "User", "field": "seller"}] * 2)),
        ("RELATION_TARGET_NOT_FOUND", entity(relations=[{"name": "a", "target": "Nope", "field": "seller"}])),
        ("RELATION_FIELD_NOT_FOUND", entity(relations=[{"name": "a", "target": "User", "field": "nope"}])),
        (
            "RELATION_FIELD_NOT_FOUND",
            entity(relations=[{"name": "a", "target": "User", "field": "nope", "many": True}]),
        ),
        ("SEARCH_FIELD_NOT_FOUND", entity(search={"text": ["nope"]})),
        ("QUERY_NAME_EMPTY", add("queries", name="")),
        ("QUERY_DUPLICATE", add("queries", name="getProduct", input=[FIELD | {"name": "id"}])),
        ("ACTION_NAME_EMPTY", add("actions", name="")),
        ("ACTION_DUPLICATE", add("actions", name="buy")),
        ("INPUT_FIELD_NAME_EMPTY", add("actions", name="a", input=[FIELD | {"name": ""}])),
        ("INPUT_FIELD_DUPLICATE", add("actions", name="a", input=[FIELD, FIELD])),
        ("INPUT_FIELD_TYPE_UNKNOWN", add("actions", name="a", input=[FIELD | {"type": "text"}])),
        ("FIELD_ID_TARGET_NOT_FOUND", add("actions", name="a", input=[FIELD | {"type": "id(Nope)"}])),
        ("POLICY_NAME_EMPTY", add("policies", name="", entity="User", allow="true")),
        ("POLICY_DUPLICATE", add("policies", name="buy", entity="User", allow="true")),
        ("POLICY_ALLOW_EMPTY", add("policies", name="p", entity="User", allow="")),
        ("POLICY_NO_TARGET", add("policies", name="p", allow="true")),
        ("POLICY_ENTITY_NOT_FOUND", add("policies", name="p", entity="Nope", allow="true")),
        ("POLICY_ACTION_NOT_FOUND", add("policies", name="p", action="nope", allow="true")),
        ("ROUTE_PATH_EMPTY", add("routes", path="", mode="static")),
        ("ROUTE_PATH_NO_SLASH", add("routes", path="a", mode="static")),
        ("ROUTE_PATH_DUPLICATE", add("routes", path="/p/:id", mode="static")),
        ("ROUTE_AUTH_INVALID", add("routes", path="/a", mode="static", auth="admin")),
        ("ROUTE_QUERY_NOT_FOUND", add("routes", path="/a", mode="static", query="nope")),
        ("ROUTE_PARAM_NOT_IN_QUERY", add("routes", path="/a/:slug", mode="static", query="getProduct")),
        ("ROUTE_PARAM_NOT_IN_QUERY", add("routes", path="/a/*?rest", mode="static", query="getProduct")),
    ],
)
def test_an_error_has_its_code(code: str, change: Callable[[Manifest], object]) -> None:
    assert [(d.code, d.severity) for d in findings(change)] == [(code, Severity.ERROR)]


def test_a_field_that_search_would_give_away_is_refused() -> None:
    def change(m: Manifest) -> None:
        field(serverOnly=True)(m)
        entity(search={"facets": ["x"]})(m)

    assert [d.code for d in findings(change)] == ["SEARCH_FIELD_HIDDEN"]


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("manifest", lambda m: m.update(nope=1)),
        ("entity Product", entity(nope=1)),
        ("Product.x", field(nope=1)),
        ("Product.search", entity(search={"text": ["name"], "nope": ["x"]})),
        ("policy 'p'", add("policies", name="p", entity="User", allow="true", nope=1)),
        ("route /a", add("routes", path="/a", mode="static", nope=1)),
        ("action a", add("actions", name="a", nope=1)),
    ],
)
def test_an_unknown_key_is_a_warning(where: str, change: Callable[[Manifest], object]) -> None:
    (found,) = findings(change)
    assert (found.code, found.severity) == ("UNKNOWN_KEY", Severity.WARNING)
    assert found.message.startswith(f"{where}: the key 'nope'")


@pytest.mark.parametrize(
    ("kind", "crdt"),
    [("int", "counter"), ("float", "counter"), ("json", "list"), ("json", "movable-list"), ("json", "tree")],
)
def test_every_way_of_merging_has_its_types(kind: str, crdt: str) -> None:
    assert findings(field(type=kind, crdt=crdt)) == []


def test_the_hint_names_what_is_near() -> None:
    (found,) = findings(entity(relations=[{"name": "a", "target": "Usr", "field": "seller"}]))
    assert found.hint == "Did you mean 'User'?"


def test_the_user_entity_of_the_auth_block_need_not_be_declared() -> None:
    def change(m: Manifest) -> None:
        m["auth"] = {"user": {"entity": "Member"}}
        field(type="id(Member)")(m)

    assert findings(change) == []


# -- the values --------------------------------------------------------------------------------------------------


def test_a_diagnostic_reads_as_a_sentence_with_its_mend() -> None:
    assert str(error("X", "Note.a: wrong", "Write it right.")) == "Note.a: wrong. Write it right."
    assert str(warning("X", "Note.a: odd")) == "Note.a: odd"
    assert Diagnostic(severity=Severity.INFO, code="X", message="m", span=Span("a.json", 3)).span == Span("a.json", 3)


def test_a_declaration_error_lists_errors_and_keeps_all_findings() -> None:
    caught = DeclarationError([error("A", "one"), warning("B", "two"), error("C", "three")])
    assert caught.code == "MANIFEST_INVALID"
    assert caught.message == "2 errors in the declaration:\n  - one\n  - three"
    assert len(caught.diagnostics) == 3
