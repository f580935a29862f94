"""How many requests are answered at once: load beyond that is turned away at the door, before it costs anything."""

from __future__ import annotations

from dataclasses import dataclass

from pylon.model.errors import PylonError


@dataclass(frozen=True, slots=True)
class Caps:
    """At the same time in all, and of one address; 0 is no limit."""

    total: int = 0
    per_address: int = 0


class Admission:
    """Counts what is under way by address. `refused` counts who was turned away."""

    __slots__ = ("_addresses", "_caps", "_code", "refused", "under_way")

    def __init__(self, caps: Caps, code: str) -> None:
        self._caps = caps
        self._code = code
        self._addresses: dict[str, int] = {}
        self.under_way = 0
        self.refused = 0

    def enter(self, ip: str) -> None:
        """Count one in; `leave` must follow. Raises the code that this admission was made with."""
        caps = self._caps
        held = self._addresses.get(ip, 0)
        if (caps.total and self.under_way >= caps.total) or (caps.per_address and held >= caps.per_address):
            self.refused += 1
            raise PylonError(
                self._code,
                "Server is at its per-IP or global concurrency cap. Retry shortly.",
                status=503,
                headers={"Retry-After": "1"},
            )
        self._addresses[ip] = held + 1
        self.under_way += 1

    def leave(self, ip: str) -> None:
        """Count one out."""
        self.under_way -= 1
        if (left := self._addresses[ip] - 1) > 0:
            self._addresses[ip] = left
        else:
            del self._addresses[ip]
