"""The one-time proofs that mail carries (spec 03 §7 to §9): what they are called, how long they are good."""

from __future__ import annotations

from pylon.auth.one_time import Kind

CODE = Kind("email_code", 600, cooldown=60)
"""Signs in, verifies an address and completes a registration: whoever reads the mail owns the address, which is its
subject."""

LINK = Kind("magic_link", 900, only_newest=False)
RESET = Kind("password_reset", 1800, only_newest=False)
CHANGE = Kind("email_change", 86_400, only_newest=False)
"""The subject is the address, and the new one for a change. Older ones stay good until one is used, so that nobody can
take a link away from its owner by asking for another."""


def minutes(kind: Kind) -> str:
    """How long it is good, as letters say it."""
    return str(kind.seconds // 60)
