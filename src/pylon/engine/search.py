"""The seam of full-text search: what `$search`, `q=` and `/api/search/<E>` ask. Without an implementation they answer
SEARCH_NOT_CONFIGURED, whatever the entity declares."""

from __future__ import annotations

from typing import Protocol

from pylon.engine.caller import Caller
from pylon.engine.plan import EntityPlan
from pylon.model.errors import PylonError
from pylon.store.selection import Selection


class Search(Protocol):
    """One full-text search."""

    def narrowed(self, plan: EntityPlan, selection: Selection, text: str, *, is_ordered: bool) -> Selection:
        """The selection under the condition that rows match the text, best matches first unless the caller ordered
        them. The read policy is added by whoever reads. Raises SEARCH_NOT_CONFIGURED, INVALID_QUERY."""

    async def faceted(self, caller: Caller, plan: EntityPlan, body: bytes) -> bytes:
        """The answer of `POST /api/search/<E>` (spec 01 §5.5), of rows that the caller may read only. Raises
        SEARCH_NOT_CONFIGURED, INVALID_JSON, INVALID_QUERY."""


class NoSearch:
    """Search in a server that has none."""

    def narrowed(self, plan: EntityPlan, selection: Selection, text: str, *, is_ordered: bool) -> Selection:
        """Raises SEARCH_NOT_CONFIGURED."""
        raise not_configured(plan)

    async def faceted(self, caller: Caller, plan: EntityPlan, body: bytes) -> bytes:
        """Raises SEARCH_NOT_CONFIGURED."""
        raise not_configured(plan)


def not_configured(plan: EntityPlan) -> PylonError:
    """SEARCH_NOT_CONFIGURED, in the wording that clients know."""
    return PylonError("SEARCH_NOT_CONFIGURED", f"Entity {plan.name} has no `search:` config")
