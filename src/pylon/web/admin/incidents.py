"""Incidents over HTTP: start, note, close, the post-mortem, and the bundle of what the server knows."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.ops.incident.capture import folder_name
from pylon.ops.incident.moments import FORMS, parse_time
from pylon.ops.incident.page import CONTENT_SECURITY_POLICY, html
from pylon.ops.incident.record import Event, Incident, Kind, Severity, new_event_id, new_incident_id
from pylon.ops.incident.report import markdown
from pylon.web.admin.body import decode_body
from pylon.web.described import Media, describes
from pylon.web.request import Request, Resource, require_admin

DEFAULT_MINUTES = 30.0
MAX_MINUTES = 7 * 24 * 60.0

When = str | float | None


class StartOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that opens an incident. `began` is when the trouble began, `id` an id of the caller's own, so that a
    repeated request opens nothing twice."""

    title: str
    severity: Severity = Severity.SEV2
    parallel: bool = False
    at: When = None
    began: When = None
    by: str = ""
    id: str = ""


class NoteOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that notes something."""

    text: str
    kind: Kind = Kind.OBSERVATION
    at: When = None
    by: str = ""
    owner: str = ""
    due: str = ""
    step: str = ""
    outcome: str = ""
    id: str = ""
    recorded_at: float = 0.0


class CloseOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that closes an incident."""

    summary: str = ""
    at: When = None
    by: str = ""


class Incidents(Resource):
    """`/api/admin/incidents`."""

    @describes({"incidents": list[Incident]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All of them, newest first."""
        require_admin(req)
        resp.data = msgspec.json.encode({"incidents": await req.doors.incidents.book.all()})

    @describes(Incident, body=StartOrder, who="admin", status=(200, 201), errors=("INVALID_DATA", "INCIDENT_OPEN"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Open one: 201, or 200 for one that is known by its id."""
        require_admin(req)
        order, now = decode_body(await req.body(), StartOrder), time.time()
        incident = Incident(
            id=order.id or new_incident_id(now),
            title=order.title,
            severity=order.severity,
            started_at=_moment(order.at, now, "at"),
            began_at=_moment(order.began, now, "began") if order.began is not None else 0.0,
            started_by=order.by or _name(req),
        )
        incident, is_new = await req.doors.incidents.book.start(req.caller, incident, parallel=order.parallel)
        resp.status = 201 if is_new else 200
        resp.data = msgspec.json.encode(incident)


class OneIncident(Resource):
    """`/api/admin/incidents/{incident_id}`; `open` and `latest` are ids too."""

    @describes({"incident": Incident, "events": list[Event]}, who="admin", errors=("INCIDENT_NOT_FOUND",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, incident_id: str) -> None:
        """It and its events."""
        require_admin(req)
        incident, events = await req.doors.incidents.book.get(incident_id)
        resp.data = msgspec.json.encode({"incident": incident, "events": events})


class Notes(Resource):
    """`/api/admin/incidents/{incident_id}/notes`."""

    @describes(
        Event,
        body=NoteOrder,
        who="admin",
        status=(200, 201),
        errors=("INVALID_DATA", "INCIDENT_NOT_FOUND", "INCIDENT_FULL"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, incident_id: str) -> None:
        """Note something: 201, or 200 for a note that is known by its id."""
        require_admin(req)
        order, now = decode_body(await req.body(), NoteOrder), time.time()
        event = Event(
            id=order.id or new_event_id(now),
            incident=incident_id,
            at=_moment(order.at, now, "at"),
            recorded_at=min(order.recorded_at or now, now),
            by=order.by or _name(req),
            kind=order.kind,
            text=order.text,
            owner=order.owner,
            due=order.due,
            step=order.step,
            outcome=order.outcome,
        )
        event, is_new = await req.doors.incidents.book.note(req.caller, event)
        resp.status = 201 if is_new else 200
        resp.data = msgspec.json.encode(event)


class Closing(Resource):
    """`/api/admin/incidents/{incident_id}/close`."""

    @describes(Incident, body=CloseOrder, who="admin", errors=("INVALID_DATA", "INCIDENT_NOT_FOUND", "INCIDENT_CLOSED"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, incident_id: str) -> None:
        """Close it."""
        require_admin(req)
        order, now = decode_body(await req.body(), CloseOrder), time.time()
        closed = await req.doors.incidents.book.close(
            req.caller,
            incident_id,
            at=_moment(order.at, now, "at"),
            by=order.by or _name(req),
            summary=order.summary,
        )
        resp.data = msgspec.json.encode(closed)


class Report(Resource):
    """`/api/admin/incidents/{incident_id}/report`."""

    @describes(
        (dict[str, Any], Media(("text/markdown", "text/html"))),
        who="admin",
        query={"format": Literal["md", "html", "json"]},
        errors=("INCIDENT_NOT_FOUND",),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, incident_id: str) -> None:
        """The post-mortem, as `format` asks: md (Markdown), html or json."""
        require_admin(req)
        form = req.get_param("format") or "md"
        if form not in ("md", "html", "json"):
            raise PylonError("INVALID_QUERY", "format: expected md, html or json")
        told = await req.doors.incidents.report(incident_id)
        if form == "json":
            resp.data = msgspec.json.encode(told)
        elif form == "md":
            resp.content_type = "text/markdown; charset=utf-8"
            resp.data = markdown(told).encode()
        else:
            resp.content_type = "text/html; charset=utf-8"
            resp.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            resp.data = html(told).encode()


class Capture(Resource):
    """`/api/admin/capture`."""

    @describes(Media(("application/gzip",)), who="admin", query={"minutes": float})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A tar.gz of what the server knows of the last `minutes`, made while it is sent."""
        require_admin(req)
        minutes = _minutes(req.get_param("minutes"))
        resp.content_type = "application/gzip"
        resp.set_header("Content-Disposition", f'attachment; filename="{folder_name(time.time())}.tar.gz"')
        resp.stream = req.doors.incidents.capture(req.caller, minutes)


def _minutes(text: str | None) -> float:
    try:
        minutes = float(text) if text is not None else DEFAULT_MINUTES
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= MAX_MINUTES:
        raise PylonError("INVALID_QUERY", f"minutes: expected a number above 0, at most {MAX_MINUTES:g}")
    return minutes


def _moment(when: When, now: float, name: str) -> float:
    """What the body says, or now. Later than now is a slip of the pen."""
    if when is None or when == "":
        return now
    try:
        at = float(when) if not isinstance(when, str) else parse_time(when, now)
    except ValueError:
        raise PylonError("INVALID_DATA", f"{name}: expected a time: {FORMS}") from None
    if not 0 < at <= now + 60:
        raise PylonError("INVALID_DATA", f"{name}: expected a time that has passed")
    return at


def _name(req: Request) -> str:
    user = req.caller.identity.user_id
    return "operator" if user in (None, "__admin__") else str(user)


ROUTES: dict[str, object] = {
    "/api/admin/incidents": Incidents(),
    "/api/admin/incidents/{incident_id}": OneIncident(),
    "/api/admin/incidents/{incident_id}/notes": Notes(),
    "/api/admin/incidents/{incident_id}/close": Closing(),
    "/api/admin/incidents/{incident_id}/report": Report(),
    "/api/admin/capture": Capture(),
}
