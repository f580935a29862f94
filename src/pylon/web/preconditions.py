"""Entity tags and what depends on them (RFC 9110 §8.8.3, §13): optimistic concurrency on rows, 304 for what is known.

A row's tag is a hash of the row as clients see it, made from the same bytes in reads and in the write's transaction, so
that there is nothing to store and two writers with the same tag can't both win.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pylon.model.errors import PylonError

Check = Callable[[bytes | None], None]
"""Given the row as it is, None for none; raises PRECONDITION_FAILED."""


def etag_of(content: bytes) -> str:
    """The strong tag of a representation, quotes included."""
    return f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def parse_tags(header: str) -> list[str]:
    """The tags of an If-Match or If-None-Match; `*` stands for itself. A weak mark is dropped: our tags name rows, and
    a row that came compressed is the same row."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",") if tag.strip()]


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client holds this representation already."""
    return any(tag in ("*", etag) for tag in parse_tags(if_none_match))


def check_of(if_match: str | None, if_none_match: str | None) -> Check | None:
    """The test that a write's headers ask for, None when they ask for none."""
    if if_match is None and if_none_match is None:
        return None
    wanted = None if if_match is None else parse_tags(if_match)
    unwanted = None if if_none_match is None else parse_tags(if_none_match)

    def check(row: bytes | None) -> None:
        etag = None if row is None else etag_of(row)
        if wanted is not None and (etag is None or not ("*" in wanted or etag in wanted)):
            raise _failed("The row has changed since it was read, or is gone.")
        if unwanted is not None and etag is not None and ("*" in unwanted or etag in unwanted):
            raise _failed("There is such a row already.")

    return check


def _failed(message: str) -> PylonError:
    return PylonError("PRECONDITION_FAILED", message, hint="Read the row again, and decide on what it is now.")
