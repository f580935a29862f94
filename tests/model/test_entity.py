"""Declaring entities: what a class body says, and how a wrong one is told."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Optional

import msgspec
import pytest

from pylon import DeclarationError, Entity, Id, Json, RichText, field, index, relation
from pylon.model.entity import entity_spec, is_entity, policy_spec
from pylon.model.schema import DefaultAuth, DefaultLiteral, DefaultNow, Field, Index, Kind, Relation


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(Entity):
    name: str


class Note(Entity):
    title: str
    body: RichText = ""
    author: Id[Person] = field(owner=True, name="authorId")
    parent: Id[Note] | None
    n: int = 0
    ratio: float = 1
    done: bool = False
    at: datetime = field(default="now")
    meta: Json | None = None
    tags: list[str] = []
    state: Literal["draft", "live"] = "draft"
    colour: Colour = Colour.RED
    mood: Optional[Colour] = None  # noqa: UP045 - the older spelling works too
    slug: str | None = field(unique=True)
    secret: str | None = field(server_only=True, encrypted=True)
    limit: ClassVar[int] = 3

    indexes = [index("state", "at"), index("author", unique=True, where="state = 'draft'", name="one_draft")]
    relations = [relation("writer", Person, field="author")]
    search = {"text": ["title", "body"], "facets": ["author"]}

    class Policy:
        read = "true"
        insert = update = "auth.userId == data.authorId"

    def shout(self) -> str:
        return self.title.upper()


def of(name: str) -> Field:
    return next(f for f in entity_spec(Note).fields if f.attribute == name)


def refusal(declare: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as caught:
        declare()
    return caught.value.message


# -- what is declared --------------------------------------------------------------------------------------------


def test_fields_keep_the_order_of_their_declaration() -> None:
    names = [f.attribute for f in entity_spec(Note).fields]
    assert names[:5] == ["title", "body", "author", "parent", "n"]


@pytest.mark.parametrize(
    ("attribute", "kind", "optional"),
    [
        ("title", Kind.STRING, False),
        ("body", Kind.RICHTEXT, False),
        ("author", Kind.ID, False),
        ("parent", Kind.ID, True),
        ("n", Kind.INT, False),
        ("ratio", Kind.FLOAT, False),
        ("done", Kind.BOOL, False),
        ("at", Kind.DATETIME, False),
        ("meta", Kind.JSON, True),
        ("tags", Kind.JSON, False),
        ("state", Kind.STRING, False),
        ("colour", Kind.STRING, False),
        ("mood", Kind.STRING, True),
    ],
)
def test_an_annotation_says_the_type_and_whether_it_is_optional(attribute: str, kind: Kind, optional: bool) -> None:
    assert (of(attribute).kind, of(attribute).optional) == (kind, optional)


def test_literals_and_enums_list_their_values() -> None:
    assert of("state").enum_values == ("draft", "live")
    assert of("mood").enum_values == ("red", "blue")


def test_defaults_are_literals_the_time_or_the_caller() -> None:
    assert of("n").default == DefaultLiteral(0)
    assert of("colour").default == DefaultLiteral("red")
    assert of("tags").default == DefaultLiteral([])
    assert of("at").default == DefaultNow()
    assert of("author").default == DefaultAuth()
    assert of("mood").default is None


def test_an_int_default_of_a_float_is_stored_as_a_float() -> None:
    assert type(of("ratio").default.value) is float  # type: ignore[union-attr]


def test_an_owner_is_readonly() -> None:
    assert of("author").is_owner


def test_a_field_may_have_another_name_on_the_wire() -> None:
    assert (of("author").attribute, of("author").name) == ("author", "authorId")


def test_modifiers_are_kept() -> None:
    assert of("slug").unique
    assert of("secret").server_only
    assert of("secret").encrypted


def test_indexes_speak_of_columns() -> None:
    assert entity_spec(Note).indexes == (
        Index(name="by_state_at", fields=("state", "at")),
        Index(name="one_draft", fields=("authorId",), unique=True, where="state = 'draft'"),
    )


def test_a_field_may_ask_for_its_own_index() -> None:
    class Tag(Entity):
        label: str = field(index=True)

    assert entity_spec(Tag).indexes == (Index(name="by_label", fields=("label",)),)


def test_relations_and_search_speak_of_columns() -> None:
    assert entity_spec(Note).relations == (Relation(name="writer", target="Person", field="authorId"),)
    assert entity_spec(Note).search == {"text": ["title", "body"], "facets": ["authorId"], "sortable": []}


def test_the_nested_policy_is_attached_to_the_entity() -> None:
    policy = policy_spec(Note)
    assert policy is not None
    assert (policy.entity, policy.allow_read, policy.allow_delete) == ("Note", "true", None)
    assert policy.allow_insert == policy.allow_update == "auth.userId == data.authorId"
    assert policy_spec(Person) is None


def test_class_options_reach_the_spec() -> None:
    class Log(Entity, crdt=False, sync=False, sync_scope="data.n > 1", sync_limit=5, name="LogLine"):
        n: int

    spec = entity_spec(Log)
    assert (spec.name, spec.crdt, spec.sync, spec.sync_scope, spec.sync_limit) == (
        "LogLine",
        False,
        False,
        "data.n > 1",
        5,
    )


def test_rows_are_crdt_documents_unless_told_otherwise() -> None:
    assert entity_spec(Note).crdt


# -- instances ---------------------------------------------------------------------------------------------------


def test_an_entity_is_a_struct_with_an_id_and_defaults() -> None:
    note = Note(title="x", parent=None, author="a", slug=None, secret=None)
    assert isinstance(note, msgspec.Struct)
    assert (note.id, note.n, note.colour, note.tags) == ("", 0, Colour.RED, [])


def test_a_required_field_must_be_given() -> None:
    with pytest.raises(TypeError, match="title"):
        Note()  # type: ignore[call-arg]


def test_a_row_can_not_be_changed_in_place() -> None:
    person = Person(name="x")
    with pytest.raises(AttributeError):
        person.name = "y"  # type: ignore[misc]


def test_mutable_defaults_are_not_shared() -> None:
    class Bag(Entity):
        items: list[int] = [1]

    Bag().items.append(2)
    assert Bag().items == [1]


def test_methods_and_class_variables_stay() -> None:
    assert Note.limit == 3
    assert Note(title="x", parent=None, author="a", slug=None, secret=None).shout() == "X"


def test_an_entity_in_json_has_its_wire_names() -> None:
    note = Note(title="x", parent=None, author="a", slug=None, secret=None)
    assert msgspec.to_builtins(note)["authorId"] == "a"


def test_only_declaring_classes_are_entities() -> None:
    assert is_entity(Note)
    assert not is_entity(Entity)
    assert not is_entity(str)


def test_a_module_without_future_annotations_declares_the_same() -> None:
    source = (
        "from pylon import Entity, Id\n"
        "class A(Entity):\n"
        "    other: Id['B'] | None\n"
        "    tags: dict[str, int] = {}\n"
        "class B(Entity):\n"
        "    a: Id[A]\n"
    )
    module: dict[str, Any] = {"__name__": "made"}
    exec(source, module)
    assert [f.type_name for f in entity_spec(module["A"]).fields] == ["id(B)", "json"]
    assert [f.type_name for f in entity_spec(module["B"]).fields] == ["id(A)"]


# -- what is refused, and how it is told -------------------------------------------------------------------------


def declare(annotation: Any, **namespace: Any) -> Callable[[], object]:
    """Declares Note with one field `x` of that annotation."""
    body = {"__module__": __name__, "__qualname__": "Note", "__annotations__": {"x": annotation}} | namespace
    return lambda: type(Entity)("Note", (Entity,), body)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (
            set[str],
            "Note.x: set[str] is not a field type. Use list[str] for a JSON list, or an entity of its own for "
            "something that you query.",
        ),
        (bytes, "Note.x: bytes is not a field type. Use str with base64, or keep the bytes in a file."),
        (Person, "Note.x: Person is not a field type. Use Id[Person] to refer to a row."),
        (int | str, "Note.x: Union[int, str] is not a field type. Use Json for a value of several types."),
        (Any, "Note.x: Any is not a field type. Use Json."),
        (Literal[1, 2], "Note.x: Literal[1, 2] is not a field type. Use a Literal of strings only."),
        (Id, 'Note.x: Id is not a field type. Say of what: Id["User"].'),
        (
            "Nope",
            "Note.x: the name 'Nope' is not defined. Define or import it above the class. If it is an entity, "
            "refer to it as Id['Nope'].",
        ),
    ],
)
def test_another_annotation_is_told_with_what_to_write(annotation: Any, text: str) -> None:
    assert refusal(declare(annotation)) == text


@pytest.mark.parametrize(
    ("annotation", "default", "text"),
    [
        (int, "x", "Note.x: the default 'x' is not int: Expected int, got str"),
        (bool, 1, "Note.x: the default 1 is not bool: Expected bool, got int"),
        (str, None, "Note.x: the default is None, but the field is not optional. Write `x: str | None = None`."),
        (Literal["a"], "b", "Note.x: the default 'b' is not one of 'a': Invalid enum value 'b'"),
    ],
)
def test_a_default_of_another_type_is_refused(annotation: Any, default: Any, text: str) -> None:
    assert refusal(declare(annotation, x=default)) == text


def test_the_text_now_can_not_be_a_literal_default() -> None:
    assert "would be read as an instruction" in refusal(declare(str, x="now"))


def test_an_owner_holds_a_user_id_and_nothing_else() -> None:
    assert "owner=True stamps a user id" in refusal(declare(int, x=field(owner=True)))
    assert "both owner=True and a default" in refusal(declare(str, x=field(owner=True, default="me")))


def test_an_encrypted_field_may_be_shown_and_cannot_be_unique() -> None:
    declare(str, x=field(encrypted=True))()
    assert "unique" in refusal(declare(str, x=field(encrypted=True, unique=True)))


def test_a_field_needs_an_annotation() -> None:
    assert "Note.y: has no type" in refusal(declare(str, y=field(unique=True)))


@pytest.mark.parametrize("name", ["id", "ID", "rowid"])
def test_columns_that_every_table_has_can_not_be_declared(name: str) -> None:
    assert "every entity has this already" in refusal(declare(str, x=field(name=name)))


def test_id_is_inherited_and_not_declared() -> None:
    assert "Note.id: every entity has this already" in refusal(
        lambda: type(Entity)("Note", (Entity,), {"__annotations__": {"id": str}})
    )


def test_two_fields_that_differ_in_case_alone_are_one_column() -> None:
    assert "declared twice" in refusal(
        lambda: type(Entity)("Note", (Entity,), {"__annotations__": {"a": str, "A": str}})
    )


def test_an_index_over_an_unknown_field_names_the_nearest() -> None:
    text = refusal(declare(str, indexes=[index("y")]))
    assert text == "Note: index 'by_y' names 'y', which is no field of Note. There are: x."


def test_an_unknown_policy_rule_names_the_nearest() -> None:
    class Policy:
        raed = "true"

    text = refusal(declare(str, Policy=Policy))
    assert text == "Note.Policy has an unknown rule 'raed'. Did you mean 'read'?"


def test_a_block_under_another_name_is_not_passed_over() -> None:
    class Polcy:
        read = "true"

    class Meta:
        indexes = [index("x")]

    class Kinds:
        small = "s"

    text = refusal(declare(str, Polcy=Polcy))
    assert text == "Note.Polcy: an entity has nothing of this name. Did you mean 'Policy'?"
    assert "Did you mean 'indexes'?" in refusal(declare(str, indexs=[index("x")]))
    assert "Note.Meta: an entity has no such class. Write them in its own body." in refusal(declare(str, Meta=Meta))
    assert declare(str, Kinds=Kinds, names=["x"])() is not None


def test_an_empty_policy_rule_is_refused() -> None:
    class Policy:
        read = ""

    assert "Note.Policy.read: is '', not an expression" in refusal(declare(str, Policy=Policy))


def test_an_unknown_class_option_names_the_nearest() -> None:
    text = refusal(lambda: type(Entity)("Note", (Entity,), {}, sync_limt=3))
    assert text == "Note has an unknown option 'sync_limt'. Did you mean 'sync_limit'?"


@pytest.mark.parametrize("limit", [0, -1, True, "3"])
def test_a_sync_limit_is_a_positive_number(limit: Any) -> None:
    assert "is not a positive int" in refusal(lambda: type(Entity)("Note", (Entity,), {}, sync_limit=limit))


@pytest.mark.parametrize("name", ["_pylon_jobs", "sqlite_x", "_facet_bitmap", "No-te", ""])
def test_names_of_the_system_are_refused(name: str) -> None:
    assert "ntity" in refusal(lambda: type(Entity)("Note", (Entity,), {}, name=name))


def test_an_entity_does_not_extend_another() -> None:
    assert "can't extend another" in refusal(lambda: type(Entity)("Sub", (Note,), {}))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:

        class Bad(Entity):
            tags: set[str]
            n: int = "x"  # type: ignore[assignment]

            class Policy:
                raed = "true"

    assert [d.code for d in caught.value.diagnostics] == [
        "FIELD_TYPE_UNKNOWN",
        "POLICY_ACTION_UNKNOWN",
        "FIELD_DEFAULT_INVALID",
    ]


def test_a_datetime_default_may_be_a_moment() -> None:
    class Event(Entity):
        at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    assert entity_spec(Event).fields[0].default == DefaultLiteral("2026-01-01T00:00:00.000Z")
