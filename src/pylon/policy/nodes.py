"""The policy language as a tree of frozen values. `syntax` builds it with `Path` leaves, `names` replaces those by
`Reference`s whose types are known, and everything else only reads it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from pylon.model.schema import Kind

Constant = bool | int | float | str | None
"""What a literal holds."""


class Type(enum.Enum):
    """What is known of an operand before any row is seen. ANY is a value inside JSON; NULL covers whatever compares as
    null for good: the bare roots, lists and vectors."""

    NULL = "null"
    BOOL = "bool"
    NUMBER = "number"
    TEXT = "text"
    ANY = "any"


class Root(enum.Enum):
    """Where a reference reads from. `existing` is another name of DATA; EDIT are keys of `data` in `edits`."""

    AUTH = "auth"
    DATA = "data"
    NEW = "new"
    EDIT = "edit"

    @property
    def word(self) -> str:
        """As rules write it."""
        return "data" if self is Root.EDIT else self.value

    INPUT = "input"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Constant


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted word as written."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A path whose names were found: `member` of the root (empty for the bare root), `keys` below a JSON field."""

    root: Root
    member: str
    type: Type
    keys: tuple[str, ...] = ()
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """`operator` is one of == != < <= > >=."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`operator` is one of + - * / %."""

    operator: str
    left: Expr
    right: Expr
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListLiteral:
    items: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class In:
    left: Expr
    right: Expr
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class HasRole:
    """`auth.hasRole` and `auth.hasAnyRole`: the caller has one of these."""

    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ago:
    """The time so many seconds ago, as text."""

    seconds: int


@dataclass(frozen=True, slots=True)
class TextTest:
    """`function` is starts_with, ends_with or contains."""

    function: str
    text: Expr
    part: Expr
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """`column == value` inside exists. `kind` is known once names are checked."""

    column: str
    value: Expr
    kind: Kind | None = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exists:
    entity: str
    conditions: tuple[Condition, ...]
    position: int = field(default=0, compare=False)


Expr = (
    Literal
    | Path
    | Reference
    | Not
    | And
    | Or
    | Compare
    | Arithmetic
    | ListLiteral
    | In
    | HasRole
    | Ago
    | TextTest
    | Exists
)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct operands of a node, in the order of evaluation."""
    match expr:
        case Not(operand):
            return (operand,)
        case And(operands) | Or(operands):
            return operands
        case Compare() | Arithmetic() | In():
            return (expr.left, expr.right)
        case TextTest():
            return (expr.text, expr.part)
        case Exists():
            return tuple(condition.value for condition in expr.conditions)
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and everything below it."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def type_of(expr: Expr) -> Type:
    """The type of a resolved expression's value."""
    match expr:
        case Literal(None):
            return Type.NULL
        case Literal(bool()):
            return Type.BOOL
        case Literal(str()) | Ago():
            return Type.TEXT
        case Literal() | Arithmetic():
            return Type.NUMBER
        case Reference():
            return expr.type
        case ListLiteral() | Path():
            return Type.NULL
        case _:
            return Type.BOOL


def reads(expr: Expr, root: Root) -> bool:
    """Whether a resolved expression depends on a member of this root."""
    return any(isinstance(node, Reference) and node.root is root and node.type is not Type.NULL for node in walk(expr))


def is_fixed(expr: Expr) -> bool:
    """Whether the caller and the clock alone decide a resolved expression: no row, no input, no exists."""
    return not any(
        isinstance(node, Exists) or (isinstance(node, Reference) and node.root is not Root.AUTH and bool(node.member))
        for node in walk(expr)
    )


def is_constant(expr: Expr) -> bool:
    """Whether nothing decides it but itself."""
    return not any(isinstance(node, Reference | Ago | Exists | HasRole | Path) for node in walk(expr))


def can_fail(expr: Expr) -> bool:
    """Whether evaluating it over a stored row may fail, which denies the whole rule: only arithmetic can."""
    return any(isinstance(node, Arithmetic) for node in walk(expr))
