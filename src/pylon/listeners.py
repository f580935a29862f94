"""The listening sockets of one server: HTTP on P, WebSocket for older clients on P+1, SSE on P+2.

They are bound before anything else is loaded, so that a taken port is told at once, and they can be handed to another
process (`environment`, `inherited`): in dev a supervisor keeps them open while the server behind them is replaced, so a
client that connects meanwhile waits in the backlog instead of being refused. In production a successor listens beside
its predecessor (`BESIDE`), for the same reason.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pylon.settings import Settings

LISTEN_FDS: Final = "PYLON_LISTEN_FDS"
"""`http=3,ws=4,sse=5`: the descriptors that a supervisor hands to its child."""

BACKLOG: Final = 2048
_FREE_PORT_ATTEMPTS: Final = 16

_SHARED: Final[tuple[int, ...]] = (socket.SO_REUSEPORT,) if hasattr(socket, "SO_REUSEPORT") else ()
ALONE: Final = (socket.SO_REUSEADDR,)
BESIDE: Final = (*ALONE, *_SHARED)
"""The options of sockets that may listen where another process of this user listens, if that lets them. Each of ours
does once it listens; a server that doesn't ask for it is told that the port is taken, as anywhere."""


class ListenError(Exception):
    """The HTTP port can't be bound. The message names host, port and the mend."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Bound, listening sockets. `ws` and `sse` are None where switched off or not available; `warnings` says why."""

    http: socket.socket
    ws: socket.socket | None = None
    sse: socket.socket | None = None
    warnings: tuple[str, ...] = ()

    @property
    def port(self) -> int:
        """The HTTP port that was really bound."""
        return int(self.http.getsockname()[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine reaches the server."""
        host = str(self.http.getsockname()[0])
        local = {"0.0.0.0": "localhost", "::": "localhost", "127.0.0.1": "localhost", "::1": "localhost"}  # noqa: S104
        shown = local.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{shown}:{self.port}"

    def sockets(self) -> dict[str, socket.socket]:
        """The open ones by role: http, ws, sse."""
        named = {"http": self.http, "ws": self.ws, "sse": self.sse}
        return {role: opened for role, opened in named.items() if opened is not None}

    def descriptors(self) -> tuple[int, ...]:
        """What `subprocess.Popen(pass_fds=...)` needs."""
        return tuple(opened.fileno() for opened in self.sockets().values())

    def environment(self) -> dict[str, str]:
        """The variable that tells a child which descriptor is which."""
        return {LISTEN_FDS: ",".join(f"{role}={opened.fileno()}" for role, opened in self.sockets().items())}

    def close(self) -> None:
        for opened in self.sockets().values():
            opened.close()


def bind(settings: Settings, options: tuple[int, ...] = ALONE) -> Listeners:
    """Listen on the ports that the settings name. Raises ListenError when the HTTP port can't be had; an extra port
    that can't is a warning. Port 0 takes a free port whose two neighbours are free as well."""
    if settings.port == 0 and settings.extra_ports:
        return _bind_free(settings)
    return _bind_at(settings, settings.port, options)


def inherited(environ: Mapping[str, str]) -> Listeners | None:
    """The sockets that a supervisor handed to this process, or None. Raises ListenError when they are not sockets."""
    text = environ.get(LISTEN_FDS)
    if not text:
        return None
    try:
        opened = {role: _adopt(number) for role, _, number in (part.partition("=") for part in text.split(","))}
        return Listeners(http=opened["http"], ws=opened.get("ws"), sse=opened.get("sse"))
    except (OSError, ValueError, KeyError) as error:
        raise ListenError(f"{LISTEN_FDS}={text!r} names no listening sockets; only `pylon dev` sets it") from error


def _adopt(number: str) -> socket.socket:
    """The socket of an inherited descriptor, which this process's own children do not get."""
    opened = socket.socket(fileno=int(number))
    opened.set_inheritable(False)
    opened.setblocking(False)
    return opened


def _bind_at(settings: Settings, port: int, options: tuple[int, ...] = ALONE) -> Listeners:
    try:
        http = _listen(settings.host, port, options)
    except OSError as error:
        raise ListenError(_explain(error, settings.host, port)) from error
    port = int(http.getsockname()[1])
    warnings: list[str] = []
    ws = _extra(settings.host, port + 1, options, "WebSocket", warnings) if settings.extra_ports else None
    wants_sse = settings.extra_ports and not settings.sse_port_disable
    sse = _extra(settings.host, port + 2, options, "SSE", warnings) if wants_sse else None
    return Listeners(http=http, ws=ws, sse=sse, warnings=tuple(warnings))


def _bind_free(settings: Settings) -> Listeners:
    """A free port whose neighbours are free; after some attempts, one whose neighbours are not."""
    for _ in range(_FREE_PORT_ATTEMPTS):
        listeners = _bind_at(settings, 0)
        if not listeners.warnings:
            return listeners
        listeners.close()
    return _bind_at(settings, 0)


def _extra(host: str, port: int, options: tuple[int, ...], role: str, warnings: list[str]) -> socket.socket | None:
    try:
        return _listen(host, port, options)
    except (OSError, OverflowError):
        warnings.append(
            f"port {port} ({role} for older clients) is not available; {role} is served on the main port. "
            "PYLON_EXTRA_PORTS=0 turns the extra ports off."
        )
        return None


def _listen(host: str, port: int, options: tuple[int, ...]) -> socket.socket:
    """One listening TCP socket that its children may inherit by number but do not by accident."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            opened.setsockopt(socket.SOL_SOCKET, option, 1)
        if host == "::":
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind((host, port))
        opened.listen(BACKLOG)
        for option in _SHARED:
            opened.setsockopt(socket.SOL_SOCKET, option, 1)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _explain(error: OSError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host!r} is not an address of this machine. Use --host 0.0.0.0 for all of them, or 127.0.0.1."
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} is already in use. Stop the other process, or choose another port: --port {_next(port)}."
            )
        case errno.EACCES:
            return f"no permission to listen on port {port}. Choose a port above 1023: --port 4321."
    return f"can't listen on {host}:{port}: {error.strerror}. Choose another port with --port."


def _next(port: int) -> int:
    """A port that does not collide with this one's extra ports."""
    return port + 10 if port + 12 <= 65535 else port - 10
