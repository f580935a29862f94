"""Who may do what to whom: every combination of roles, and walks through whole lives of an organisation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pylon.auth.organisations import rules
from pylon.auth.organisations.rules import ADMIN, MEMBER, OWNER

ROLES = (OWNER, ADMIN, MEMBER, "billing")
roles = st.sampled_from(ROLES)
counts = st.integers(1, 5)


@given(actor=roles.filter(lambda role: role != OWNER), target=roles, role=roles, owners=counts)
def test_nobody_but_an_owner_makes_demotes_removes_or_invites_an_owner(
    actor: str, target: str, role: str, owners: int
) -> None:
    assert rules.inviting(actor, OWNER) == "FORBIDDEN"
    assert rules.changing(actor, target, OWNER, owners) == "FORBIDDEN"
    assert rules.changing(actor, OWNER, role, owners) == "FORBIDDEN"
    assert rules.removing(actor, OWNER, owners, is_self=False) == "FORBIDDEN"
    assert rules.transferring(actor, is_self=False) == "FORBIDDEN"
    assert rules.deleting(actor) == "FORBIDDEN"


@given(actor=st.sampled_from((MEMBER, "billing")), target=roles, role=roles, owners=counts)
def test_members_and_an_apps_own_roles_may_only_leave(actor: str, target: str, role: str, owners: int) -> None:
    refusals = {
        rules.managing(actor),
        rules.inviting(actor, role),
        rules.changing(actor, target, role, owners),
        rules.removing(actor, target, owners, is_self=False),
    }
    assert refusals == {"FORBIDDEN"}
    assert rules.removing(actor, actor, owners, is_self=True) is None


@given(actor=st.sampled_from((OWNER, ADMIN)), target=roles, role=roles)
def test_the_last_owner_stays_whoever_asks(actor: str, target: str, role: str) -> None:
    assert rules.removing(OWNER, OWNER, 1, is_self=True) == "LAST_OWNER"
    if role != OWNER:
        assert rules.changing(OWNER, OWNER, role, 1) == "LAST_OWNER"
        assert rules.changing(OWNER, OWNER, role, 2) is None
    if OWNER not in (target, role):
        assert rules.changing(actor, target, role, 1) is None
        assert rules.removing(actor, target, 1, is_self=False) is None


steps = st.tuples(
    st.sampled_from(("invite", "change", "remove", "transfer")), st.integers(0, 5), st.integers(0, 5), roles
)


@given(st.lists(steps, max_size=60))
def test_whatever_members_try_there_is_an_owner_and_only_owners_touch_owners(
    tried: list[tuple[str, int, int, str]],
) -> None:
    members = {0: OWNER}
    for verb, who, whom, role in tried:
        before = dict(members)
        actor, target = members.get(who), members.get(whom)
        if actor is None:
            continue
        owners = list(members.values()).count(OWNER)
        if verb == "invite" and target is None and rules.inviting(actor, role) is None:
            members[whom] = role
        elif target is None:
            continue
        elif verb == "change" and rules.changing(actor, target, role, owners) is None:
            members[whom] = role
        elif verb == "remove" and rules.removing(actor, target, owners, is_self=who == whom) is None:
            del members[whom]
        elif verb == "transfer" and rules.transferring(actor, is_self=who == whom) is None:
            members[whom], members[who] = OWNER, ADMIN
        assert OWNER in members.values()
        was, now = ({m for m, held in state.items() if held == OWNER} for state in (before, members))
        assert was == now or before[who] == OWNER
