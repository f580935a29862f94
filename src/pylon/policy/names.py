"""Finding every name of an expression in the app's declaration, once, at start. What nothing declares is refused with
the nearest name that exists: nothing is silently null."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.policy.edits import EDIT_KEYS
from pylon.policy.nodes import (
    And,
    Arithmetic,
    Compare,
    Condition,
    Exists,
    Expr,
    In,
    ListLiteral,
    Literal,
    Not,
    Or,
    Path,
    Reference,
    Root,
    TextTest,
    Type,
    type_of,
)
from pylon.policy.values import number_of_text

AUTH_MEMBERS = {
    "userId": "user_id",
    "user_id": "user_id",
    "isAdmin": "is_admin",
    "is_admin": "is_admin",
    "isGuest": "is_guest",
    "tenantId": "tenant_id",
    "tenant_id": "tenant_id",
    "email": "email",
    "roles": "roles",
}
"""What rules may read of the caller, and the attribute of Identity that holds it."""

_AUTH_TYPES = {"is_admin": Type.BOOL, "is_guest": Type.BOOL, "roles": Type.NULL}
_KIND_TYPES = {
    Kind.STRING: Type.TEXT,
    Kind.RICHTEXT: Type.TEXT,
    Kind.DATETIME: Type.TEXT,
    Kind.ID: Type.TEXT,
    Kind.INT: Type.NUMBER,
    Kind.FLOAT: Type.NUMBER,
    Kind.BOOL: Type.BOOL,
    Kind.JSON: Type.ANY,
    Kind.VECTOR: Type.NULL,
}
_ROW_ROOTS = {"data": Root.DATA, "existing": Root.DATA, "new": Root.NEW}
_WORDS = {Type.TEXT: "text", Type.BOOL: "a bool", Type.NUMBER: "a number"}


class PolicyNameError(ValueError):
    """A name that nothing declares, or an operand of a type that never fits. The message ends with the mend."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may name. `entity` is None in action policies; `roots` are the admissible first words,
    `edit_keys` those of `edits` that `data` holds."""

    app: AppSpec
    entity: EntitySpec | None
    roots: frozenset[str]
    edit_keys: frozenset[str] = frozenset()


def type_of_field(kind: Kind) -> Type:
    """The operand type of a declared field."""
    return _KIND_TYPES[kind]


def resolve(expr: Expr, scope: Scope) -> Expr:
    """The same expression with every path replaced by a typed Reference. Raises PolicyNameError."""
    match expr:
        case Path():
            return _reference(expr.name, scope)
        case Not(operand):
            return Not(resolve(operand, scope))
        case And(operands):
            return And(tuple(resolve(operand, scope) for operand in operands))
        case Or(operands):
            return Or(tuple(resolve(operand, scope) for operand in operands))
        case Compare():
            return Compare(expr.operator, resolve(expr.left, scope), resolve(expr.right, scope))
        case Arithmetic():
            left, right = resolve(expr.left, scope), resolve(expr.right, scope)
            return _checked_arithmetic(replace(expr, left=left, right=right))
        case In():
            return _checked_in(replace(expr, left=resolve(expr.left, scope), right=resolve(expr.right, scope)))
        case TextTest():
            return _checked_text(replace(expr, text=resolve(expr.text, scope), part=resolve(expr.part, scope)))
        case Exists():
            return _checked_exists(expr, scope)
        case _:
            return expr


# -- paths -------------------------------------------------------------------------------------------------------


def _reference(name: str, scope: Scope) -> Reference:
    root, _, rest = name.partition(".")
    if root not in scope.roots:
        raise _unknown(name, scope)
    if rest == "" and "." in name:
        raise _unknown(name, scope)
    if root == "auth":
        return _auth(name, rest, scope)
    if root == "input":
        keys = tuple(rest.split(".")) if rest else ()
        if "" in keys:
            raise _unknown(name, scope)
        if not keys:
            return Reference(Root.INPUT, "", Type.NULL)
        return Reference(Root.INPUT, keys[0], Type.ANY, keys[1:], Kind.JSON)
    if not rest:
        return Reference(_ROW_ROOTS[root], "", Type.NULL)
    return _field(name, _ROW_ROOTS[root], rest.split("."), scope)


def _auth(name: str, member: str, scope: Scope) -> Reference:
    if not member:
        return Reference(Root.AUTH, "", Type.NULL)
    attribute = AUTH_MEMBERS.get(member)
    if attribute is None:
        raise _unknown(name, scope)
    return Reference(Root.AUTH, attribute, _AUTH_TYPES.get(attribute, Type.TEXT))


def _field(name: str, root: Root, parts: list[str], scope: Scope) -> Reference:
    assert scope.entity is not None
    first, *keys = parts
    if first == "id" and not keys:
        return Reference(root, "id", Type.TEXT, (), Kind.STRING)
    if first in scope.edit_keys and root is Root.DATA and not keys:
        kind = EDIT_KEYS[first]
        return Reference(Root.EDIT, first, type_of_field(kind), (), kind)
    field = scope.entity.field(first)
    if field is None or "" in keys:
        raise _unknown(name, scope)
    if field.encrypted:
        raise PolicyNameError(f"`{name}` is encrypted, and rules can't read it. Let them decide by another field")
    if keys and field.kind is not Kind.JSON:
        raise PolicyNameError(
            f"`{name}` reads inside `{first}`, which is {field.type_name}: only json fields have an inside. "
            f"Use `{name.split('.', 1)[0]}.{first}`, or look the other row up with exists(...)"
        )
    return Reference(root, first, type_of_field(field.kind), tuple(keys), field.kind)


def _unknown(name: str, scope: Scope) -> PolicyNameError:
    root, _, rest = name.partition(".")
    if rest and root == "new" and scope.entity is not None:
        return PolicyNameError(f"`{name}`: `new` is there in update rules only. Use `data.{rest}`")
    if rest and root == "input" and scope.entity is not None:
        return PolicyNameError(
            f"`{name}`: `input` is there in action policies only. "
            "An update rule sees the row after the write as `new.*`"
        )
    if rest in EDIT_KEYS and root in ("data", "existing"):
        return PolicyNameError(f"`{name}` is there in rules of writes only. Give reading a rule of its own")
    where = f'entity "{scope.entity.name}"' if scope.entity is not None else "action policies"
    if rest and root in scope.roots and root in _ROW_ROOTS:
        problem = f"`{name}` names no field of {where}"
    elif rest and root == "auth":
        problem = f"`{name}` is nothing that rules know of the caller"
    else:
        problem = f"unknown name `{name}`"
    return PolicyNameError(f"{problem}. {_suggestion(name, scope)}")


def _suggestion(name: str, scope: Scope) -> str:
    if name.lower() in ("true", "false", "null", "undefined", "none", "nil"):
        constant = name.lower() if name.lower() in ("true", "false") else "null"
        return f"Did you mean `{constant}`?"
    # Compared without the root: `data.` in common would make everything look alike.
    root, _, rest = name.partition(".")
    wanted = rest or name
    fields = _spellings(scope.entity) if scope.entity is not None else {}
    callers = {member: member for member in AUTH_MEMBERS}
    own = root if root in ("existing", "new") and root in scope.roots else "data"
    if root == "auth" and rest:
        places = [("auth", callers)]
    elif root in _ROW_ROOTS and rest:
        places = [(own, fields)]
    else:
        places = [(own, fields), ("auth", callers)]
    for place, spellings in places:
        for near in difflib.get_close_matches(wanted, spellings, n=1, cutoff=0.6):
            return f"Did you mean `{place}.{spellings[near]}`?"
    if root in _ROW_ROOTS and scope.entity is not None:
        return f"Its fields are {_listed(scope.entity)}"
    if root == "auth":
        return f"There are {', '.join(f'auth.{member}' for member in AUTH_MEMBERS if '_' not in member)}"
    return f"Names begin with {', '.join(f'{known}.' for known in sorted(scope.roots))}"


def _spellings(entity: EntitySpec) -> dict[str, str]:
    """What somebody may have written for a field, Python attributes among it, and its name."""
    attributes = {field.attribute: field.name for field in entity.fields if field.attribute}
    return attributes | {field.name: field.name for field in entity.fields} | {"id": "id"}


def _listed(entity: EntitySpec) -> str:
    names = ["id", *(field.name for field in entity.fields)]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


# -- operands that never fit -------------------------------------------------------------------------------------


def _checked_arithmetic(expr: Arithmetic) -> Arithmetic:
    for operand in (expr.left, expr.right):
        if type_of(operand) not in (Type.NUMBER, Type.ANY):
            raise PolicyNameError(f"`{expr.operator}` takes numbers, and {_shown(operand)} is not one")
        if expr.operator == "%" and _is_fractional(operand):
            raise PolicyNameError("`%` takes whole numbers, and one side is a float. Use int fields and literals")
    return expr


def _is_fractional(expr: Expr) -> bool:
    match expr:
        case Literal(float()):
            return True
        case Reference():
            return expr.kind is Kind.FLOAT
        case Arithmetic("/"):
            return True
        case Arithmetic("+" | "-" | "*"):
            return _is_fractional(expr.left) or _is_fractional(expr.right)
        case _:
            return False


def _checked_in(expr: In) -> In:
    right = expr.right
    is_roles = isinstance(right, Reference) and right.root is Root.AUTH and right.member == "roles"
    is_list = isinstance(right, ListLiteral) or (isinstance(right, Reference) and right.type is Type.ANY)
    if not is_roles and not is_list:
        raise PolicyNameError(
            f"`in` takes a json field that holds a list, auth.roles or [..] on its right side, not {_shown(right)}"
        )
    return expr


def _checked_text(expr: TextTest) -> TextTest:
    for operand in (expr.text, expr.part):
        if type_of(operand) not in (Type.TEXT, Type.ANY):
            mend = " (is it a list? use `value in list`)" if expr.function == "contains" else ""
            raise PolicyNameError(f"`{expr.function}` takes text, and {_shown(operand)} is not text{mend}")
    return expr


def _checked_exists(expr: Exists, scope: Scope) -> Exists:
    entity = scope.app.entity(expr.entity)
    if entity is None:
        near = difflib.get_close_matches(expr.entity, [e.name for e in scope.app.entities], n=1, cutoff=0.5)
        names = ", ".join(e.name for e in scope.app.entities[:12])
        mend = f"Did you mean `{near[0]}`?" if near else f"Entities are {names}"
        raise PolicyNameError(f"exists names the entity `{expr.entity}`, which the app doesn't declare. {mend}")
    return replace(expr, conditions=tuple(_checked_condition(c, entity, scope) for c in expr.conditions))


def _checked_condition(condition: Condition, entity: EntitySpec, scope: Scope) -> Condition:
    column = entity.field(condition.column)
    if column is None and condition.column != "id":
        spellings = _spellings(entity)
        near = difflib.get_close_matches(condition.column, spellings, n=1, cutoff=0.5)
        mend = f"Did you mean `{spellings[near[0]]}`?" if near else f"Its fields are {_listed(entity)}"
        raise PolicyNameError(f'`{condition.column}` names no field of entity "{entity.name}" in exists. {mend}')
    if column is not None and column.encrypted:
        raise PolicyNameError(f"exists can't compare {entity.name}.{column.name}, which is encrypted")
    kind = column.kind if column is not None else Kind.STRING
    if kind in (Kind.JSON, Kind.VECTOR):
        raise PolicyNameError(f"exists can't compare {entity.name}.{condition.column}, which is {kind.value}")
    value = resolve(condition.value, scope)
    _check_comparable(entity, condition.column, kind, column, value)
    return replace(condition, value=value, kind=kind)


def _check_comparable(entity: EntitySpec, name: str, kind: Kind, column: Field | None, value: Expr) -> None:
    want, given = type_of_field(kind), type_of(value)
    spells_number = given is Type.TEXT and not (
        isinstance(value, Literal) and isinstance(value.value, str) and number_of_text(value.value) is None
    )
    if given in (want, Type.ANY, Type.NULL) or (want is Type.NUMBER and spells_number):
        return
    raise PolicyNameError(
        f"{entity.name}.{name} is {column.type_name if column else 'string'} and never equals {_shown(value)}. "
        f"Compare it with {_WORDS[want]}"
    )


def _shown(expr: Expr) -> str:
    match expr:
        case Literal(None):
            return "null"
        case Literal(bool() as value):
            return "true" if value else "false"
        case Literal(value):
            return repr(value)
        case Reference():
            shown = next((n for n, attribute in AUTH_MEMBERS.items() if attribute == expr.member), expr.member)
            member = shown if expr.root is Root.AUTH else expr.member
            kind = f" ({expr.kind.value})" if expr.kind else ""
            return f"`{'.'.join([expr.root.word, *([member] if member else []), *expr.keys])}`{kind}"
        case _:
            return f"a value that is {_WORDS.get(type_of(expr), 'of another type')}"
