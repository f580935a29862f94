"""Keys that tokens are signed with: made by the server, sealed at rest, published as a JWK set, rotated.

    made ──AHEAD_SECONDS──▶ signs ──the next one signs──▶ verifies ──the last token it signed is over──▶ retired

So who verifies has a new key before it sees a token of it, and no token outlives the key that it needs. After a leak
there is no time for that: `revoke` retires every key there was, and each token that they signed, at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.auth.vault import Vault
from pylon.engine.transaction import Transaction
from pylon.store.identity import IdentityRows, SigningKeyRecord

AHEAD_SECONDS = 300
"""How long a key is published before it signs: what verifiers may cache the set for."""

LEEWAY_SECONDS = 60
ALGORITHMS = ("ES256", "Ed25519")

_SECRET = "signing key"  # noqa: S105 - a purpose of the key ring
_KEPT_SECONDS = 30 * 86_400
_MAX_KID = 64


class Signer(msgspec.Struct, frozen=True):
    """A key that signs or verifies now, and with which algorithm and no other."""

    kid: str
    algorithm: str
    key: Any


class SigningKeys:
    """The keys of one use, such as `jwt`. `lifetime` is how long the longest token lives that they sign, `longest` how
    long a key signs before the next one is due, in seconds; 0 is for ever."""

    def __init__(
        self,
        use: str,
        tables: IdentityRows,
        vault: Vault,
        clock: Callable[[], float],
        *,
        algorithm: str,
        lifetime: int,
        longest: int,
    ) -> None:
        assert algorithm in ALGORITHMS
        self._use = use
        self._tables = tables
        self._vault = vault
        self._clock = clock
        self._algorithm = algorithm
        self._lifetime = lifetime
        self._longest = longest
        self._private: dict[str, Any] = {}
        self._public: dict[str, Any] = {}

    def signing(self) -> Signer | None:
        """The key that signs now; None before there is one."""
        held = self._ready(self._tables)
        if held is None:
            return None
        if held.kid not in self._private:
            plain = self._vault.open(_SECRET, held.private, held.kid)
            self._private = {held.kid: _imported(plain)}
        return Signer(held.kid, held.algorithm, self._private[held.kid])

    def is_due(self, tables: IdentityRows) -> bool:
        """Whether the newest key has signed for long enough."""
        newest = next(iter(tables.find(SigningKeyRecord, use=self._use)), None)
        return newest is None or (bool(self._longest) and self._clock() - newest.created_at > self._longest)

    def verifying(self, kid: object) -> Signer | None:
        """The key of this name, while it verifies."""
        if not isinstance(kid, str) or len(kid) > _MAX_KID:
            return None
        held = self._tables.one(SigningKeyRecord, kid=kid, use=self._use)
        if held is None or _is_retired(held, self._clock()):
            return None
        if kid not in self._public:
            self._public[kid] = _imported(held.public)
        return Signer(kid, held.algorithm, self._public[kid])

    def published(self) -> list[dict[str, Any]]:
        """The set that verifiers read: every key whose tokens may be met, the public halves."""
        now = self._clock()
        return [
            {**msgspec.json.decode(held.public), "kid": held.kid, "alg": held.algorithm, "use": "sig"}
            for held in self.all()
            if not _is_retired(held, now)
        ]

    def all(self) -> list[SigningKeyRecord]:
        """Every key, retired ones of the last month too, newest first."""
        return self._tables.find(SigningKeyRecord, use=self._use)

    def follow(self, tx: Transaction) -> None:
        """The next key where one is due, which another request or process may have seen to meanwhile."""
        if self._ready(tx.session.identity) is None or self.is_due(tx.session.identity):
            self.rotate(tx)

    def rotate(self, tx: Transaction, *, revoke: bool = False) -> SigningKeyRecord:
        """A new key, in this transaction. It follows the one that signs now, or with `revoke` replaces all at once."""
        tables, now = tx.session.identity, int(self._clock())
        follows = not revoke and self._ready(tables) is not None
        active_at = now + AHEAD_SECONDS if follows else now
        ends = now if revoke else active_at + self._lifetime + LEEWAY_SECONDS
        for held in tables.find(SigningKeyRecord, use=self._use):
            if held.retired_at and held.retired_at < now - _KEPT_SECONDS:
                tables.remove(SigningKeyRecord, kid=held.kid)
            elif not held.retired_at or held.retired_at > ends:
                tables.change(SigningKeyRecord, {"retired_at": ends}, kid=held.kid)
        made = self._make(now, active_at)
        tables.put(made)
        return made

    def _ready(self, tables: IdentityRows) -> SigningKeyRecord | None:
        """The newest key whose time to sign has come."""
        now = self._clock()
        ready = [
            held
            for held in tables.find(SigningKeyRecord, use=self._use, algorithm=self._algorithm)
            if held.active_at <= now and not _is_retired(held, now)
        ]
        return max(ready, key=lambda held: (held.active_at, held.created_at), default=None)

    def _make(self, now: int, active_at: int) -> SigningKeyRecord:
        from joserfc.jwk import ECKey, OKPKey

        kid = "sig_" + secrets.token_hex(8)
        key = ECKey.generate_key("P-256") if self._algorithm == "ES256" else OKPKey.generate_key("Ed25519")
        return SigningKeyRecord(
            kid=kid,
            use=self._use,
            algorithm=self._algorithm,
            public=msgspec.json.encode(key.as_dict(private=False)).decode(),
            private=self._vault.seal(_SECRET, msgspec.json.encode(key.as_dict(private=True)), kid),
            created_at=now,
            active_at=active_at,
        )


def _imported(jwk: bytes | str) -> Any:
    from joserfc.jwk import import_key

    return import_key(msgspec.json.decode(jwk))


def _is_retired(held: SigningKeyRecord, now: float) -> bool:
    return bool(held.retired_at) and held.retired_at <= now
