"""JWTs: short-lived tokens that others can check without asking (spec 03 §2.3).

What Pylon signs names its session (`sid`) and is good while that session is: signing out, revoking and locking end it
at the next request, and roles are those of now. Keys are its own (ES256 or Ed25519, published at
`/.well-known/jwks.json`) or, for older set-ups, a shared secret (HS256). Whoever holds the secret may also sign tokens
without a session; they are good until they expire, and may do nothing to the account itself.

The algorithm belongs to the key and is never read from a token.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.methods.api_key import is_key
from pylon.auth.registry import Method
from pylon.auth.sessions import NOBODY, Session, TokenKind
from pylon.auth.signing_keys import Signer, SigningKeys
from pylon.auth.tokens import token_key
from pylon.engine.caller import Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import SessionRecord, SigningKeyRecord

MAX_TOKEN = 4096
MAX_ROLES = 100
MAX_TEXT = 255
KEY_PREFIX = b"jwt:"

_HOSTS = ("https://www.pylonsync.com/", "https://pylonsync.com/")
_DAY = 86_400
_REMEMBERED = 10_000


class Claims(msgspec.Struct, frozen=True):
    """What a token says, once its signature, issuer and times were checked."""

    sub: str
    exp: float
    sid: str | None = None
    tenant: str | None = None
    roles: tuple[str, ...] | None = None


class _Bare(msgspec.Struct, frozen=True, array_like=True):
    """The key of a token without a session: everything that it stands for, so that nothing need be remembered."""

    sub: str
    exp: float
    tenant: str | None
    roles: tuple[str, ...] | None


class Jwt:
    """The JWTs of one server."""

    def __init__(self, foundation: Foundation) -> None:
        from joserfc import jwt
        from joserfc.errors import JoseError

        self._codec, self._codec_error = jwt, JoseError  # loaded here: only servers with JWTs pay for it
        settings = foundation.settings
        self._engine = foundation.engine
        self._tables = foundation.engine.reads.identity
        self._clock = foundation.engine.clock
        self._sessions = foundation.sessions
        self._registry = foundation.registry
        self._issuer = settings.jwt_issuer or ""
        self._lifetime = settings.jwt_lifetime_secs
        self._secrets = _shared_keys(settings.jwt_secrets)
        chosen = settings.jwt_algorithm
        self._algorithm = chosen.value if chosen is not None else "HS256" if self._secrets else "ES256"
        self.keys = SigningKeys(
            "jwt",
            self._tables,
            foundation.vault,
            self._clock,
            algorithm="ES256" if self._algorithm == "HS256" else self._algorithm,
            lifetime=self._lifetime,
            longest=settings.jwt_key_days * _DAY,
        )
        self._verified: dict[bytes, tuple[str | None, Claims]] = {}
        foundation.sessions.accept(TokenKind("jwt", is_jwt, self._resolve, self._current))

    # -- making --------------------------------------------------------------------------------------------------

    async def mint(self, arrival: Arrival) -> tuple[str, int]:
        """A token of the caller's session, and when it expires."""
        session = arrival.session
        assert session.is_user
        identity, now = session.identity, int(self._clock())
        expires_at = now + self._lifetime
        if session.expires_at:
            expires_at = min(expires_at, session.expires_at)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": identity.user_id,
            "iat": now,
            "exp": expires_at,
            "sid": session.id,
        }
        if identity.tenant_id is not None:
            claims[f"{_HOSTS[0]}tenant"] = identity.tenant_id
        if identity.roles:
            claims[f"{_HOSTS[0]}roles"] = list(identity.roles)
        return self._sign(await self._signer(arrival), claims), expires_at

    def _sign(self, signer: Signer, claims: dict[str, Any]) -> str:
        header = {"alg": signer.algorithm, "typ": "JWT"} | ({"kid": signer.kid} if signer.kid else {})
        return self._codec.encode(header, claims, signer.key, algorithms=[signer.algorithm])

    async def _signer(self, arrival: Arrival) -> Signer:
        if self._algorithm == "HS256":
            return Signer("", "HS256", self._secrets[0])
        signer = self.keys.signing()
        if signer is None or self.keys.is_due(self._tables):
            await self._engine.run(arrival.caller, self.keys.follow, authority=Authority.TRUSTED)
            signer = self.keys.signing()
        assert signer is not None
        return signer

    async def rotate(self, caller: Caller, *, revoke: bool) -> SigningKeyRecord:
        """A new signing key, by an operator; with `revoke` every token that the old ones signed is over now."""

        def change(tx: Transaction) -> SigningKeyRecord:
            made = self.keys.rotate(tx, revoke=revoke)
            tx.note("signing-key.rotate", made.kid, revoke=revoke)
            return made

        return (await self._engine.run(caller, change, authority=Authority.TRUSTED)).value

    @property
    def has_shared_secret(self) -> bool:
        """Whether tokens signed with PYLON_JWT_SECRET are taken."""
        return bool(self._secrets)

    # -- checking ------------------------------------------------------------------------------------------------

    def _resolve(self, token: str) -> Session:
        """Whose token this is. Raises INVALID_JWT, and MAINTENANCE while JWTs are switched off."""
        self._registry.check(METHOD.name)
        claims = self._check(token)
        session = NOBODY if claims is None else self._session(claims)
        if session is NOBODY:
            raise PylonError("INVALID_JWT", "Bearer token is malformed, expired, or revoked")
        return session

    def _check(self, token: str) -> Claims | None:
        """What a token says, None for one that is no good. A signature is checked once; whether its key still is
        good, each time."""
        if len(token) > MAX_TOKEN:
            return None
        name = token_key(token)
        known = self._verified.get(name)
        if known is None:
            known = self._verify(token)
            if known is None:
                return None
            if len(self._verified) >= _REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[name] = known
        elif known[0] is not None and self.keys.verifying(known[0]) is None:
            del self._verified[name]
            return None
        return known[1] if known[1].exp > self._clock() else None

    def _verify(self, token: str) -> tuple[str | None, Claims] | None:
        try:
            header = msgspec.json.decode(_decoded(token.partition(".")[0]))
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return None
        if not isinstance(header, dict) or "crit" in header:
            return None
        kid = header.get("kid")
        held = self.keys.verifying(kid) if kid is not None else None
        signers = [held] if held is not None else [Signer("", "HS256", secret) for secret in self._secrets]
        for signer in signers:
            try:
                decoded = self._codec.decode(token, signer.key, algorithms=[signer.algorithm])
            except (self._codec_error, ValueError, TypeError, RecursionError):
                continue
            claims = self._claims(decoded.claims)
            # What the server's own keys sign has a session, always.
            if claims is not None and (claims.sid is not None or not signer.kid):
                return signer.kid or None, claims
        return None

    def _claims(self, said: dict[str, Any]) -> Claims | None:
        now = self._clock()
        sid, audience = said.get("sid"), said.get("aud", self._issuer)
        sub: Any = said.get("sub")
        exp: Any = said.get("exp")
        if not _is_name(sub) or sub.startswith(("__", "guest_", "op_pylon_")):
            return None
        if not _is_time(exp) or exp <= now or said.get("iss") != self._issuer:
            return None
        if any(name in said and not _is_time(said[name]) for name in ("nbf", "iat")) or said.get("nbf", 0) > now:
            return None
        if self._issuer not in (audience if isinstance(audience, list) else [audience]):
            return None
        if sid is not None and not _is_name(sid):
            return None
        tenant, roles = _namespaced(said, "tenant"), _namespaced(said, "roles")
        if tenant is not None and not _is_name(tenant):
            return None
        if roles is not None and not _are_roles(roles):
            return None
        return Claims(sub, float(exp), sid, tenant, None if roles is None else tuple(roles))

    def _session(self, claims: Claims) -> Session:
        if claims.sid is None:
            return self._bare(_Bare(claims.sub, claims.exp, claims.tenant, claims.roles))
        record = self._tables.one(SessionRecord, id=claims.sid)
        if record is None or record.user_id != claims.sub or record.is_guest:
            return NOBODY
        if record.expires_at and record.expires_at <= self._clock():
            return NOBODY
        session = self._sessions.session_of(record)
        if session is NOBODY:
            return NOBODY
        ends = min(claims.exp, record.expires_at or claims.exp)
        return msgspec.structs.replace(session, expires_at=int(ends), touch_at=None)

    def _current(self, key: bytes) -> Session | None:
        if not key.startswith(KEY_PREFIX):
            return None  # of a token with a session the key is the session's
        return self._bare(msgspec.json.decode(key[len(KEY_PREFIX) :], type=_Bare))

    def _bare(self, said: _Bare) -> Session:
        """What a token without a session stands for, while its user is not locked."""
        identity = self._sessions.identity_of(said.sub, said.tenant) if said.exp > self._clock() else None
        if identity is None:
            return NOBODY
        if said.roles is not None:
            identity = msgspec.structs.replace(identity, roles=said.roles)
        return Session(
            identity=identity,
            key=KEY_PREFIX + msgspec.json.encode(said),
            expires_at=int(said.exp),
            method=METHOD.name,
        )


def _shared_keys(secrets: Sequence[str]) -> tuple[Any, ...]:
    if not secrets:
        return ()
    from joserfc.jwk import OctKey

    return tuple(OctKey.import_key(secret) for secret in secrets)


def is_jwt(token: str) -> bool:
    """Whether a bearer token has the shape of a JWT."""
    parts = token.split(".", 3)
    return len(parts) == 3 and all(parts) and not is_key(token)


def _namespaced(said: dict[str, Any], name: str) -> Any:
    return next((said[host + name] for host in _HOSTS if said.get(host + name) is not None), None)


def _is_name(value: Any) -> bool:
    """A text that may be an id or a role: nothing in it that a store can't hold, such as half a surrogate pair."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _are_roles(roles: Any) -> bool:
    return isinstance(roles, list) and len(roles) <= MAX_ROLES and all(map(_is_name, roles))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_configured(foundation: Foundation) -> bool:
    return foundation.settings.jwt_issuer is not None


METHOD = Method("jwt", "JWT", Jwt, is_configured=_is_configured, needs="Set PYLON_JWT_ISSUER to this server's name")
