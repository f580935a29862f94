"""Captchas (spec 03 §26): what a page's widget says is asked back from its provider before anything is sent or made."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.auth")

MAX_AGE_SECONDS = 120
_TIMEOUT_SECONDS = 5.0


class Provider(enum.StrEnum):
    """Who makes the captcha."""

    HCAPTCHA = "hcaptcha"
    TURNSTILE = "turnstile"
    RECAPTCHA = "recaptcha"


ENDPOINTS = {
    Provider.HCAPTCHA: "https://api.hcaptcha.com/siteverify",
    Provider.TURNSTILE: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    Provider.RECAPTCHA: "https://www.google.com/recaptcha/api/siteverify",
}


class Captcha:
    """The captcha of one server; without a provider every check passes. A provider that can't be reached fails closed:
    whoever floods a server could otherwise wait for that."""

    def __init__(
        self, provider: Provider | None, secret: str | None, *, least_score: float = 0.5, endpoint: str | None = None
    ) -> None:
        self._provider = provider
        self._secret = secret or ""
        self._least = least_score
        self._endpoint = endpoint or (ENDPOINTS[provider] if provider is not None else "")

    @property
    def is_on(self) -> bool:
        """Whether pages have to show one."""
        return self._provider is not None

    async def check(self, token: object, ip: str) -> None:
        """Raises CAPTCHA_FAILED unless the provider vouches for this token of the last two minutes."""
        if self._provider is None:
            return
        if not isinstance(token, str) or not token or len(token) > 8192:
            raise _failed()
        import httpx

        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
                form = {"secret": self._secret, "response": token, "remoteip": ip}
                answer = (await client.post(self._endpoint, data=form)).json()
        except (httpx.HTTPError, ValueError) as problem:
            log.warning("the captcha provider can't be asked", error=type(problem).__name__)
            raise _failed() from None
        if not isinstance(answer, dict) or not self._vouches(answer):
            raise _failed()

    def _vouches(self, answer: dict[str, Any]) -> bool:
        score = answer.get("score")
        if answer.get("success") is not True or (isinstance(score, int | float) and score < self._least):
            return False
        made = answer.get("challenge_ts")
        if not isinstance(made, str):
            return True
        try:
            at = datetime.fromisoformat(made)
        except ValueError:
            return False
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return (datetime.now(UTC) - at).total_seconds() <= MAX_AGE_SECONDS


def _failed() -> PylonError:
    return PylonError("CAPTCHA_FAILED", "The captcha was not solved, or too long ago")
