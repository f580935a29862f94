"""Who may do what to whom in an organisation (spec 03 §12): every rule, and nothing else.

    owner   everything; there is always one at least
    admin   manages members, invitations and the name; never makes, demotes, removes or invites an owner
    others  see the organisation and its members, and may leave; an app's own roles give no right here

Each function answers the code of the error that refuses, None for allowed.
"""

from __future__ import annotations

OWNER, ADMIN, MEMBER = "owner", "admin", "member"


def manages(role: str | None) -> bool:
    """Whether this role manages members."""
    return role in (OWNER, ADMIN)


def managing(actor: str) -> str | None:
    """Changing the name, seeing and taking back invitations."""
    return None if manages(actor) else "FORBIDDEN"


def deleting(actor: str) -> str | None:
    """Deleting the organisation."""
    return None if actor == OWNER else "FORBIDDEN"


def demanding(actor: str) -> str | None:
    """Demanding a second factor of every member, or no longer."""
    return None if actor == OWNER else "FORBIDDEN"


def inviting(actor: str | None, role: str) -> str | None:
    """Inviting or adding somebody as this role."""
    return None if manages(actor) and (role != OWNER or actor == OWNER) else "FORBIDDEN"


def changing(actor: str, target: str, role: str, owners: int) -> str | None:
    """Giving a member of role `target` another role, where there are so many owners."""
    if not manages(actor) or (OWNER in (target, role) and actor != OWNER):
        return "FORBIDDEN"
    return losing_owner(target, role, owners)


def removing(actor: str, target: str, owners: int, *, is_self: bool) -> str | None:
    """Removing a member, or leaving."""
    if not is_self and (not manages(actor) or (target == OWNER and actor != OWNER)):
        return "FORBIDDEN"
    return losing_owner(target, None, owners)


def transferring(actor: str, *, is_self: bool) -> str | None:
    """Making somebody else the owner in one's own place."""
    return None if actor == OWNER and not is_self else "FORBIDDEN"


def losing_owner(target: str, role: str | None, owners: int) -> str | None:
    """A member of role `target` getting this role, or leaving for None: the last owner stays."""
    return "LAST_OWNER" if target == OWNER and role != OWNER and owners <= 1 else None
