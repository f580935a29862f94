"""The App: what it collects, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pylon import App, DeclarationError, Entity, Id, relation
from pylon.model.schema import AppSpec


class Somebody(Entity):
    name: str


def module(source: str, **names: Any) -> AppSpec:
    """The spec of an app whose module has this source."""
    space: dict[str, Any] = {"__name__": "made_app", **names}
    exec("from pylon import App, Entity, Id, field, relation\n" + source, space)
    return space["app"].spec()


def refusal(declare: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as caught:
        declare()
    return caught.value.message


def entity_names(spec: AppSpec) -> list[str]:
    return [e.name for e in spec.entities]


# -- entities ----------------------------------------------------------------------------------------------------


def test_the_entities_of_the_module_are_collected_in_order() -> None:
    spec = module("app = App('x')\nclass B(Entity): n: int\nclass A(Entity): n: int")
    assert entity_names(spec) == ["B", "A"]


def test_entities_imported_into_the_module_are_collected_too() -> None:
    assert entity_names(module("app = App('x')\nclass A(Entity): n: int", Imported=Somebody)) == ["Somebody", "A"]


def test_entities_that_others_refer_to_are_collected_too() -> None:
    spec = module("app = App('x')\nclass A(Entity): who: Id[Hidden[0]]", Hidden=[Somebody])
    assert entity_names(spec) == ["A", "Somebody"]


def test_entities_may_be_listed() -> None:
    class Local(Entity):
        n: int

    assert entity_names(App("x", entities=[Local]).spec()) == ["Local"]


def test_entities_may_be_included() -> None:
    class Local(Entity):
        n: int

    app = App("x", entities=[])
    app.include(Local, Somebody)
    assert entity_names(app.spec()) == ["Local", "Somebody"]


def test_only_entities_can_be_listed_or_included() -> None:
    with pytest.raises(TypeError, match="not an Entity class"):
        App("x", entities=[str])
    with pytest.raises(TypeError, match="not an Entity class"):
        App("x").include(Entity)


def test_class_names_in_references_become_wire_names() -> None:
    spec = module(
        "app = App('x')\n"
        "class A(Entity):\n"
        "    who: Id['B']\n"
        "    relations = [relation('b', 'B', field='who')]\n"
        "class B(Entity, name='Person'): n: int\n"
        "@app.query\n"
        "def q(ctx, who: Id['B'], all: list[Id['B']]): ...\n"
    )
    assert spec.entities[0].fields[0].target == "Person"
    assert spec.entities[0].relations[0].target == "Person"
    assert spec.functions[0].args_schema == {
        "who": {"type": "id", "table": "Person"},
        "all": {"type": "array", "items": {"type": "id", "table": "Person"}},
    }


def test_policies_are_collected_with_their_entities() -> None:
    spec = module("app = App('x')\nclass A(Entity):\n    n: int\n    class Policy: read = 'true'")
    assert [(p.entity, p.allow_read) for p in spec.policies] == [("A", "true")]


def test_an_id_may_be_a_users_although_no_user_entity_is_declared() -> None:
    spec = module("app = App('x')\nclass A(Entity): who: Id['User']")
    assert spec.entities[0].fields[0].target == "User"


# -- functions ---------------------------------------------------------------------------------------------------


def test_a_decorated_function_is_the_function_itself() -> None:
    app = App("x", entities=[])

    def q(ctx: object) -> int:
        return 1

    assert app.query(q) is q
    assert app.query(name="again")(q) is q


def test_options_of_a_function_reach_the_spec() -> None:
    app = App("x", entities=[])

    @app.mutation(auth="admin", internal=True, timeout=1.5, name="other_name")
    def m(ctx: object) -> None: ...

    spec = app.spec().functions[0]
    assert (spec.name, spec.aliases, spec.kind) == ("other_name", ("otherName",), "mutation")
    assert (spec.auth, spec.internal, spec.timeout, spec.handler) == ("admin", True, 1.5, m)


def test_a_function_is_for_signed_in_users_unless_told_otherwise() -> None:
    app = App("x", entities=[])

    @app.query
    def q(ctx: object) -> None: ...

    assert app.spec().functions[0].auth == "user"


def test_an_action_that_yields_streams() -> None:
    app = App("x", entities=[])

    @app.action
    async def once(ctx: object) -> None: ...

    @app.action
    async def many(ctx: object) -> AsyncIterator[str]:
        yield ""

    assert [f.streams for f in app.spec().functions] == [False, True]


def test_hints_may_name_classes_that_are_local_to_the_caller() -> None:
    class Local(Entity):
        n: int

    app = App("x", entities=[Local])

    @app.query
    def q(ctx: object, row: Id[Local]) -> None: ...

    assert app.spec().functions[0].args_schema == {"row": {"type": "id", "table": "Local"}}


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_an_async_query_or_mutation_is_told_to_be_an_action(kind: str) -> None:
    async def f(ctx: object) -> None: ...

    text = refusal(lambda: getattr(App("x"), kind)(f))
    assert text.startswith(f"f: a {kind} is a plain def")
    assert "Make it an action" in text


def test_a_plain_action_is_told_to_be_async() -> None:
    def f(ctx: object) -> None: ...

    assert "an action is an async def" in refusal(lambda: App("x").action(f))


def test_a_mutation_can_not_yield() -> None:
    def f(ctx: object) -> Any:
        yield 1

    assert "can't yield" in refusal(lambda: App("x").mutation(f))


def test_two_functions_can_not_answer_to_one_name() -> None:
    app = App("x", entities=[])

    @app.query
    def by_tag(ctx: object) -> None: ...

    def byTag(ctx: object) -> None: ...  # noqa: N802 - the alias of the other

    assert "answers to 'byTag' already" in refusal(lambda: app.query(byTag))


def test_the_name_traces_is_reserved() -> None:
    def traces(ctx: object) -> None: ...

    assert "reserved" in refusal(lambda: App("x").query(traces))


def test_a_function_takes_a_context() -> None:
    def f() -> None: ...

    assert "the first parameter is the context" in refusal(lambda: App("x").query(f))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"auth": "nobody"}, "auth='nobody' is unknown. Use one of public, guest, user, admin."),
        ({"timeout": 0}, "timeout=0 is not a number of seconds above 0"),
        ({"name": "a b"}, "the name 'a b' can't be used"),
    ],
)
def test_options_are_checked_where_they_are_written(options: dict[str, Any], text: str) -> None:
    def f(ctx: object) -> None: ...

    assert text in refusal(lambda: App("x").query(**options)(f))


def test_an_app_needs_a_name() -> None:
    assert "name is empty" in refusal(lambda: App(" "))


def test_an_app_that_declares_nothing_is_refused() -> None:
    assert "declares nothing" in refusal(App("x", entities=[]).spec)


def test_spec_tells_every_finding_at_once() -> None:
    class Wrong(Entity):
        who: Id["Nobody"]  # type: ignore[name-defined]  # noqa: F821, UP037 - the error under test
        relations = [relation("other", "Nothing", field="who")]

    with pytest.raises(DeclarationError) as caught:
        App("x", entities=[Wrong]).spec()
    assert [d.code for d in caught.value.diagnostics] == ["FIELD_ID_TARGET_NOT_FOUND", "RELATION_TARGET_NOT_FOUND"]
