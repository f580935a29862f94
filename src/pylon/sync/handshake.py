"""Who wants a socket or a stream, and the hooks of requests at the live doors: plugins are asked before it opens, and
told how it was answered.

A plugin may take its time, so who is admitted is found out again behind the hooks: the session may have ended, or the
address have filled its places, meanwhile. Where no plugin wants to be asked, a handshake is one step, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.plugins.host import Plugins
from pylon.plugins.requests import PluginRequest
from pylon.sync.connection import Credential
from pylon.sync.door import Door
from pylon.sync.subset import Subset

Enter = Callable[[Credential, Subset | None], None]


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the head of an upgrade or a stream says. `token` is a credential beside the headers."""

    path: str
    query: str
    headers: dict[str, str]
    ip: str
    token: str | None
    needs_session: bool = False

    def admitted(self, door: Door) -> tuple[Credential, Subset | None]:
        """Who may open it now, and the part that it asks for. Raises what `Door.admit` and `Door.subset` do, and
        AUTH_REQUIRED."""
        credential = door.admit(self.ip, self.headers, self.token)
        if self.needs_session and credential.identity.user_id is None:
            raise PylonError("AUTH_REQUIRED", "authenticated session required")
        return credential, door.subset(self.query, credential.identity)

    def as_request(self, credential: Credential) -> PluginRequest:
        """The handshake as hooks see it: a GET whose caller comes through the door `live`."""
        caller = Caller(identity=credential.identity, ip=self.ip, door="live", session=credential.key)
        query = dict(parse_qsl(self.query, keep_blank_values=True))
        return PluginRequest(
            "GET", self.path, headers=self.headers, query=query, ip=self.ip, caller=lambda: caller, body=_no_body
        )


async def ask(
    plugins: Plugins,
    door: Door,
    handshake: Handshake,
    credential: Credential,
    enter: Enter,
    refuse: Callable[[PylonError], None],
    status: int,
) -> None:
    """Ask the plugins, then enter or refuse, and tell them `status` or the refusal's."""
    request = handshake.as_request(credential)
    try:
        await plugins.request(request)
        enter(*handshake.admitted(door))
    except PylonError as error:
        refuse(error)
        status = error.status
    await plugins.response(request, status)


async def _no_body() -> bytes:
    return b""
