"""Operators with a name and a password of their own, so that the audit log tells who of several it was (spec 03 §5).

An account is no user of the app: it opens Studio and the admin API behind it, nothing else. Its password is kept as
argon2id, its authenticator app, where it has one, as users' are. A new password, and removing the account, end its
sessions. Which names there are shows in no answer and in no time to a stranger.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import pyotp

from pylon.auth.arrival import Arrival
from pylon.auth.hashing import Hashing
from pylon.auth.limiter import Limiter, Step
from pylon.auth.passwords import Passwords
from pylon.auth.vault import Vault
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.store.identity import TotpRecord

KIND = "operator-account"
MAX_OPERATORS = 200
USER_PREFIX = "op_pylon_"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_SECRET = "totp"  # noqa: S105 - a purpose of the key ring


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `stamp` changes with the password: sessions of another one are over."""

    name: str
    password: str
    stamp: str
    created_at: int
    changed_at: int
    has_app: bool = False


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    """An account without its secrets. Times are ISO 8601."""

    username: str
    user_id: str
    created_at: str
    password_changed_at: str
    second_factor: bool


class App(msgspec.Struct, frozen=True):
    """What an authenticator app is set up with, shown this once."""

    secret: str
    url: str


class Codes(Protocol):
    """Checks codes of authenticator apps."""

    def use(self, tx: Transaction, user_id: str, code: str) -> str | None:
        """Use a code up; None for a wrong one."""


class OperatorAccounts:
    """The accounts of one server."""

    def __init__(
        self, engine: Engine, vault: Vault, hashing: Hashing, limiter: Limiter, passwords: Passwords, codes: Codes
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._hashing = hashing
        self._limiter = limiter
        self._passwords = passwords
        self._codes = codes

    def get(self, name: str) -> Account | None:
        """The account of this name."""
        raw = self._engine.reads.record(KIND, _key(name)) if _NAME.match(name) else None
        return None if raw is None else msgspec.json.decode(raw, type=Account)

    def all(self) -> list[Account]:
        """Every account, by name."""
        return [msgspec.json.decode(raw, type=Account) for _, raw in self._engine.reads.records(KIND)]

    async def create(self, caller: Caller, name: str, password: str, *, with_app: bool) -> tuple[Account, App | None]:
        """A new account; with an authenticator app what to set it up with. Raises OPERATOR_INVALID, WEAK_PASSWORD,
        PWNED_PASSWORD."""
        if not _NAME.match(name):
            raise PylonError(
                "OPERATOR_INVALID",
                "invalid username: only letters, digits, '.', '-' and '_' are allowed, at most 64 of them",
            )
        if len(self.all()) >= MAX_OPERATORS:
            raise PylonError("OPERATOR_INVALID", f"There are at most {MAX_OPERATORS} operators", status=409)
        hashed = await self._hashed(name, password)
        secret = pyotp.random_base32() if with_app else ""
        now = int(self._engine.clock())
        account = Account(
            name=name,
            password=hashed,
            stamp=secrets.token_hex(8),
            created_at=now,
            changed_at=now,
            has_app=with_app,
        )

        def store(tx: Transaction) -> None:
            if tx.session.record(KIND, _key(name)) is not None:
                raise PylonError("OPERATOR_INVALID", f"There is an operator {name} already", status=409)
            _put(tx, account)
            if with_app:
                user = user_id(name)
                sealed = self._vault.seal(_SECRET, secret, user)
                tx.session.identity.put(TotpRecord(user_id=user, secret=sealed, verified_at=now, created_at=now))
            tx.note("operator.create", name, second_factor=with_app)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        issuer = f"{self._engine.app.name} Studio"
        app = App(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)) if with_app else None
        return account, app

    async def change_password(self, caller: Caller, name: str, password: str) -> Account:
        """Another password; the account's sessions end. Raises OPERATOR_NOT_FOUND, WEAK_PASSWORD, PWNED_PASSWORD."""
        if self.get(name) is None:
            raise _missing()
        hashed = await self._hashed(name, password)

        def store(tx: Transaction) -> Account:
            raw = tx.session.record(KIND, _key(name))
            if raw is None:
                raise _missing()
            changed = msgspec.structs.replace(
                msgspec.json.decode(raw, type=Account),
                password=hashed,
                stamp=secrets.token_hex(8),
                changed_at=int(self._engine.clock()),
            )
            _put(tx, changed)
            tx.note("operator.password", name)
            return changed

        return (await self._engine.run(caller, store, authority=Authority.TRUSTED)).value

    async def remove(self, caller: Caller, name: str) -> None:
        """Remove an account; its sessions end. Raises OPERATOR_NOT_FOUND."""

        def store(tx: Transaction) -> None:
            if not tx.session.delete_record(KIND, _key(name)):
                raise _missing()
            tx.session.identity.remove(TotpRecord, user_id=user_id(name))
            tx.note("operator.remove", name)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)

    async def check(self, arrival: Arrival, name: str, password: str, code: str) -> Account | None:
        """The account whose name, password and code these are; None for whatever is wrong. Raises RATE_LIMITED,
        OVERLOADED."""
        limited = f"operator {name[:64].lower()}"
        await self._limiter.take(Step.LOGIN, arrival, limited)
        account = self.get(name)
        verdict = await self._hashing.verify(None if account is None else account.password, password)

        def use(tx: Transaction) -> bool:
            if account is None or not verdict.ok:
                return False
            if account.has_app and self._codes.use(tx, user_id(account.name), code) is None:
                return False
            self._limiter.succeeded(tx, Step.LOGIN, arrival, limited)
            return True

        if (await self._engine.run(arrival.caller, use, authority=Authority.TRUSTED)).value:
            return account
        await self._limiter.failed(Step.LOGIN, arrival, limited)
        return None

    async def _hashed(self, name: str, password: str) -> str:
        return await self._hashing.hash(await self._passwords.accept(password, (name,)))


def user_id(name: str) -> str:
    """What the audit log calls an operator."""
    return f"{USER_PREFIX}{name}"


def identity_of(name: str) -> Identity:
    """Who an operator is to the rooms below: an admin with a name."""
    return Identity(user_id=user_id(name), is_admin=True, roles=("admin",))


def shown(account: Account) -> Shown:
    """An account as others may see it."""
    return Shown(
        username=account.name,
        user_id=user_id(account.name),
        created_at=_iso(account.created_at),
        password_changed_at=_iso(account.changed_at),
        second_factor=account.has_app,
    )


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(name: str) -> str:
    """Names differ by more than the case of their letters."""
    return name.lower()


def _put(tx: Transaction, account: Account) -> None:
    tx.session.put_record(KIND, _key(account.name), msgspec.json.encode(account))


def _missing() -> PylonError:
    return PylonError("OPERATOR_NOT_FOUND", "There is no such operator")


def described(account: Account, app: App | None) -> dict[str, Any]:
    """The answer that makes an account."""
    made: dict[str, Any] = msgspec.to_builtins(shown(account))
    return made | ({"totp": msgspec.to_builtins(app)} if app is not None else {})
