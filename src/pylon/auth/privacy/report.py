"""What an erasure did, store by store, and what it left and why: for the person, and for whoever must prove it."""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One store: how much was deleted, how much forgot the user, how much stays; `why` where something does."""

    store: str
    deleted: int = 0
    cleared: int = 0
    kept: int = 0
    why: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `errors` name rows that could not be deleted, by `Entity/id: CODE`: mend them, and purge again."""

    user_id: str
    rows_deleted: int
    sessions_revoked: int
    api_keys_revoked: int
    accounts_unlinked: int
    errors: tuple[str, ...]
    lines: tuple[Line, ...]
    purged_at: str


def left(change_log_days: int, audit_days: int) -> list[Line]:
    """What no erasure reaches."""
    return [
        Line(
            store="change log",
            why=f"Offline clients follow deletes by it, earlier states of rows included; it reaches back "
            f"{change_log_days} days, or longer while it is short.",
        ),
        Line(
            store="audit log",
            why="Kept: it says what was done, by ids that name nobody any more, and with addresses and browsers; its "
            f"chain stays whole. Entries go after {audit_days} days.",
        ),
        Line(
            store="backups and archive",
            why="Kept until they are pruned: what is restored from one holds the user again, so purge again after a "
            "restore.",
        ),
        Line(
            store="limits", why="Keyed hashes of addresses and accounts, which name nobody; they expire by themselves."
        ),
        Line(store="rooms and live connections", why="In memory only: they ended with the sessions."),
        Line(store="server log", why="Not kept by Pylon: it goes where the operator sends it."),
    ]
