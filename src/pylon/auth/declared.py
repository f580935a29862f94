"""The part of some values that an app's entity declares, for the framework's fields are optional in most entities; and
times as rows carry them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pylon.engine.plan import EntityPlan
from pylon.model.schema import Kind
from pylon.model.timestamps import iso_seconds, parse_iso

_TEXTS = (Kind.STRING, Kind.DATETIME, Kind.RICHTEXT)


def declared(plan: EntityPlan, values: dict[str, Any]) -> dict[str, Any]:
    """The values whose fields the entity declares, as the declared type holds them: a text for a list of lists in
    a json field stays what it is, a number becomes text in a string field."""
    kept = {}
    for name, value in values.items():
        field = plan.spec.field(name)
        if field is not None:
            is_text = field.kind in _TEXTS
            kept[name] = str(value) if is_text and value is not None and not isinstance(value, str) else value
    return kept


def iso(at: int) -> str:
    """Unix seconds, as rows carry times."""
    return iso_seconds(datetime.fromtimestamp(at, UTC))


def epoch(text: Any) -> int | None:
    """A row's time in Unix seconds; None where there is none, or where it is no time."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return int(parse_iso(text).timestamp())
    except ValueError:
        return None
