"""Handing letters to providers that speak HTTP."""

from __future__ import annotations

from typing import Any

from pylon.auth.mail.transport import MailRefused, MailUnavailable

TIMEOUT_SECONDS = 10.0
_LONGEST_WAIT = 3600.0
_NEVER = frozenset({400, 404, 413, 415, 422})
"""What a provider says of a letter that it will not take later either. 401 and 403 are of the key, which may be mended
meanwhile."""


class Post:
    """Requests to one address. Redirects are not followed: they would carry the key and the letter elsewhere."""

    def __init__(self, endpoint: str, headers: dict[str, str]) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._client: Any = None

    async def send(self, body: bytes, headers: dict[str, str]) -> None:
        """POST. Raises MailRefused, MailUnavailable."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, headers=self._headers, trust_env=False)
        try:
            answer = await self._client.post(
                self._endpoint, content=body, headers={"Content-Type": "application/json", **headers}
            )
        except httpx.HTTPError as problem:
            raise MailUnavailable(f"can't be reached ({type(problem).__name__})") from None
        if answer.status_code < 300:
            return
        said = f"HTTP {answer.status_code}: {answer.text[:200]}"
        if answer.status_code in _NEVER:
            raise MailRefused(said)
        raise MailUnavailable(said, _wait(answer.headers.get("Retry-After")))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _wait(text: str | None) -> float:
    return min(float(text), _LONGEST_WAIT) if text is not None and text.isascii() and text.isdigit() else 0.0
