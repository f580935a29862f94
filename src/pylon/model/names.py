"""The rules for names that developers choose, and the nearest right one when a name is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED_PREFIXES = ("_pylon", "_fts", "sqlite_")
_RESERVED_ENTITIES = frozenset({"_facet_bitmap"})
_RESERVED_FIELDS = frozenset({"id", "rowid"})


def name_problem(name: str) -> str | None:
    """Why the name can't be that of an entity, a field, an index or a function; None when it can."""
    if _IDENTIFIER.match(name) is None:
        return "a name is made of ASCII letters, digits and underscores, and does not start with a digit"
    if name.lower().startswith(_RESERVED_PREFIXES):
        return f"names that start with {', '.join(_RESERVED_PREFIXES)} belong to the system"
    return None


def is_reserved_entity(name: str) -> bool:
    """True for tables of the system that no prefix gives away."""
    return name.lower() in _RESERVED_ENTITIES


def is_reserved_field(name: str) -> bool:
    """True for columns that every table has already. SQLite does not tell upper from lower case."""
    return name.lower() in _RESERVED_FIELDS


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, None when nothing does."""
    by_lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name, or lists the known ones."""
    names = list(known)
    close = nearest(name, names)
    if close is not None:
        return f"Did you mean {close!r}?"
    return f"There are: {', '.join(names)}." if names else "There are none."


def camel_case(name: str) -> str:
    """`by_tag` becomes `byTag`; leading underscores stay."""
    stem = name.lstrip("_")
    first, *rest = stem.split("_")
    return name[: len(name) - len(stem)] + first + "".join(part[:1].upper() + part[1:] for part in rest)
