"""Which of an app's rules a room's name is for: `@app.room("doc:{doc}")` takes `doc:42`, and its function the `42`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from pylon.model.findings import DeclarationError, error
from pylon.model.functions import read_function
from pylon.model.schema import FunctionSpec, RoomSpec

_PLACE = re.compile(r"\{([^{}]*)\}")
_VALUE = r"[^:/]+"
"""What stands for a placeholder: anything up to a separator, so that a name is read in one way."""


def read_room(pattern: str, handler: Callable[..., Any], scope: Mapping[str, Any]) -> RoomSpec:
    """The spec of a rule for rooms. `scope` are the names around its definition. Raises DeclarationError, naming the
    rule and the mend."""
    function = read_function(handler, "query", scope=scope)
    shown = f"{function.name}: room {pattern!r}"
    if not isinstance(pattern, str) or not pattern:
        raise _refusal(f"{function.name}: a room's pattern is a text such as 'doc:{{doc}}'", None)
    places = _PLACE.findall(pattern)
    text = _PLACE.sub("", pattern)
    if "{" in text or "}" in text or len(set(places)) != len(places) or not all(map(str.isidentifier, places)):
        raise _refusal(f"{shown}: its placeholders can't be read", "Write each as {name}, once.")
    if "}{" in pattern:
        raise _refusal(f"{shown}: nothing separates two placeholders", "Put a character between them, such as `:`.")
    arguments = set(function.args_schema)
    if arguments != set(places):
        named = ", ".join(places) or "nothing"
        raise _refusal(f"{shown} names {named}, and the function takes {', '.join(arguments) or 'nothing'}", None)
    return RoomSpec(pattern=pattern, function=function)


class Matched(NamedTuple):
    """The rule for a name, with the arguments that are in it."""

    function: FunctionSpec
    arguments: dict[str, Any]


class RoomNames:
    """The rules of one app by the names that they are for; the first that fits decides."""

    def __init__(self, rooms: Iterable[RoomSpec]) -> None:
        self._rules = [(_compiled(room.pattern), room.function) for room in rooms]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, name: str) -> Matched | None:
        """The rule for a room of this name; None when there is none, or what stands for an argument is none."""
        for pattern, function in self._rules:
            found = pattern.fullmatch(name)
            if found is None:
                continue
            try:
                arguments = msgspec.convert(found.groupdict(), function.arguments, strict=False)
            except msgspec.ValidationError:
                continue
            return Matched(function, msgspec.structs.asdict(arguments))
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = _PLACE.split(pattern)  # text and names in turn
    return re.compile("".join(f"(?P<{part}>{_VALUE})" if i % 2 else re.escape(part) for i, part in enumerate(parts)))


def _refusal(message: str, mend: str | None) -> DeclarationError:
    return DeclarationError([error("ROOM_INVALID", message, mend)])
