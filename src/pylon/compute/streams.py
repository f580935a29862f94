"""Streams of actions as SSE frames that a client can resume (spec 04 §3.2).

The action runs to its end whether or not anybody listens. Its frames are kept, bounded in bytes, until a while after
the end, so that a client that lost its connection goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

import msgspec

from pylon.model.errors import PylonError

BUFFER_BYTES = 4 * 2**20
RETAIN_SECONDS = 60.0
MAX_STREAMS = 512
HEARTBEAT_SECONDS = 15.0

_HEARTBEAT = b": hb\n\n"


class Event(msgspec.Struct, frozen=True):
    """A named event to yield from a streaming action: `yield Event("progress", {"percent": 40})`."""

    name: str
    data: object


class Stream:
    """The frames of one call. `owner` is who may resume it."""

    def __init__(self, owner: str) -> None:
        self.stream_id = "st_" + secrets.token_hex(20)
        self.owner = owner
        self._frames: list[bytes] = []
        self._first = 1
        self._bytes = 0
        self._ended = False
        self.result: bytes | None = None
        self.failure: PylonError | None = None
        self._news = asyncio.Event()

    @property
    def last_id(self) -> int:
        """The id of the newest frame, 0 before the first."""
        return self._first + len(self._frames) - 1

    def push(self, event: str | None, text: str) -> None:
        """Append one frame; when the buffer is full the oldest go."""
        name = f"event: {event}\n" if event else ""
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        frame = f"id: {self.last_id + 1}\n{name}{lines}\n".encode()
        self._frames.append(frame)
        self._bytes += len(frame)
        while self._bytes > BUFFER_BYTES and len(self._frames) > 1:
            self._bytes -= len(self._frames.pop(0))
            self._first += 1
        self._wake()

    def finish(self, result: bytes) -> None:
        """End with what the function returned, as JSON."""
        self.result = result
        self._end("result", result)

    def fail(self, error: PylonError) -> None:
        """End with an error."""
        self.failure = error
        self._end("error", msgspec.json.encode(error.envelope()["error"]))

    def _end(self, event: str, value: bytes) -> None:
        self._ended = True
        self.push(event, value.decode())

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def frames(self, after: int = 0) -> AsyncIterator[bytes]:
        """Frames above the id `after`, then those to come, until the terminal one. Raises STREAM_GONE when some of
        them are no longer kept."""
        if after + 1 < self._first:
            raise gone()
        while True:
            start = after + 1 - self._first
            if start < 0:
                raise gone()
            for frame in self._frames[start:]:
                after += 1
                yield frame
            if after == self.last_id:
                if self._ended:
                    return
                news = self._news
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield _HEARTBEAT


class Streams:
    """The streams that run or ended a moment ago."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, owner: str) -> Stream:
        """A new stream. Raises STREAM_OVERLOADED at the limit."""
        if len(self._streams) >= MAX_STREAMS:
            raise PylonError(
                "STREAM_OVERLOADED",
                "Server is at its streaming concurrency cap. Retry shortly.",
                headers={"Retry-After": "1"},
            )
        stream = Stream(owner)
        self._streams[stream.stream_id] = stream
        return stream

    def run(self, stream: Stream, task: asyncio.Task[None]) -> None:
        """Keep the task that fills a stream, and the stream until a while after it ends."""
        self._tasks.add(task)
        loop = asyncio.get_running_loop()

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            loop.call_later(RETAIN_SECONDS, self._streams.pop, stream.stream_id, None)

        task.add_done_callback(ended)

    def drop(self, stream: Stream) -> None:
        """Forget a stream that nobody was told of."""
        self._streams.pop(stream.stream_id, None)

    def find(self, stream_id: str, principal: str, *, is_admin: bool) -> Stream:
        """A stream that this principal may resume. Raises STREAM_NOT_FOUND, alike for a stranger's stream."""
        stream = self._streams.get(stream_id)
        if stream is None or (stream.owner != principal and not is_admin):
            raise PylonError("STREAM_NOT_FOUND", "Unknown or expired stream id")
        return stream

    def __len__(self) -> int:
        return len(self._streams)

    async def stop(self) -> None:
        """Cancel what still runs."""
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task


def gone() -> PylonError:
    """The client asks for frames that are no longer kept."""
    return PylonError("STREAM_GONE", "The stream's earlier frames are no longer kept: call the function again")
