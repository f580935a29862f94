"""Which kill-switches a connected client is told of: those that concern it, and no name that it could not use anyway.

An entity or function is named to whom some rule could let use it. Ways to sign in and uploads are named to everybody;
a switch on the writes of a user, an address or of callers without a session to those whose writes it refuses, without
the network that it covers. Admins pass every switch and are told of none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pylon.engine.limits.switch import Blocks, Scope, Switch, covers
from pylon.engine.plan import EntityPlan, Plans
from pylon.model.identity import Identity
from pylon.model.schema import Action, FunctionSpec
from pylon.policy.audience import ByIdentity, ByKey, Key, Nobody
from pylon.policy.rules import Rule


class Audience:
    """Whom a switch concerns, by what an app declares."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._functions = {function.name: function for function in plans.app.functions}

    def concerns(self, switch: Switch, identity: Identity, ip: str) -> bool:
        """Whether somebody at an address is told of a switch and lives on with it."""
        if identity.is_admin:
            return False
        match switch.scope:
            case Scope.READ_ONLY | Scope.AUTH | Scope.UPLOADS:
                return True
            case Scope.ENTITY:
                plan = self._plans.get(switch.target)
                return plan is not None and _may_use(plan, identity)
            case Scope.FUNCTION:
                function = self._functions.get(switch.target)
                return function is not None and _may_call(function, identity)
            case Scope.USER:
                return switch.blocks is Blocks.WRITES and identity.user_id == switch.target
            case Scope.IP:
                return switch.blocks is Blocks.WRITES and covers(switch.target, ip)
            case Scope.ANONYMOUS:
                return switch.blocks is Blocks.WRITES and identity.user_id is None
            case Scope.SERVER | Scope.SYNC:
                return False  # nobody lives on with these


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


def _may_use(plan: EntityPlan, identity: Identity) -> bool:
    return any(_may_pass(plan.policy.rule(action), identity) for action in Action)


def _may_pass(rule: Rule, identity: Identity) -> bool:
    """Whether a rule could let somebody pass, for some row."""
    audience = rule.audience
    if isinstance(audience, Nobody):
        return False
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
