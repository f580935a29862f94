"""Calling functions: gate, arguments, the right place to run, the result as JSON (spec 04 §2-3).

A query runs on a read snapshot on a reader thread, a mutation as one transaction on the writer thread, an action on
the event loop. Each has its time limit.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec

from pylon.compute.context import Context
from pylon.compute.database import Codecs, Database
from pylon.compute.recorder import RecordedRows, Recorder
from pylon.compute.results import Results
from pylon.compute.rooms import FunctionRooms, NoRooms, Perform, RoomDoor
from pylon.compute.streams import Event, Stream, Streams
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.idempotency import Answer, Once, answer_once
from pylon.engine.limits.gate import Viewer
from pylon.engine.limits.usage import Meter
from pylon.engine.transaction import Authority, RowAccess, Transaction
from pylon.model.errors import PylonError
from pylon.model.functions import decode_arguments
from pylon.model.identity import ADMIN
from pylon.model.schema import FunctionSpec
from pylon.signals import tracing
from pylon.signals.logs import Log, bound_request
from pylon.store.protocol import ReadSession

log = Log("pylon.functions")

R = TypeVar("R")

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Called(msgspec.Struct, frozen=True):
    """The outcome of a call: the result as JSON, the seq of the last change it made, 0 without one, and whether it is
    that of an earlier call with the same key."""

    body: bytes
    seq: int = 0
    is_replay: bool = False


class Watched(msgspec.Struct, frozen=True):
    """A query with its arguments as JSON, in one form for equal ones, defaults filled in."""

    function: FunctionSpec
    arguments: bytes


async def _no_connection(caller: Caller, name: str) -> dict[str, Any]:
    raise PylonError("CONNECTIONS_NOT_CONFIGURED", "No provider is set up here")


class Functions:
    """The functions of one app. `rooms` and `connection`, tokens of a caller at a provider, are the server's, set while
    it is put together."""

    def __init__(
        self,
        engine: Engine,
        functions: Sequence[FunctionSpec],
        *,
        timeout: float = 30.0,
        mutation_timeout: float = 2.0,
        authority: Authority = Authority.TRUSTED,
    ) -> None:
        self._engine = engine
        self._codecs = Codecs(engine.plans)
        self._results = Results(self._codecs)
        self._timeout = timeout
        self._mutation_timeout = mutation_timeout
        self._authority = authority
        self._functions = {f.name: f for f in functions}
        self._names: dict[Callable[..., Any], str] = {f.handler: f.name for f in functions}
        for function in functions:
            for alias in function.aliases:
                self._functions.setdefault(alias, function)
        self.streams = Streams()
        self.rooms: RoomDoor = NoRooms()
        self.connection: Callable[[Caller, str], Awaitable[dict[str, Any]]] = _no_connection

    def __len__(self) -> int:
        return len(self._functions)

    def describe(self) -> list[dict[str, Any]]:
        """The registry, as `GET /api/fn` shows it (spec 04 §2.3)."""
        listed = []
        for function in {f.name: f for f in self._functions.values()}.values():
            entry: dict[str, Any] = {
                "name": function.name,
                "fn_type": function.kind,
                "auth": function.auth,
                "args_schema": function.args_schema,
            }
            if function.internal:
                entry["internal"] = True
            if function.timeout is not None:
                entry["timeout_secs"] = function.timeout
            listed.append(entry)
        return listed

    async def call(self, caller: Caller, name: str, body: bytes, once: Once | None = None) -> Called:
        """Call a function from outside; a mutation with a key happens once. Raises FN_NOT_FOUND, AUTH_REQUIRED,
        FORBIDDEN, INVALID_JSON, INVALID_ARGS, FN_TIMEOUT, HANDLER_ERROR, IDEMPOTENCY_MISMATCH, and what the function
        itself raises."""
        function = self._admitted(caller, name)
        arguments = msgspec.structs.asdict(decode_arguments(function, body))
        return await self._run(caller, function, arguments, once)

    async def invoke(self, caller: Caller, name: str, arguments: dict[str, Any]) -> None:
        """Call a function because the app's declaration says so, internal or not and whatever its `auth`. Raises what
        `call` raises."""
        function = self._admitted(msgspec.structs.replace(caller, identity=ADMIN), name)
        decoded = decode_arguments(function, msgspec.json.encode(arguments))
        await self._run(caller, function, msgspec.structs.asdict(decoded))

    def watch(self, caller: Caller, name: str, body: bytes) -> Watched:
        """A call of a query that is to be repeated when what it read changes. Raises FN_TYPE_MISMATCH for a function
        that is no query, and what `call` raises before it runs the function."""
        function = self._admitted(caller, name)
        if function.kind != "query":
            raise PylonError("FN_TYPE_MISMATCH", f'Function "{name}" is not a query: only queries are live')
        return Watched(function, _canonical(decode_arguments(function, body)))

    async def repeat(self, caller: Caller, watched: Watched, recorder: Recorder, time_limit: float) -> bytes:
        """Run a watched query for at most `time_limit` seconds and its own limit, writing down what it reads; its
        result as JSON. Raises what `call` raises."""
        function = self._admitted(caller, watched.function.name)
        arguments = msgspec.structs.asdict(decode_arguments(function, watched.arguments))
        caller = msgspec.structs.replace(caller, door=f"fn:{function.name}")
        try:
            with _span(function):
                return await self._query(caller, function, arguments, recorder, time_limit)
        except PylonError:
            raise
        except Exception as error:  # the boundary to the app's own code
            raise self._handler_error(caller, function, error) from error

    async def decide(
        self,
        caller: Caller,
        function: FunctionSpec,
        arguments: dict[str, Any],
        recorder: Recorder,
        time_limit: float,
    ) -> bool:
        """Whether a query of the app's own says yes of a caller, writing down what it reads. Raises what it raises."""
        caller = msgspec.structs.replace(caller, door=f"fn:{function.name}")
        try:
            with _span(function):
                return await self._read(caller, function, arguments, bool, recorder, time_limit)
        except PylonError:
            raise
        except Exception as error:  # the boundary to the app's own code
            raise self._handler_error(caller, function, error) from error

    async def stream(self, caller: Caller, name: str, body: bytes) -> Called | tuple[str, AsyncIterator[bytes]]:
        """The same for a client that takes SSE: (stream id, frames) once the function streams, or what it returned
        without streaming."""
        function = self._admitted(caller, name)
        arguments = msgspec.structs.asdict(decode_arguments(function, body))
        if not function.streams:
            return await self._run(caller, function, arguments)
        stream = self.streams.open(caller.principal)
        task = asyncio.create_task(self._fill(stream, caller, function, arguments))
        self.streams.run(stream, task)
        frames = stream.frames()
        first = await anext(frames)
        if stream.last_id == 1 and (stream.failure or stream.result is not None):
            self.streams.drop(stream)
            if stream.failure:
                raise stream.failure
            return Called(stream.result or b"null")
        return stream.stream_id, _chain(first, frames)

    def resume(self, caller: Caller, stream_id: str, after: int) -> AsyncIterator[bytes]:
        """A stream's frames above the id `after`. Raises STREAM_NOT_FOUND, STREAM_GONE."""
        stream = self.streams.find(stream_id, caller.principal, is_admin=caller.identity.is_admin)
        return stream.frames(after)

    async def stop(self) -> None:
        """Cancel the streams that run."""
        await self.streams.stop()

    def _admitted(self, caller: Caller, name: str) -> FunctionSpec:
        identity = caller.identity
        function = self._functions.get(name)
        if function is None or (function.internal and not identity.is_admin):
            raise PylonError("FN_NOT_FOUND", f'Function "{name[:100]}" is not registered')
        board = self._engine.switches.board
        if not board.is_quiet:
            board.check_function(function.name, identity)
        if identity.is_admin or function.auth == "public":
            return function
        if function.auth == "admin":
            raise PylonError("FORBIDDEN", f'Function "{name}" requires admin authentication')
        if identity.user_id is None and function.auth == "guest":
            raise PylonError(
                "AUTH_REQUIRED", f'Function "{name}" requires a session — sign in or POST /api/auth/guest first'
            )
        if function.auth == "user" and (identity.user_id is None or identity.is_guest):
            raise PylonError("AUTH_REQUIRED", f'Function "{name}" requires a signed-in user')
        return function

    async def _run(
        self, caller: Caller, function: FunctionSpec, arguments: dict[str, Any], once: Once | None = None
    ) -> Called:
        caller = msgspec.structs.replace(caller, door=f"fn:{function.name}")
        with _span(function):
            try:
                if function.kind == "query":
                    return Called(await self._query(caller, function, arguments))
                if function.kind == "mutation":
                    return await self._mutation(caller, function, arguments, once)
                return Called(await self._action(caller, function, arguments))
            except PylonError:
                raise
            except Exception as error:  # the boundary to the app's own code
                raise self._handler_error(caller, function, error) from error

    async def _query(
        self,
        caller: Caller,
        function: FunctionSpec,
        arguments: dict[str, Any],
        recorder: Recorder | None = None,
        time_limit: float = math.inf,
    ) -> bytes:
        return await self._read(caller, function, arguments, self._results.encode, recorder, time_limit)

    async def _read(
        self,
        caller: Caller,
        function: FunctionSpec,
        arguments: dict[str, Any],
        finish: Callable[[Any], R],
        recorder: Recorder | None,
        time_limit: float,
    ) -> R:
        carried = tracing.carry()

        def read(session: ReadSession) -> R:
            access, recorded = RowAccess(session, self._engine.plans), tracing.NOTHING
            if recorder is not None:
                access = RecordedRows(session, self._engine.plans, recorder)
                recorded = recorder.run(session.log_head())
            database = Database(self._codecs, access, None, Viewer(self._engine.gate, caller))
            context = Context(caller, self._engine.flags, self._spend, database, recorder=recorder)
            with recorded, bound_request(caller.request_id), carried:
                return finish(function.handler(context, **arguments))

        limit = min(function.timeout or self._timeout, time_limit)
        return await self._engine.reads.run(read, limit, caller=caller, what=f"fn {function.name}")

    async def _mutation(
        self, caller: Caller, function: FunctionSpec, arguments: dict[str, Any], once: Once | None
    ) -> Called:
        carried = tracing.carry()

        def write(transaction: Transaction) -> Answer:
            context = Context(
                caller,
                self._engine.flags,
                self._spend,
                Database(self._codecs, transaction, transaction, Viewer(self._engine.gate, caller)),
                rooms=lambda: self._rooms_for(caller, transaction.after_commit),
            )
            with bound_request(caller.request_id), carried:
                return Answer(self._results.encode(function.handler(context, **arguments)))

        began = time.monotonic()
        try:
            outcome = await self._engine.run(
                caller,
                write if once is None else lambda transaction: answer_once(transaction, once, write),
                authority=self._authority,
                time_limit=function.timeout or self._mutation_timeout,
            )
        finally:
            self._engine.reads.readers.ended(f"fn {function.name}", caller, time.monotonic() - began)
        return Called(outcome.value.body, outcome.seq, outcome.value.is_replay)

    async def _action(self, caller: Caller, function: FunctionSpec, arguments: dict[str, Any]) -> bytes:
        context = self._action_context(caller)
        try:
            async with asyncio.timeout(function.timeout or self._timeout) as limit:
                if function.streams:
                    chunks = [_plain(chunk) async for chunk in function.handler(context, **arguments)]
                    result = chunks if context.result is None else context.result
                else:
                    result = await function.handler(context, **arguments)
        except TimeoutError:
            raise PylonError("FN_TIMEOUT", "Function exceeded the configured call timeout") from None
        if limit.expired():  # it swallowed its cancellation
            raise PylonError("FN_TIMEOUT", "Function exceeded the configured call timeout")
        return self._results.encode(result)

    def _rooms_for(self, caller: Caller, perform: Perform) -> FunctionRooms:
        gate = self._engine.gate

        def counted(act: Callable[[], None]) -> None:
            def act_and_count() -> None:
                gate.published(caller)
                act()

            perform(act_and_count)

        return FunctionRooms(self.rooms, self._results.plain, counted)

    def _action_context(self, caller: Caller) -> Context:
        async def run(target: Callable[..., Any] | str, arguments: dict[str, Any]) -> Any:
            name = target if isinstance(target, str) else self._names.get(target, getattr(target, "__name__", "?"))
            function = self._functions.get(name)
            if function is None:
                raise PylonError("FN_NOT_FOUND", f'Function "{name}" is not registered')
            body = msgspec.json.encode({key: self._results.plain(value) for key, value in arguments.items()})
            checked = msgspec.structs.asdict(decode_arguments(function, body))
            return msgspec.json.decode((await self._run(caller, function, checked)).body)

        loop = asyncio.get_running_loop()
        thread = threading.get_ident()

        def perform(act: Callable[[], None]) -> None:
            if threading.get_ident() == thread:
                act()
            else:  # the action went to a thread of its own
                loop.call_soon_threadsafe(act)

        return Context(
            caller,
            self._engine.flags,
            self._spend,
            None,
            run,
            rooms=lambda: self._rooms_for(caller, perform),
            connection=lambda name: self.connection(caller, name),
        )

    def _spend(self, caller: Caller, name: str, amount: int) -> None:
        try:
            meter = Meter(name)
        except ValueError:
            known = ", ".join(Meter)
            raise PylonError("INVALID_DATA", f"there is no meter {name!r}: there are {known}") from None
        self._engine.budgets.spend(meter, caller.identity.user_id, amount)

    async def _fill(self, stream: Stream, caller: Caller, function: FunctionSpec, arguments: dict[str, Any]) -> None:
        with _span(function):
            await self._fill_within(stream, caller, function, arguments)

    async def _fill_within(
        self, stream: Stream, caller: Caller, function: FunctionSpec, arguments: dict[str, Any]
    ) -> None:
        context = self._action_context(caller)
        try:
            async with asyncio.timeout(function.timeout or self._timeout):
                async for chunk in function.handler(context, **arguments):
                    self._push(stream, chunk)
            stream.finish(self._results.encode(context.result))
        except TimeoutError:
            stream.fail(PylonError("FN_TIMEOUT", "Function exceeded the configured call timeout"))
        except PylonError as error:
            stream.fail(error)
        except Exception as error:  # the boundary to the app's own code
            stream.fail(self._handler_error(caller, function, error))

    def _push(self, stream: Stream, chunk: Any) -> None:
        if isinstance(chunk, Event):
            stream.push(chunk.name, self._results.encode(chunk.data).decode())
        elif isinstance(chunk, str):
            stream.push(None, chunk)
        else:
            stream.push(None, self._results.encode(chunk).decode())

    def _handler_error(self, caller: Caller, function: FunctionSpec, error: Exception) -> PylonError:
        log.exception("function failed", function=function.name, request_id=caller.request_id)
        return PylonError("HANDLER_ERROR", "Internal handler error")


def _span(function: FunctionSpec) -> AbstractContextManager[None]:
    if tracing.tracer is None:
        return tracing.NOTHING
    return tracing.tracer.span(f"fn {function.name}", {"pylon.function": function.name, "pylon.kind": function.kind})


def _plain(chunk: Any) -> Any:
    return {"event": chunk.name, "data": chunk.data} if isinstance(chunk, Event) else chunk


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for frame in rest:
        yield frame
