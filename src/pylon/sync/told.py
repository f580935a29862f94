"""Which kill-switches a connected client is told of: those that concern it, and no name that it could not use anyway.

An entity or function is named to whom some rule could let use it. Ways to sign in and uploads are named to everybody;
a switch on the writes of a user, an address or of callers without a session to those whose writes it refuses, without
the network that it covers. Admins pass every switch and are told of none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pylon.engine.limits.switch import Blocks, Scope, Switch
from pylon.engine.plan import EntityPlan, Plans
from pylon.model.identity import Identity
from pylon.model.schema import Action, FunctionSpec
from pylon.policy.audience import ByIdentity, ByKey, Everyone, Key, Nobody
from pylon.policy.rules import Rule
from pylon.sync.connection import within

Predicate = Callable[[Identity, str], bool]
"""Whether somebody at an address is told of a switch and lives on with it."""


class Audience:
    """Whom a switch concerns, by what an app declares."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._functions = {function.name: function for function in plans.app.functions}

    def of(self, switch: Switch) -> Predicate:
        """Compiled once for each switch: it is asked for every connection."""
        target, is_partial = switch.target, switch.blocks is Blocks.WRITES
        match switch.scope:
            case Scope.READ_ONLY | Scope.AUTH | Scope.UPLOADS:
                return _everybody
            case Scope.ENTITY if (plan := self._plans.get(target)) is not None:
                return _users_of(plan)
            case Scope.FUNCTION if (function := self._functions.get(target)) is not None:
                return lambda identity, ip: not identity.is_admin and _may_call(function, identity)
            case Scope.USER if is_partial:
                return lambda identity, ip: not identity.is_admin and identity.user_id == target
            case Scope.IP if is_partial:
                is_there = within(target)
                return lambda identity, ip: not identity.is_admin and is_there(ip)
            case Scope.ANONYMOUS if is_partial:
                return lambda identity, ip: not identity.is_admin and identity.user_id is None
            case _:  # the server or sync, which nobody lives on with; whoever is kept out; what the app has no longer
                return _nobody


def _everybody(identity: Identity, ip: str) -> bool:
    return not identity.is_admin


def _nobody(identity: Identity, ip: str) -> bool:
    return False


def frame_of(switch: Switch) -> dict[str, Any]:
    """What clients are told of a switch that is on; `until` is in Unix seconds, null where that is open."""
    told: dict[str, Any] = {"type": "maintenance", "on": True, "scope": switch.scope.value}
    if is_part(switch):
        told |= {"type": "switch", "target": _target(switch), "blocks": switch.blocks.value}
    return told | {
        "reason": switch.reason,
        "retry_after": switch.retry_after,
        "until": switch.expires_at or None,
    }


def end_frame_of(switch: Switch) -> dict[str, Any]:
    """The same of a part that works again."""
    return {"type": "switch", "on": False, "scope": switch.scope.value, "target": _target(switch)}


def is_part(switch: Switch) -> bool:
    """Whether a part of the server is off and clients live on, rather than all of it, sync or writes."""
    if switch.scope is Scope.ANONYMOUS:
        return switch.blocks is Blocks.WRITES
    return switch.scope not in (Scope.SERVER, Scope.SYNC, Scope.READ_ONLY)


def _target(switch: Switch) -> str:
    return "" if switch.scope is Scope.IP else switch.target


def _users_of(plan: EntityPlan) -> Predicate:
    rules = [plan.policy.rule(action) for action in Action]
    if any(isinstance(rule.audience, Everyone) for rule in rules):
        return _everybody
    rules = [rule for rule in rules if not isinstance(rule.audience, Nobody)]
    return lambda identity, ip: not identity.is_admin and any(_may_pass(rule, identity) for rule in rules)


def _may_pass(rule: Rule, identity: Identity) -> bool:
    """Whether a rule could let somebody pass, for some row."""
    audience = rule.audience
    if isinstance(audience, ByKey):
        return any(_has(key, identity) for key in audience.keys)
    if isinstance(audience, ByIdentity) and not rule.uses_exists:
        return rule.allows(identity, None, now=datetime.now(UTC))
    return True


def _has(key: Key, identity: Identity) -> bool:
    return bool(identity.roles) if key.member == "role" else getattr(identity, key.member) is not None


def _may_call(function: FunctionSpec, identity: Identity) -> bool:
    if function.internal or function.auth == "admin":
        return False
    if function.auth == "public":
        return True
    return identity.user_id is not None and (function.auth == "guest" or not identity.is_guest)
