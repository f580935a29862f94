"""The one door to loro: its failures as exceptions that can be caught.

loro raises bare BaseExceptions, and panics of its Rust code arrive as another one. Neither must pass for an exit of
the process, nor take down the batch of other requests in which it happens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from loro import LoroDoc


class LoroError(Exception):
    """loro refused, or failed at, what it was given."""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Whatever loro raises inside is a LoroError."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise LoroError(str(error)) from None
    except BaseException as error:
        if type(error) is BaseException or type(error).__name__ == "PanicException":
            raise LoroError(str(error)) from None
        raise


def new_doc(peer: int) -> LoroDoc:
    """An empty document, edited under this number."""
    doc = LoroDoc()  # type: ignore[no-untyped-call]
    doc.peer_id = peer
    return doc


def operations_in(update: bytes) -> int:
    """How many operations an update or snapshot brings, each character being one, without applying it. Raises
    LoroError."""
    with guarded():
        meta = LoroDoc.decode_import_blob_meta(update, True)
        return meta.partial_end_vv.distance_between(meta.partial_start_vv)
