"""Streaming actions: what a function yields, as it does, over connections that may break (spec 04 §3.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from pylon.client.errors import ApiError, Unreachable, error_from
from pylon.client.http import Http
from pylon.client.shapes import load

_EVENTS = "text/event-stream"


class StreamEvent(msgspec.Struct, frozen=True):
    """What was yielded: a chunk of text, or with a `name` an event. `str(event)` is the text."""

    text: str
    name: str | None = None
    id: int = 0

    def json(self) -> Any:
        """The text decoded: what isn't a string was sent as JSON."""
        return msgspec.json.decode(self.text)

    def __str__(self) -> str:
        return self.text


class ActionStream:
    """A call that streams: `async for event in client.stream("summarise", note=id)`. When the connection breaks, it
    goes on behind the last event that arrived. `result` is there after the end."""

    def __init__(self, http: Http, name: str, arguments: dict[str, Any], into: Any) -> None:
        self._http = http
        self._path = f"/api/fn/{name}"
        self._arguments = arguments
        self._into = into
        self._last = 0
        self._ended = False
        self.stream_id: str | None = None
        self.result: Any = None

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        failures = 0
        while not self._ended:
            before = self._last
            try:
                async with aclosing(self._connection()) as connection:  # who leaves early ends the request
                    async for event in connection:
                        yield event
                if not self._ended:
                    raise Unreachable(f"{self._path}: the stream broke off")
            except Unreachable:
                failures = 1 if self._last > before else failures + 1
                if self.stream_id is None or failures >= self._http.backoff.tries:
                    raise
                await asyncio.sleep(self._http.backoff.delay(failures))

    async def text(self) -> str:
        """All chunks together; named events are left out."""
        return "".join([event.text async for event in self if event.name is None])

    async def _connection(self) -> AsyncGenerator[StreamEvent]:
        if self.stream_id is None:
            request = self._http.stream("POST", self._path, self._arguments, headers={"Accept": _EVENTS})
        else:
            path = f"/api/fn-streams/{self.stream_id}"
            request = self._http.stream("GET", path, headers={"Last-Event-ID": str(self._last)})
        async with request as answer:
            if not answer.headers.get("content-type", "").startswith(_EVENTS):
                self._end(await answer.aread())  # it does not stream
                return
            self.stream_id = answer.headers.get("x-pylon-stream-id", self.stream_id)
            async for event in _parsed(answer.aiter_lines()):
                if event.id:
                    self._last = event.id
                if event.name == "result":
                    self._end(event.text.encode())
                    return
                if event.name == "error":
                    self._ended = True
                    raise _failure(event.text)
                yield event

    def _end(self, value: bytes) -> None:
        self._ended = True
        self.result = load(self._into, msgspec.json.decode(value or b"null"))


async def _parsed(lines: AsyncIterator[str]) -> AsyncIterator[StreamEvent]:
    data: list[str] = []
    name: str | None = None
    number = 0
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield StreamEvent("\n".join(data), name, number)
            data, name, number = [], None, 0
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and value.isdigit():
            number = int(value)


def _failure(text: str) -> ApiError:
    try:
        return error_from(msgspec.json.decode(text))
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ApiError("HANDLER_ERROR", text[:300])
