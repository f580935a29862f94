"""Bytes of a terminal as keys."""

from __future__ import annotations

UP, DOWN, LEFT, RIGHT, TAB, BACK_TAB, ESCAPE = "up", "down", "left", "right", "tab", "back-tab", "escape"

_NAMED = {
    "\x1b[A": UP,
    "\x1b[B": DOWN,
    "\x1b[C": RIGHT,
    "\x1b[D": LEFT,
    "\x1bOA": UP,
    "\x1bOB": DOWN,
    "\x1bOC": RIGHT,
    "\x1bOD": LEFT,
    "\x1b[Z": BACK_TAB,
    "\t": TAB,
}


def keys_of(data: bytes) -> list[str]:
    """What was pressed, in order. A character stands for itself; an escape sequence that has no name here is left out,
    so that none of its letters counts as a key."""
    text = data.decode("utf-8", "ignore")
    found: list[str] = []
    at = 0
    while at < len(text):
        length = _sequence(text, at) if text[at] == "\x1b" else 1
        piece = text[at : at + length]
        at += length
        if piece == "\x1b":
            found.append(ESCAPE)
        elif piece in _NAMED:
            found.append(_NAMED[piece])
        elif len(piece) == 1 and piece.isprintable():
            found.append(piece)
    return found


def _sequence(text: str, at: int) -> int:
    """The length of the escape sequence that begins here; 1 for a lone Escape."""
    if at + 1 >= len(text) or text[at + 1] not in "[O":
        return 1
    end = at + 2
    while end < len(text) and not ("@" <= text[end] <= "~"):
        end += 1
    return end + 1 - at
