"""What an operator looks at live: the overview, the alarms, and who reads now."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.engine.readers import RunningRead, SlowQuery
from pylon.ops.alarms import ActiveAlarm
from pylon.web.described import Asked, describes
from pylon.web.request import Request, Resource, is_asked, require_admin


class OverviewDoor(Resource):
    """`/api/admin/overview`."""

    @describes(dict[str, Any], who="admin", query={"history": Asked})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The figures of now; with `history=1` also those of the last ten minutes."""
        require_admin(req)
        overview = req.doors.overview
        document = {**overview.snapshot(), "ready": await overview.ready()}
        if is_asked(req, "history"):
            document["history"] = overview.history.document()
        resp.data = msgspec.json.encode(document)


class AlarmList(Resource):
    """`/api/admin/alarms`."""

    @describes({"alarms": list[ActiveAlarm], "watched": list[str]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """What is raised, and the names of all that are watched."""
        require_admin(req)
        alarms = req.doors.alarms
        resp.data = msgspec.json.encode({"alarms": alarms.active(), "watched": alarms.names()})


class ReaderList(Resource):
    """`/api/admin/readers`."""

    @describes(
        {
            "readers": list[RunningRead],
            "slow_queries": list[SlowQuery],
            "oldest_seconds": float,
            "max_seconds": float,
            "interrupted": int,
        },
        who="admin",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Reads that run, and those that were slow."""
        require_admin(req)
        readers = req.doors.engine.reads.readers
        resp.data = msgspec.json.encode(
            {
                "readers": readers.running(),
                "oldest_seconds": round(readers.oldest_seconds(), 3),
                "max_seconds": readers.max_seconds,
                "interrupted": readers.interrupted,
                "slow_queries": readers.slow_queries(),
            }
        )


class TaskList(Resource):
    """`/api/admin/tasks`."""

    @describes({"tasks": list[dict[str, Any]]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The background tasks: how often each ran and failed, when it last went well, and whether it is overdue."""
        require_admin(req)
        states = req.doors.engine.tasks.states()
        resp.data = msgspec.json.encode({"tasks": [state._asdict() for state in states]})


ROUTES: dict[str, object] = {
    "/api/admin/overview": OverviewDoor(),
    "/api/admin/alarms": AlarmList(),
    "/api/admin/readers": ReaderList(),
    "/api/admin/tasks": TaskList(),
}
