"""Whom a client takes itself for: a request that names its user is never answered as another's, or as nobody's.

A dead token makes its owner anonymous (spec 02 §7.1), and clients without this header count on that. One that keeps
rows, a cursor and a queue must not go on like that: its pull would move the cursor past changes that it was not shown,
and its push would write as nobody.
"""

from __future__ import annotations

from urllib.parse import unquote

from pylon.auth.sessions import Session
from pylon.model.errors import PylonError

HEADER = b"x-pylon-expect-user"
ANYBODY = b"*"


def check_expected(session: Session, expected: bytes) -> None:
    """Refuse a request whose caller isn't whom it names: a user id, percent-encoded; nothing for nobody; `*` for any
    session. Raises SESSION_EXPIRED where it is nobody's, SESSION_CHANGED where it is another's."""
    user = session.identity.user_id or ""
    if expected == ANYBODY:
        if not user:
            raise _ended()
    elif unquote(expected.decode("latin-1")) != user:
        raise _ended() if not user else PylonError("SESSION_CHANGED", "The session is another user's than expected")


def _ended() -> PylonError:
    return PylonError("SESSION_EXPIRED", "The session is expired or revoked: the request was not carried out")
