"""Whether somebody may be in a room: what the app's rule for its name says (docs/guide/rooms.md).

A rule is a query that reads what it likes and returns whether its caller may come in. An app that declares any is
closed to every name that none of them is for. Whatever goes wrong in a rule denies.
"""

from __future__ import annotations

from collections.abc import Sequence

from pylon.compute.functions import Functions
from pylon.compute.recorder import Recorder
from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.room_names import RoomNames
from pylon.model.schema import RoomSpec
from pylon.signals.logs import Log

log = Log("pylon.functions")

SECONDS = 2.0
"""How long a rule may take."""


class RoomRules:
    """The rules of one app."""

    def __init__(self, functions: Functions, rooms: Sequence[RoomSpec]) -> None:
        self._functions = functions
        self._names = RoomNames(rooms)

    @property
    def are_declared(self) -> bool:
        """Whether the app has any; if not, whoever is signed in may be in every room."""
        return bool(self._names)

    async def admits(self, caller: Caller, room: str, recorder: Recorder) -> bool:
        """Whether a caller may be in a room; `recorder` writes down what that hangs on. Raises what a server under load
        raises, and its store: then nothing was decided."""
        matched = self._names.match(room)
        if matched is None:
            return False
        try:
            return await self._functions.decide(caller, matched.function, matched.arguments, recorder, SECONDS)
        except PylonError as error:
            if error.status >= 500 and error.code != "HANDLER_ERROR":
                raise
            if error.code.startswith("FN_"):  # the rule's own fault, which nobody is told at the door
                log.warning("a rule for rooms failed", function=matched.function.name, code=error.code)
            return False
