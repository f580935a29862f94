"""Limits on the steps of signing in (spec 03 §26): by address, by account, and a back-off that can't be used against a
victim. Kept in the store, so that all processes share them and a restart forgives nothing.

Wrong tries slow down one network at one account, ever longer. The limit of an account as a whole stops guessing that is
spread over many networks; networks that the account has signed in from before are let through it, so whoever guesses
locks out nobody but strangers.
"""

from __future__ import annotations

import enum
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pylon.auth.arrival import Arrival
from pylon.auth.vault import Vault
from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import KnownPlaceRecord, RateRecord

MINUTE, HOUR = 60.0, 3600.0
FREE_FAILURES = 3
"""Wrong tries of one network at one account before it has to wait."""

LONGEST_WAIT = 900
_REMEMBERED = 20_000
_KIND = "limit"


class Step(enum.StrEnum):
    """What is limited: proving something, having something sent, checking a code or an answer, making an account,
    asking for a challenge, coming as a guest, and inviting somebody."""

    LOGIN = "login"
    SEND = "send"
    VERIFY = "verify"
    REGISTER = "register"
    NONCE = "nonce"
    GUEST = "guest"
    INVITE = "invite"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often: of one address in a minute, for one account in an hour. 0 is no limit."""

    per_address: int = 0
    per_account: int = 0


class Limiter:
    """The limits of one server. Use on its loop."""

    def __init__(
        self, engine: Engine, vault: Vault, rates: Mapping[Step, Rate], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._rates = dict(rates)
        self._clock = clock
        self._refused: dict[bytes, float] = {}
        self.refusals: dict[str, int] = dict.fromkeys(Step, 0)

    async def take(self, step: Step, arrival: Arrival, account: str | None = None) -> None:
        """Count one try of this step, from this address and for this account (a normalised address, a user id). Raises
        RATE_LIMITED, alike for accounts that exist and those that don't."""
        rate = self._rates.get(step, Rate())
        wanted: list[tuple[str, bytes, float, int]] = []
        if rate.per_address and arrival.ip:
            wanted.append((f"{step}:ip", self._key(step, _address(arrival.ip)), MINUTE, rate.per_address))
        whole = pair = place = None
        if account is not None and rate.per_account:
            whole = self._key(step, f"account {account}")
            pair, place = self._pair(step, arrival, account), self._place(arrival, account)
            wanted.append((f"{step}:account", whole, HOUR, rate.per_account))
        now = self._clock()
        for key in (*(key for _, key, _, _ in wanted if key != whole), *([pair] if pair else [])):
            self._still_refused(step, key, now)
        if not wanted:
            return

        def count(tx: Transaction) -> tuple[bytes, float] | None:
            tables = tx.session.identity
            if pair is not None:
                held = tables.one(RateRecord, bucket=f"{step}:pair", key=pair)
                if held is not None and held.until > now:
                    return pair, held.until
            for bucket, key, period, number in wanted:
                held = tables.one(RateRecord, bucket=bucket, key=key)
                until = max(held.until if held is not None else 0.0, now) + period / number
                if until - now > period + 1e-6:
                    is_known = (
                        key == whole
                        and place is not None
                        and tables.one(KnownPlaceRecord, account=place[0], network=place[1])
                    )
                    if not is_known:
                        return key, until - period
                    continue
                tables.put(RateRecord(bucket=bucket, key=key, until=until, at=int(now)))
            return None

        refused = (await self._engine.run(SYSTEM, count, authority=Authority.TRUSTED)).value
        if refused is not None:
            key, until = refused
            if key != whole:  # the account's own limit depends on who asks
                if len(self._refused) >= _REMEMBERED:
                    del self._refused[next(iter(self._refused))]
                self._refused[key] = until
            raise self._limited(step, until - now)

    async def failed(self, step: Step, arrival: Arrival, account: str) -> None:
        """A try was wrong: this network waits longer before it may try this account again."""
        if not self._rates.get(step, Rate()).per_account:
            return
        pair = self._pair(step, arrival, account)
        now = self._clock()

        def note(tx: Transaction) -> None:
            tables = tx.session.identity
            held = tables.one(RateRecord, bucket=f"{step}:pair", key=pair)
            is_recent = held is not None and now - held.at < 24 * HOUR
            failures = (held.failures if held is not None and is_recent else 0) + 1
            wait = 0 if failures <= FREE_FAILURES else min(2 ** min(failures - FREE_FAILURES, 20), LONGEST_WAIT)
            tables.put(RateRecord(bucket=f"{step}:pair", key=pair, until=now + wait, failures=failures, at=int(now)))

        await self._engine.run(SYSTEM, note, authority=Authority.TRUSTED)

    def succeeded(self, tx: Transaction, step: Step, arrival: Arrival, account: str) -> None:
        """A try was right, in the transaction of what follows: the network is known at this account from now on."""
        if not self._rates.get(step, Rate()).per_account:
            return
        tables = tx.session.identity
        pair = self._pair(step, arrival, account)
        tables.remove(RateRecord, bucket=f"{step}:pair", key=pair)
        self._refused.pop(pair, None)
        owner, network = self._place(arrival, account)
        tables.put(KnownPlaceRecord(account=owner, network=network, at=int(self._clock())))

    def _still_refused(self, step: Step, key: bytes, now: float) -> None:
        """A flood is turned away without asking the store."""
        until = self._refused.get(key)
        if until is None:
            return
        if until > now:
            raise self._limited(step, until - now)
        self._refused.pop(key, None)

    def _limited(self, step: Step, wait: float) -> PylonError:
        self.refusals[step] += 1
        seconds = max(1, math.ceil(wait))
        return PylonError(
            "RATE_LIMITED",
            "Too many attempts. Try again later.",
            hint=f"Try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
            extra={"retry_after_secs": seconds},
        )

    def _key(self, step: Step, text: str) -> bytes:
        return self._vault.hash(_KIND, f"{step} {text}")

    def _pair(self, step: Step, arrival: Arrival, account: str) -> bytes:
        return self._key(step, f"pair {network_of(arrival.ip)} {account}")

    def _place(self, arrival: Arrival, account: str) -> tuple[bytes, bytes]:
        return self._vault.hash("account", account), self._vault.hash("network", network_of(arrival.ip))


def network_of(ip: str) -> str:
    """The network of an address: /24 of IPv4, /56 of IPv6; the text itself for what is neither."""
    address = _parsed(ip)
    if address is None:
        return ip
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 56), strict=False))


def _parsed(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _address(ip: str) -> str:
    """What counts as one address: a household has a whole /64 of IPv6."""
    address = _parsed(ip)
    if address is None:
        return ip
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
