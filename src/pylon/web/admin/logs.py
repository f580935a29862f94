"""The log over HTTP: the newest lines, and the level from which lines are written."""

from __future__ import annotations

from datetime import UTC, datetime

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_millis
from pylon.signals import logs
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

DEFAULT_MINUTES = 30.0
MAX_MINUTES = 7 * 24 * 60.0

_NAMES = {number: name for name, number in logs.LEVELS.items()}


class LevelOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that changes the level."""

    level: str


class RecentLines(Resource):
    """`/api/admin/logs?minutes=&level=`."""

    @describes(
        {"lines": list[dict[str, str]], "dropped": int, "level": str},
        who="admin",
        query={"minutes": float, "level": str},
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Lines that memory still holds, oldest first, as they were written; secrets were masked then."""
        require_admin(req)
        lines = logs.recent(_minutes(req.get_param("minutes")), _level(req.get_param("level") or "debug"))
        statistics = logs.statistics()
        resp.data = msgspec.json.encode(
            {
                "lines": [
                    {
                        "at": iso_millis(datetime.fromtimestamp(line.at, UTC)),
                        "level": _NAMES[line.level],
                        "text": line.text,
                    }
                    for line in lines
                ],
                "dropped": statistics["dropped"],
                "level": logs.level(),
            }
        )


class Level(Resource):
    """`/api/admin/log-level`."""

    @describes({"level": str}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The level in force."""
        require_admin(req)
        resp.data = msgspec.json.encode({"level": logs.level()})

    @describes({"level": str, "before": str}, body=LevelOrder, who="admin", errors=("INVALID_DATA",))
    async def on_put(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Log from this level on, until the next start."""
        require_admin(req)
        order = decode_body(await req.body(), LevelOrder)
        level, before = _level(order.level), logs.level()
        await req.doors.engine.audit.note(req.caller, "log.level", level, before=before)
        logs.set_level(level)
        resp.data = msgspec.json.encode({"level": level, "before": before})


def _level(text: str) -> str:
    level = text.lower()
    if level not in logs.LEVELS:
        raise PylonError("INVALID_QUERY", f"level is one of {', '.join(logs.LEVELS)}")
    return level


def _minutes(text: str | None) -> float:
    try:
        minutes = float(text) if text else DEFAULT_MINUTES
    except ValueError:
        minutes = -1.0
    if not 0 < minutes <= MAX_MINUTES:
        raise PylonError("INVALID_QUERY", f"minutes is a number above 0 and at most {MAX_MINUTES:.0f}")
    return minutes


ROUTES: dict[str, object] = {
    "/api/admin/logs": RecentLines(),
    "/api/admin/log-level": Level(),
}
