"""What may hold a signed-in user up before every door: an address to prove, a second factor to show.

Each gate lists what stays open while it holds somebody; everything else is closed: routes that are added later too,
sockets and streams, and requests with an API key or a token of another kind. Beside the API, whom a gate holds is
nobody; the pages of signing in ask the API themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pylon.auth.credentials import NOBODY, Session
from pylon.auth.sessions import Sessions
from pylon.model.errors import PylonError

_PAGES = frozenset(
    {
        "/auth",
        "/auth/account",
        "/auth/second-factor/set-up",
        "/auth/sign-out",
        "/auth/verify",
        "/email-change/confirm",
    }
)
"""Pages that look at who is signed in."""


class Gate(Protocol):
    """One of them."""

    @property
    def is_on(self) -> bool:
        """Whether it may ever hold anybody."""

    def enter(self, path: str, session: Session) -> Session:
        """The session that a request for this path goes on with. Raises what its holder is told who may not go on."""


class Gates:
    """The gates of one server, in order."""

    def __init__(self, sessions: Sessions, gates: Sequence[Gate]) -> None:
        self._sessions = sessions
        self._gates = tuple(gate for gate in gates if gate.is_on)
        self.is_on = bool(self._gates)

    def enter(self, path: str, session: Session) -> Session:
        """The session that a request goes on with. Raises EMAIL_NOT_VERIFIED, SECOND_FACTOR_MISSING."""
        if path in _PAGES:
            return session
        for gate in self._gates:
            try:
                session = gate.enter(path, session)
            except PylonError:
                if path.startswith("/api/"):
                    raise
                return NOBODY
        return session

    def resolve(self, token: str | None) -> Session:
        """Whose token this is, for sockets and streams. Raises like `enter`."""
        session = self._sessions.resolve(token)
        for gate in self._gates:
            gate.enter("", session)
        return session

    def current(self, key: bytes) -> Session:
        """Whom a session's key stands for now; nobody while its user is held up, so that its sockets end."""
        session = self._sessions.current(key)
        try:
            for gate in self._gates:
                gate.enter("", session)
        except PylonError:
            return NOBODY
        return session
