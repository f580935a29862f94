"""What a function is given: who calls, the database as far as its kind may use it, and how to fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pylon.compute.database import Database
from pylon.compute.recorder import Recorder
from pylon.compute.rooms import FunctionRooms
from pylon.engine.caller import Caller
from pylon.engine.limits.flags import Flags
from pylon.model.errors import PylonError
from pylon.model.identity import Identity


class Auth:
    """The caller, as a function sees it (spec 04 §2.5)."""

    __slots__ = ("email", "is_admin", "is_guest", "roles", "tenant_id", "user_id")

    def __init__(self, caller: Caller) -> None:
        identity = caller.identity
        self.user_id: str | None = identity.user_id
        self.tenant_id: str | None = identity.tenant_id
        self.roles: tuple[str, ...] = identity.roles
        self.email: str | None = identity.email
        self.is_admin: bool = identity.is_admin
        self.is_guest: bool = identity.is_guest


class CallerFlags:
    """Feature flags, as a function asks for them."""

    __slots__ = ("_flags", "_identity", "_recorder")

    def __init__(self, flags: Flags, identity: Identity, recorder: Recorder | None) -> None:
        self._flags = flags
        self._identity = identity
        self._recorder = recorder

    def enabled(self, name: str, user: str | None = None) -> bool:
        """Whether a flag is on: for the caller, or for the user of this id. A flag that nobody defined is off."""
        if self._recorder is not None:
            self._recorder.flags = True
        return self._flags.is_on(name, self._identity if user is None else Identity(user_id=user))


class Context:
    """The first argument of every function. What a function doesn't ask for isn't made.

    Attributes:
        request_id: the id of the request, as in its response header and the log.
        result: of a streaming action, the value that ends the stream (None unless set).
    """

    __slots__ = (
        "_auth",
        "_call",
        "_caller",
        "_connection",
        "_db",
        "_enter_rooms",
        "_flags",
        "_recorder",
        "_rooms",
        "_spend",
        "request_id",
        "result",
    )

    def __init__(
        self,
        caller: Caller,
        flags: Flags,
        spend: Callable[[Caller, str, int], None],
        db: Database | None,
        call: Callable[[Any, dict[str, Any]], Awaitable[Any]] | None = None,
        recorder: Recorder | None = None,
        rooms: Callable[[], FunctionRooms] | None = None,
        connection: Callable[[str], Awaitable[dict[str, Any]]] | None = None,
    ) -> None:
        self.request_id = caller.request_id
        self.result: Any = None
        self._auth: Auth | None = None
        self._caller = caller
        self._flags = flags
        self._recorder = recorder
        self._db = db
        self._call = call
        self._rooms: FunctionRooms | None = None
        self._enter_rooms = rooms
        self._connection = connection
        self._spend = spend

    @property
    def auth(self) -> Auth:
        """Who calls."""
        if self._auth is None:
            self._auth = Auth(self._caller)
        return self._auth

    @property
    def flags(self) -> CallerFlags:
        """The app's feature flags, as they stand for the caller."""
        return CallerFlags(self._flags, self._caller.identity, self._recorder)

    @property
    def db(self) -> Database:
        """The database: read-only in a query, read and write in a mutation. An action has none, because it may wait
        for the network: it calls queries and mutations with `await ctx.run(...)`."""
        if self._db is None:
            raise PylonError(
                "FN_TYPE_MISMATCH",
                "an action has no ctx.db: call a query or a mutation with `await ctx.run(function, ...)`",
            )
        return self._db

    @property
    def rooms(self) -> FunctionRooms:
        """Who is in which room, and messages to them: in mutations, once they are committed, and actions. A query has
        none: who is in a room changes without a write, so nothing would make a live one run again."""
        if self._rooms is None:
            if self._enter_rooms is None:
                raise PylonError(
                    "FN_TYPE_MISMATCH",
                    "a query has no ctx.rooms: call an action or a mutation, or follow the room over the socket",
                )
            self._rooms = self._enter_rooms()
        return self._rooms

    async def run(self, function: Callable[..., Any] | str, /, **arguments: Any) -> Any:
        """From an action: call a query, mutation or action of this app as the same caller; its result as plain JSON
        values. Internal functions may be called. Raises what the function raises."""
        if self._call is None:
            raise PylonError(
                "FN_TYPE_MISMATCH", "only an action may call other functions; call Python functions directly"
            )
        return await self._call(function, arguments)

    async def connection(self, name: str) -> dict[str, Any]:
        """From an action: the caller's own token at a provider, `{"access_token","expires_at","provider","scope"}`,
        renewed where it is about to run out. Raises CONNECTION_NOT_LINKED until the user has linked it,
        CONNECTION_REQUIRES_AUTH, CONNECTION_UNKNOWN, CONNECTIONS_NOT_CONFIGURED, NO_REFRESH_TOKEN, REFRESH_FAILED."""
        if self._connection is None:
            raise PylonError("FN_TYPE_MISMATCH", "only an action may use a connection: it waits for the network")
        return await self._connection(name)

    def spend(self, meter: str, amount: int) -> None:
        """Count what this call uses of a budgeted resource: `ctx.spend("llm_tokens", 1200)`, `ctx.spend("mail", 1)`.
        Raises BUDGET_EXCEEDED once a hard budget of it is spent, INVALID_DATA for an unknown meter."""
        self._spend(self._caller, meter, amount)

    @staticmethod
    def error(code: str, message: str, *, status: int = 400, hint: str | None = None) -> PylonError:
        """An error to raise: `raise ctx.error("NOT_FOUND", "no such task")`. The caller gets code, message and hint;
        in a mutation everything is rolled back. `status` is 400 unless said otherwise (spec 04 §3.1)."""
        return PylonError(code, message, status=status, hint=hint)
