"""Everything about an entity that a request needs, compiled once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pylon.engine.stages import Follower, Stage
from pylon.model.auth_block import auth_block, with_closed_secrets
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import Action, AppSpec, DefaultAuth, DefaultNow, EntitySpec
from pylon.model.sealing import KeyHolder
from pylon.policy.rules import EntityPolicy, Rule, compile_app_policies, compile_scope
from pylon.signals.metrics import Counter, Family

UNKNOWN = "(unknown)"
"""Stands for every entity that isn't declared, among the denials: their names are the client's to invent."""

DENIALS_KEPT = 1024
"""Pairs of entity and action whose denials are counted apart."""


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """`name` is the entity's on the wire; `stamped_now` and `stamped_auth` are fields filled on insert; `owner` those
    that only the caller itself may be written into; `tenant_field` the one that holds a row's tenant; `readonly` and
    `hidden` those that clients may not change, or not write at all. `stages` and `followers` are added to while the
    server is put together, never once it serves."""

    name: str
    spec: EntitySpec
    types: RowTypes
    policy: EntityPolicy
    scope: Rule | None
    stamped_now: tuple[str, ...]
    stamped_auth: tuple[str, ...]
    owner: frozenset[str]
    readonly: frozenset[str]
    hidden: tuple[str, ...]
    tenant_field: str | None
    stages: list[Stage] = field(default_factory=list)
    followers: list[Follower] = field(default_factory=list)


class Plans(Mapping[str, EntityPlan]):
    """The plans of one app by entity name."""

    def __init__(self, app: AppSpec) -> None:
        app = with_closed_secrets(app)
        policies = compile_app_policies(app)
        self.app = app
        self.auth = auth_block(app)
        self.field_keys = KeyHolder()
        self._plans = {
            entity.name: _plan(app, entity, policies[entity.name], self.field_keys) for entity in app.entities
        }
        self.has_sealed = any(plan.types.seals is not None for plan in self._plans.values())
        self.denials = Family(("entity", "action"), Counter, DENIALS_KEPT)
        self._denials_of = {
            policies[name].rule(action): (name, action.value) for name in self._plans for action in Action
        }

    def __getitem__(self, name: str) -> EntityPlan:
        return self._plans[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._plans)

    def __len__(self) -> int:
        return len(self._plans)

    def denied(self, rule: Rule) -> PylonError:
        """POLICY_DENIED by this rule of an entity, counted."""
        self.denials.of(*self._denials_of[rule]).value += 1
        return denied()

    def for_read(self, name: str, identity: Identity) -> EntityPlan:
        """The plan of an entity that is read. Raises ENTITY_NOT_FOUND to admins and POLICY_DENIED to all others,
        who learn nothing of which entities there are."""
        plan = self._plans.get(name)
        if plan is None:
            self.denials.of(UNKNOWN, Action.READ.value).value += 1
            raise unknown_entity(name, identity, status=400)
        return plan

    def for_write(self, name: str, identity: Identity) -> EntityPlan:
        """The same for a write, where the status is 404 (spec 01 §4.6)."""
        plan = self._plans.get(name)
        if plan is None:
            self.denials.of(UNKNOWN, "write").value += 1
            raise unknown_entity(name, identity, status=404)
        return plan


def unknown_entity(name: str, identity: Identity, status: int) -> PylonError:
    """What a caller is told of an entity that isn't there."""
    if identity.is_admin:
        return PylonError("ENTITY_NOT_FOUND", f'Unknown entity: "{name[:100]}"', status=status)
    return denied()


def denied() -> PylonError:
    """POLICY_DENIED, without the policy."""
    return PylonError(
        "POLICY_DENIED",
        "Access denied by policy",
        hint="Check your auth token or the policy rules in your schema",
    )


def _plan(app: AppSpec, entity: EntitySpec, policy: EntityPolicy, keys: KeyHolder) -> EntityPlan:
    return EntityPlan(
        name=entity.name,
        spec=entity,
        types=compile_rows(entity, keys),
        policy=policy,
        scope=compile_scope(app, entity, entity.sync_scope) if entity.sync_scope else None,
        stamped_now=tuple(f.name for f in entity.fields if isinstance(f.default, DefaultNow)),
        stamped_auth=tuple(f.name for f in entity.fields if isinstance(f.default, DefaultAuth)),
        owner=frozenset(f.name for f in entity.fields if f.is_owner),
        readonly=frozenset(f.name for f in entity.fields if f.readonly),
        hidden=tuple(f.name for f in entity.fields if f.is_hidden),
        tenant_field=entity.tenant_field,
    )
