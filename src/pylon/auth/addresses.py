"""Which e-mail addresses may be signed up with: throw-away domains are refused (spec 03 §26)."""

from __future__ import annotations

from collections.abc import Iterable

from pylon.auth.users import normal_email
from pylon.model.errors import PylonError


class Addresses:
    """The rules of one server. The list of domains is read when it is first needed."""

    def __init__(self, *, is_on: bool = True, extra: Iterable[str] = ()) -> None:
        self._is_on = is_on
        self._extra = frozenset(domain.strip().lower().lstrip("@.") for domain in extra)
        self._listed: frozenset[str] | None = None

    def accept(self, text: str) -> str:
        """The normal form of an address that an account may be made with. Raises INVALID_EMAIL, DISPOSABLE_EMAIL."""
        email = normal_email(text)
        if self.is_disposable(email):
            raise PylonError("DISPOSABLE_EMAIL", "Throw-away addresses can't be used here")
        return email

    def is_disposable(self, email: str) -> bool:
        """Whether the domain, or one that it is part of, is listed."""
        labels = email.rpartition("@")[2].split(".")
        domains = [".".join(labels[i:]) for i in range(len(labels) - 1)] or labels
        if any(domain in self._extra for domain in domains):
            return True
        return self._is_on and any(domain in self._blocklist() for domain in domains)

    def _blocklist(self) -> frozenset[str]:
        if self._listed is None:
            from disposable_email_domains import blocklist

            self._listed = frozenset(blocklist)
        return self._listed
