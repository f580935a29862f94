"""Which passwords are taken: long enough, not too long, and not known from breaches (spec 03 §9).

Words that anybody would try first don't count toward the length: the app's name, its own list, and what its user's
address and name are made of. So a long sentence may name the app, and the app's name with a year is too short.

Whether one is known is asked by the first five digits of its SHA-1, and the answer holds hundreds of others: who is
asked learns neither the password nor its hash. While nobody answers, passwords pass, and for a minute nobody is asked
again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pylon.auth.hashing import MAX_PASSWORD_BYTES
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.auth")

MIN_CHARACTERS = 10
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 60.0
MIN_WORD = 3
_MAX_ANSWER = 2**20
_LETTERS = str.maketrans("013457@$!|i", "oleastaslll")
_BETWEEN = re.compile(r"[\W_]+")


class Passwords:
    """The rules of one server. `url` is who is asked, None for nobody; `words` are those that don't count."""

    def __init__(
        self, url: str | None, words: Iterable[str] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._words = frozenset(_parts(words))
        self._clock = clock
        self._paused_until = 0.0

    async def accept(self, password: str, own: Iterable[str | None] = ()) -> str:
        """A password that may be set; `own` is what its user's row says of its user, such as the address. Raises
        WEAK_PASSWORD, PWNED_PASSWORD."""
        length = len(password)
        if length < MIN_CHARACTERS:
            raise PylonError("WEAK_PASSWORD", f"password too short ({length} chars, need {MIN_CHARACTERS})")
        if len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
            raise PylonError("WEAK_PASSWORD", f"password too long (at most {MAX_PASSWORD_BYTES} bytes)")
        left = _counted(password, self._words | set(_parts(text for text in own if text)))
        if left < MIN_CHARACTERS:
            raise PylonError(
                "WEAK_PASSWORD",
                f"password too easy to guess: without names and words that are tried first it has {left} chars, "
                f"need {MIN_CHARACTERS}",
            )
        if await self._is_known(password):
            raise PylonError("PWNED_PASSWORD", "This password is known from breaches: choose another")
        return password

    async def _is_known(self, password: str) -> bool:
        if self._url is None or self._clock() < self._paused_until:
            return False
        import httpx

        digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                answer = await client.get(f"{self._url}/range/{digest[:5]}", headers={"Add-Padding": "true"})
            answer.raise_for_status()
            return _lists(answer, digest[5:])
        except (httpx.HTTPError, ValueError) as problem:
            log.warning("whether a password is known from breaches can't be asked", error=type(problem).__name__)
            self._paused_until = self._clock() + PAUSE_SECONDS
            return False


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """The words of names and addresses, as they are looked for: whole, and in pieces."""
    for text in texts:
        before, at, domain = text.partition("@")
        named = f"{before} {domain.rpartition('.')[0]}" if at else text
        for part in (text, before, *_BETWEEN.split(named)):
            if len(part) >= MIN_WORD:
                yield _folded(part)


def _counted(password: str, words: Iterable[str]) -> int:
    """How many characters of a password are in none of the words, however they are written."""
    folded = _folded(password)
    for word in sorted(words, key=len, reverse=True):
        folded = folded.replace(word, "")
    return len(folded)


def _folded(text: str) -> str:
    """Letters in one case, and digits and signs as the letters that they are written for."""
    return text.casefold().translate(_LETTERS)


def _lists(answer: Any, rest: str) -> bool:
    """Whether the answer names this hash. Padding has a count of 0."""
    if len(answer.content) > _MAX_ANSWER:
        raise ValueError("the answer is too long")
    for line in answer.text.splitlines():
        suffix, _, count = line.strip().partition(":")
        if suffix.upper() == rest:
            return int(count) > 0
    return False
