"""Decisions that an app's author writes down: who, what, on which row, and whether it may. Pure: the rows that `exists`
looks up stand in the case.

    [[case]]
    name = "a stranger reads no draft"
    as = { user = "ben" }
    read = "Note"
    row = { title = "x", author = "ada" }
    expect = "deny"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import Action, AppSpec, EntitySpec, Field, Kind
from pylon.policy.explain import Situation, Verdict, explain
from pylon.policy.names import PolicyNameError
from pylon.policy.rules import EditedRow, EntityPolicy, PolicyError, compile_app_policies, compile_scope

Who = Literal["anonymous", "admin"]


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks."""

    user: str | None = None
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    email: str | None = None
    guest: bool = False
    admin: bool = False

    def identity(self) -> Identity:
        """As policies see it."""
        if self.admin:
            return ADMIN
        return Identity(
            user_id=self.user, is_guest=self.guest, tenant_id=self.tenant, roles=self.roles, email=self.email
        )


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"who": "as"}):
    """One decision. Exactly one of `read`, `insert`, `update` and `delete` names the entity; `new` are the fields that
    an update sets, `edit` the bytes of an edit of the row's document that makes it, `rows` what `exists` finds, by
    entity, and `now` the time."""

    expect: Literal["allow", "deny"]
    who: Person | Who = "anonymous"
    name: str = ""
    read: str | None = None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None
    row: dict[str, Any] = {}
    new: dict[str, Any] = {}
    edit: int | None = None
    rows: dict[str, list[dict[str, Any]]] = {}
    now: datetime | None = None


class Cases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cases."""

    case: tuple[Case, ...] = ()


class CaseError(ValueError):
    """A case that can't be tried; the message says why."""


class Outcome(msgspec.Struct, frozen=True):
    """What a case came to."""

    name: str
    passed: bool
    verdict: Verdict


def try_cases(app: AppSpec, cases: Sequence[Case]) -> list[Outcome]:
    """Try every case. Raises CaseError, PolicyError."""
    policies = compile_app_policies(app)
    types = {entity.name: compile_rows(entity) for entity in app.entities}
    return [_try(case, policies, types) for case in cases]


def _try(case: Case, policies: Mapping[str, EntityPolicy], types: Mapping[str, RowTypes]) -> Outcome:
    asked = [(action, getattr(case, action.value)) for action in Action if getattr(case, action.value)]
    if len(asked) != 1:
        raise CaseError(f"{case.name or 'a case'}: name the entity in one of read, insert, update and delete")
    action, entity = asked[0]
    if entity not in policies:
        raise CaseError(f"{case.name or 'a case'}: there is no entity {entity!r}")
    who = case.who if isinstance(case.who, Person) else None
    identity = who.identity() if who else ADMIN if case.who == "admin" else ANONYMOUS
    row = _row(types[entity], case.row)
    new = _row(types[entity], {**case.row, **case.new}) if action is Action.UPDATE else None
    if action is Action.UPDATE and case.edit is not None:
        row = EditedRow(row, case.edit)

    def exists(name: str, conditions: list[tuple[str, Any]]) -> bool:
        rows = case.rows.get(name, [])
        return any(all(found.get(column) == value for column, value in conditions) for found in rows)

    situation = Situation(identity, row, new, case.now or datetime.now(UTC), exists)
    verdict = explain(policies[entity].rule(action), situation)
    name = case.name or f"{action.value} {entity}"
    return Outcome(name, verdict.allowed is (case.expect == "allow"), verdict)


def _row(types: RowTypes, values: Mapping[str, Any]) -> Any:
    unknown = sorted(set(values) - set(types.columns))
    if unknown:
        raise CaseError(f"{types.entity.name} has no field {unknown[0]!r}")
    defaults = dict(types.literal_defaults + types.hidden_defaults)
    return types.row(**{name: values.get(name, defaults.get(name)) for name in types.columns})


def try_expression(text: str, identity: Identity, row: Mapping[str, Any] | None) -> Verdict:
    """Decide an expression that stands alone, over a row of just these fields (spec 05 §10.7). Raises PolicyError."""
    fields = tuple(
        Field(name=name, kind=_kind(value), optional=True) for name, value in (row or {}).items() if name != "id"
    )
    entity = EntitySpec(name="Row", fields=fields)
    rule = compile_scope(AppSpec(name="test", entities=(entity,)), entity, text)
    types = compile_rows(entity)
    return explain(rule, Situation(identity, _row(types, row or {}), None, datetime.now(UTC), None))


def _kind(value: Any) -> Kind:
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.INT
        case float():
            return Kind.FLOAT
        case list() | dict():
            return Kind.JSON
        case _:
            return Kind.STRING


__all__ = [
    "Case",
    "CaseError",
    "Cases",
    "Outcome",
    "Person",
    "PolicyError",
    "PolicyNameError",
    "try_cases",
    "try_expression",
]
