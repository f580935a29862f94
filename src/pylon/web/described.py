"""What a route says of itself, for `/api/openapi.json`. One line over each responder is enough:

    @describes({"tokens": list[AdminToken]}, who="admin", query={"limit": int}, errors=("CONFLICT",))
    async def on_get(self, req, resp): ...

The first sentence of its docstring becomes the summary. A shape is a type (what msgspec encodes), a dict of names and
shapes (an object; `"name?"` may be absent), a list with one shape (an array), or a `Ref` to a schema of the app's.
`tests/test_docs.py` fails for a route without a description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

Shape = Any
Who = Literal["anybody", "policy", "session", "user", "admin"]
"""Who may ask: anybody, whom the entity's policy lets, a session with guests, a signed-in user, an admin."""

_R = TypeVar("_R", bound=Callable[..., Any])
_KEY = "__described__"


class Ref(NamedTuple):
    """A schema by name. `{}` stands for the entity of the path."""

    name: str


class AnyOf(NamedTuple):
    """One of several shapes."""

    shapes: tuple[Shape, ...]


class Media(NamedTuple):
    """What isn't JSON, by its type."""

    types: tuple[str, ...]


class Description(msgspec.Struct, frozen=True):
    """What `describes` was given. `errors` are codes of the registry; those that every route may answer are
    added. `refusals` are answers of these statuses that are no error envelope."""

    answer: Shape
    body: Shape = None
    who: Who = "anybody"
    status: tuple[int, ...] = (200,)
    query: Mapping[str, Shape] = {}
    headers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    refusals: Mapping[int, Shape] = {}


Asked = Literal["1", "true", "0", "false"]
"""A parameter that asks for something or doesn't (`request.is_asked`)."""

ANYTHING: Shape = Any
"""JSON whose shape is not told."""

READS = ("ENTITY_NOT_FOUND@400", "INVALID_COLUMN", "INVALID_QUERY", "QUERY_FAILED", "QUERY_TIMEOUT", "BUDGET_EXCEEDED")
"""What reading rows may answer; `@` names another status than the code's own."""

WRITES = (
    "INVALID_DATA",
    "INVALID_COLUMN",
    "INVALID_ID",
    "VALIDATION_FAILED",
    "MISSING_FIELD",
    "INSERT_FAILED",
    "UPDATE_FAILED",
    "DELETE_FAILED",
    "OPTIMISTIC_ID_CONFLICT",
    "READONLY_FIELD",
    "REFERENCE_NOT_FOUND",
    "REFERENCED",
    "OWNER_REQUIRED",
    "OWNER_MISMATCH",
    "TENANT_REQUIRED",
    "TENANT_MISMATCH",
    "ENTITY_NOT_FOUND",
    "CONFLICT",
    "CASCADE_TOO_LARGE",
    "PRECONDITION_FAILED",
    "IDEMPOTENCY_MISMATCH",
    "BUDGET_EXCEEDED",
    "STORAGE_UNAVAILABLE",
    "STORAGE_FULL",
)
"""What writing rows may answer."""

LISTED: dict[str, Shape] = {"sort": str, "order": Literal["asc", "desc"], "where": str, "fields": str, "q": str}
"""The parameters of a list, its window aside."""

GRANT: Shape = {"token": str, "user_id": str, "expires_at": int, "second_factor_missing?": bool}
"""What a sign-in answers."""

SEQ = ("X-Pylon-Change-Seq", "ETag", "Idempotency-Replayed")
"""Headers of a write's answer."""

CREATED: Shape = {"id": str}

REVOKED: Shape = {"revoked": Literal[True]}


def describes(
    answer: Shape,
    *,
    body: Shape = None,
    who: Who = "anybody",
    status: int | tuple[int, ...] = 200,
    query: Mapping[str, Shape] | None = None,
    headers: tuple[str, ...] = (),
    errors: tuple[str, ...] = (),
    refusals: Mapping[int, Shape] | None = None,
) -> Callable[[_R], _R]:
    """Describe a responder: what it answers, what it takes, who may ask, and which codes it refuses with."""
    statuses = (status,) if isinstance(status, int) else status
    description = Description(answer, body, who, statuses, query or {}, headers, errors, refusals or {})

    def keep(responder: _R) -> _R:
        setattr(responder, _KEY, description)
        return responder

    return keep


def description_of(responder: Any) -> Description | None:
    """The description of a responder, None without one."""
    found: Description | None = getattr(responder, _KEY, None)
    return found
