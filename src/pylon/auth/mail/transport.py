"""What carries a letter away: the seam that each transport implements, and the two ways in which one may fail.

MailError
├── MailRefused       the letter will never be taken: no such mailbox, a malformed address
└── MailUnavailable   not now: the provider is down, busy, or doesn't know its caller; try again later
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter that is ready to go. `id` stays when it is sent again, so that who receives it twice may know."""

    id: str
    to: str
    sender: str
    subject: str
    text: str
    html: str = ""


class MailError(Exception):
    """A letter that was not taken; the text is for operators."""


class MailRefused(MailError):
    """It never will be."""


class MailUnavailable(MailError):
    """Not now. `wait` is what the provider asks for, in seconds."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = wait


class Transport(Protocol):
    """One way out. Returning means that the other side took responsibility for the letter."""

    name: str

    async def send(self, letter: Letter) -> None:
        """Hand the letter over. Raises MailRefused, MailUnavailable."""

    async def close(self) -> None:
        """Let go of connections."""
