"""The groups of an aggregate, and how many there may be."""

from __future__ import annotations

from pylon.model.errors import PylonError


def checked_groups(rows: bytes, count: int, most: int) -> bytes:
    """The groups, if there aren't too many. Raises QUERY_FAILED."""
    if count > most:
        raise PylonError(
            "QUERY_FAILED",
            f"the aggregate has more than {most} groups",
            hint="Group by fewer or coarser keys, narrow `where`, or ask for the first with orderBy and limit.",
        )
    return rows
