"""Functions over HTTP (spec 04 §3): call, stream, resume, list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import falcon.asgi
import msgspec

from pylon.compute.functions import Called
from pylon.web.described import ANYTHING, READS, SEQ, WRITES, Media, describes
from pylon.web.request import Request, Resource, require_admin, whole_number
from pylon.web.writes import once_from

_STREAM_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "connection": "close",
    "x-accel-buffering": "no",
}


class Call(Resource):
    """`/api/fn/{name}`."""

    @describes(
        ANYTHING,
        body=dict[str, Any],
        who="session",
        headers=SEQ,
        errors=(
            "FN_NOT_FOUND",
            "FORBIDDEN",
            "INVALID_ARGS",
            "FN_TIMEOUT",
            "HANDLER_ERROR",
            "STREAM_OVERLOADED",
            "NOT_FOUND",
            "POLICY_DENIED",
            *READS,
            *WRITES,
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """Call it; the result as bare JSON, or as a stream for a client that takes one."""
        functions = req.doors.functions
        body = await req.body()
        if b"text/event-stream" not in req._asgi_headers.get(b"accept", b""):
            _answer(resp, await functions.call(req.caller, name, body, once_from(req, body)))
            return
        req.doors.limits.become_stream(req)
        outcome = await functions.stream(req.caller, name, body)
        if isinstance(outcome, Called):
            _answer(resp, outcome)
        else:
            stream_id, frames = outcome
            _stream(resp, stream_id, frames)


class ResumeStream(Resource):
    """`/api/fn-streams/{stream_id}`."""

    @describes(
        Media(("text/event-stream",)),
        query={"since": int},
        errors=("STREAM_NOT_FOUND", "STREAM_GONE", "STREAM_OVERLOADED"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, stream_id: str) -> None:
        """The frames behind Last-Event-ID, or `since`."""
        req.doors.limits.become_stream(req)
        after = whole_number(req.get_header("Last-Event-ID") or req.get_param("since"), 0) or 0
        _stream(resp, stream_id, _with_retry(req.doors.functions.resume(req.caller, stream_id, after)))


class FunctionList(Resource):
    """`/api/fn`."""

    @describes(list[dict[str, Any]], who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The registry, for admins."""
        require_admin(req)
        resp.data = msgspec.json.encode(req.doors.functions.describe())


def _answer(resp: falcon.asgi.Response, called: Called) -> None:
    resp.data = called.body
    if called.is_replay:
        resp.set_header("Idempotency-Replayed", "true")
    if called.seq:
        resp._headers["x-pylon-change-seq"] = str(called.seq)


def _stream(resp: falcon.asgi.Response, stream_id: str, frames: AsyncIterator[bytes]) -> None:
    resp._headers.update(_STREAM_HEADERS)
    resp.set_header("X-Pylon-Stream-Id", stream_id)
    resp.stream = frames


async def _with_retry(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    async for frame in frames:
        yield frame
