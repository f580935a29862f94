"""Where an app's rows name users, and what becomes of such a row when the user is erased."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from pylon.engine.plan import EntityPlan, Plans
from pylon.model.schema import Field, Kind

_OWNERS = frozenset(("userId", "user_id", "authorId", "author_id", "ownerId", "owner_id", "createdBy", "created_by"))
"""Names that say whose row it is, whatever the field's type (spec 01 §6.4)."""


class Fate(enum.StrEnum):
    """A row is the user's and goes; it is another's and forgets the user; it can't and stays."""

    DELETE = "delete"
    CLEAR = "clear"
    KEEP = "keep"


class Reference(msgspec.Struct, frozen=True):
    """A field that names users."""

    entity: str
    field: str
    fate: Fate


def references(plans: Plans) -> tuple[Reference, ...]:
    """Every field of type id(User), every owner field, and every text whose name says that it names a user."""
    return tuple(_references(plans))


def _references(plans: Plans) -> Iterator[Reference]:
    block = plans.auth
    for name, plan in plans.items():
        for field in plan.spec.fields:
            is_reference = field.kind is Kind.ID and field.target == block.user.entity
            is_named = field.kind in (Kind.STRING, Kind.ID) and (field.name in _OWNERS or field.name in plan.owner)
            if not field.encrypted and (is_reference or (is_named and name != block.user.entity)):
                if field.kind is Kind.ID and field.target != block.user.entity:
                    continue
                yield Reference(name, field.name, _fate(plans, plan, field))


def _fate(plans: Plans, plan: EntityPlan, field: Field) -> Fate:
    org = plans.auth.org
    if plan.name == org.entity:  # it is its members', whoever made it
        return Fate.CLEAR if field.optional else Fate.KEEP
    if plan.name == org.invite_entity:
        return Fate.DELETE
    if field.on_delete is not None and field.on_delete.value == "set_null":
        return Fate.CLEAR
    if field.on_delete is not None and field.on_delete.value == "cascade":
        return Fate.DELETE
    is_owner = field.name in _OWNERS or field.name in plan.owner
    return Fate.DELETE if is_owner or not field.optional else Fate.CLEAR
