"""A second factor of everybody: of all users of an app (`Auth(second_factor="required")`), or of all members of an
organisation whose `secondFactorRequired` is set (OWASP ASVS 6.3.3).

    session has shown a second factor, or comes from a trusted browser ── yes ──▶ every door
                  │ no
                  └─ held: it may set one up or show it, sign in anew, sign out, and nothing else

What is held keeps neither roles nor organisation, so that what is left open can't be used with them. Who has a second
factor already shows that one: a session that knows a password alone adds none beside it. API keys and tokens that
somebody else signs show nothing themselves; they are held until their user has a second factor.
"""

from __future__ import annotations

import msgspec

from pylon.auth.credentials import OPERATOR, Session
from pylon.auth.profiles import Profiles
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN
from pylon.store.identity import IdentityRows, PasskeyRecord, SessionRecord, TotpRecord

OTP, BACKUP, VERIFIED, ELSEWHERE, DEVICE = "otp", "backup", "uv", "mfa", "device"
"""What counts as a second factor among those of a session: a code of an app, a backup code, a passkey whose device knew
its owner, a provider that was asked for one and says so, a browser that is trusted since it showed one of them."""

PASSKEY = "webauthn"

SHOWN = frozenset({OTP, BACKUP, VERIFIED, ELSEWHERE})
_ENOUGH = SHOWN | {DEVICE}

_OPEN_PATHS = frozenset(
    {
        "/api/auth/me",
        "/api/auth/session",
        "/api/auth/refresh",
        "/api/auth/providers",
        "/api/auth/totp",
        "/api/auth/totp/enroll",
        "/api/auth/totp/verify",
        "/api/auth/totp/login",
        "/api/auth/email/send-verification",
        "/api/auth/email/verify",
        "/api/auth/password/login",
        "/api/auth/password/register",
    }
)
_OPEN_FOLDERS = (
    "/api/auth/passkey/register/",
    "/api/auth/passkey/login/",
    "/api/auth/password/reset/",
    "/api/auth/magic/",
    "/api/auth/magic-link/",
    "/api/auth/login/",
    "/api/auth/callback/",
    "/api/auth/native/",
)
_LEAVING = "/api/auth/select-org"
"""Open to who is held for the sake of an organisation alone: to leave it for another, or for none."""


class DemandedFactor:
    """The gate of one server. `of_everybody` says whether the app demands it, `by_organisations` whether organisations
    may."""

    def __init__(self, tables: IdentityRows, profiles: Profiles, *, of_everybody: bool, by_organisations: bool) -> None:
        self._tables = tables
        self._profiles = profiles
        self.of_everybody = of_everybody
        self.is_on = of_everybody or by_organisations

    def enter(self, path: str, session: Session) -> Session:
        """The session, or what is left of one that is held. Raises SECOND_FACTOR_MISSING."""
        if not self.holds(session):
            return session
        path = path.rstrip("/")
        if path == _LEAVING and not self.of_everybody:
            return session
        if path not in _OPEN_PATHS and not path.startswith(_OPEN_FOLDERS):
            raise self.missing(session)
        bare = msgspec.structs.replace(session.identity, is_admin=False, tenant_id=None, roles=())
        return msgspec.structs.replace(session, identity=bare, lacks_factor=True)

    def holds(self, session: Session) -> bool:
        """Whether a second factor is demanded of this session that it has not shown."""
        identity = session.identity
        if not self.is_on or identity.user_id is None or identity.is_guest or identity == ADMIN:
            return False
        if session.method == OPERATOR:
            return False
        if self.of_everybody or self._profiles.of(identity.user_id, identity.tenant_id).demands_factor:
            return not self.has_shown(session)
        return False

    def holds_record(self, record: SessionRecord) -> bool:
        """The same of a session that was just granted, whatever organisation is active in it."""
        return self.of_everybody and not record.is_guest and not _suffice(record)

    def has_shown(self, session: Session) -> bool:
        """Whether a session has shown a second factor; of what is no session, whether its user has one."""
        if session.id:
            return not _ENOUGH.isdisjoint(session.factors)
        return self._has_one(session.identity.user_id or "")

    def caller_has_shown(self, tx: Transaction) -> bool:
        """The same of whoever runs a transaction."""
        key = tx.caller.session
        record = None if key is None else tx.session.identity.one(SessionRecord, id=key.decode("ascii", "replace"))
        if record is not None:
            return _suffice(record)
        return self._has_one(tx.caller.identity.user_id or "")

    def may_set_up(self, session: Session) -> bool:
        """Whether this session may add a second factor: not beside one that it has not shown."""
        if not self.is_on or PASSKEY in session.factors or self.has_shown(session):
            return True
        return not self._has_one(session.identity.user_id or "")

    def missing(self, session: Session) -> PylonError:
        """What its holder is told; `set_up` lists the second factors that there are to show."""
        user = session.identity.user_id or ""
        there_are = [
            name
            for name, kind in (("totp", TotpRecord), ("passkey", PasskeyRecord))
            if self._tables.find(kind, user_id=user)
        ]
        if there_are:
            message = "Show your second factor first"
        else:
            message = "Everybody here needs a second factor: set one up first"
        return PylonError("SECOND_FACTOR_MISSING", message, extra={"set_up": there_are})

    def keep_one(self, tx: Transaction, user_id: str) -> None:
        """Raise SECOND_FACTOR_DEMANDED unless a user still has a second factor, after one was removed in this
        transaction."""
        tables = tx.session.identity
        if self.of_everybody and not any(tables.find(kind, user_id=user_id) for kind in (TotpRecord, PasskeyRecord)):
            raise PylonError("SECOND_FACTOR_DEMANDED", "Everybody here needs a second factor: set up another first")

    def _has_one(self, user_id: str) -> bool:
        return any(self._tables.find(kind, user_id=user_id) for kind in (TotpRecord, PasskeyRecord))


def _suffice(record: SessionRecord) -> bool:
    return not _ENOUGH.isdisjoint(record.factors.split(","))
