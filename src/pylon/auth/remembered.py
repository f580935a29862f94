"""The sessions that a process remembers, by the hashes of their tokens: bounded, and found by session and by user too,
so that what changed can be dropped."""

from __future__ import annotations

from collections.abc import Sequence

from pylon.auth.credentials import Session

MAX_TOKENS = 50_000


class Remembered:
    """Resolved sessions. Beyond the bound the oldest go."""

    def __init__(self) -> None:
        self.by_token: dict[bytes, Session] = {}
        self._tokens_of: dict[bytes, set[bytes]] = {}
        self._sessions_of: dict[str, set[bytes]] = {}

    def keep(self, token: bytes, session: Session) -> Session:
        """Remember what a token's hash stands for."""
        if len(self.by_token) >= MAX_TOKENS:
            self.forget_tokens([next(iter(self.by_token))])
        self.by_token[token] = session
        assert session.key is not None
        self._tokens_of.setdefault(session.key, set()).add(token)
        if session.identity.user_id is not None:
            self._sessions_of.setdefault(session.identity.user_id, set()).add(session.key)
        return session

    def forget(self, key: bytes) -> None:
        """Forget the tokens of a session."""
        for token in self._tokens_of.pop(key, ()):
            session = self.by_token.pop(token, None)
            if session is not None and session.identity.user_id is not None:
                group = self._sessions_of.get(session.identity.user_id)
                if group is not None:
                    group.discard(key)
                    if not group:
                        del self._sessions_of[session.identity.user_id]

    def forget_tokens(self, tokens: Sequence[bytes]) -> None:
        """Forget the sessions of these tokens' hashes."""
        for token in tokens:
            session = self.by_token.get(token)
            if session is not None and session.key is not None:
                self.forget(session.key)

    def forget_users(self, users: set[str]) -> None:
        """Forget the sessions of these users."""
        for user in users:
            for key in tuple(self._sessions_of.get(user, ())):
                self.forget(key)

    def clear(self) -> None:
        """Forget everything."""
        self.by_token.clear()
        self._tokens_of.clear()
        self._sessions_of.clear()
