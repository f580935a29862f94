"""What the routes need of the rooms below; `pylon.server` fills it in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylon.auth.foundation import Foundation
from pylon.auth.operators import Operators
from pylon.auth.sessions import Sessions
from pylon.compute.functions import Functions
from pylon.engine.engine import Engine
from pylon.engine.resealing import Resealing
from pylon.ops.alarms import Alarms
from pylon.ops.backup.schedule import Backups
from pylon.ops.incident.desk import IncidentDesk
from pylon.ops.overview import Overview
from pylon.plugins.host import Plugins
from pylon.settings import Settings
from pylon.signals.metrics import Registry
from pylon.signals.traffic import Traffic
from pylon.sync.door import Door
from pylon.sync.pull import Pull
from pylon.sync.push import Push
from pylon.sync.room_guard import RoomGuard
from pylon.sync.throttles import Throttles
from pylon.web.admin.use import AdminUse
from pylon.web.limits import EdgeLimits

AsgiHandler = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Doors:
    """The rooms that HTTP opens onto.

    `identity` is what signing in stands on. `events` is the SSE stream and `sockets` the WebSocket as ASGI handlers;
    the latter serves under other servers than ours, which handles upgrades itself. `readiness` tells why the server is
    not ready, None when it is; `sections` is what `/metrics` adds in JSON. `live` is where sockets and streams come
    in, for operators. `stopping` is set when the server begins to stop, so that streams without an end of their own
    don't hold it up.
    """

    engine: Engine
    sessions: Sessions
    identity: Foundation
    operators: Operators
    functions: Functions
    pull: Pull
    push: Push
    settings: Settings
    registry: Registry
    traffic: Traffic
    version: str
    events: AsgiHandler
    sockets: AsgiHandler
    readiness: Callable[[], Awaitable[str | None]]
    admin_use: AdminUse
    backups: Backups
    sections: Callable[[], dict[str, dict[str, Any]]]
    incidents: IncidentDesk
    overview: Overview
    alarms: Alarms
    resealing: Resealing
    live: Door
    rooms: RoomGuard
    throttles: Throttles
    limits: EdgeLimits
    plugins: Plugins
    web_folder: Path | None = None
    dev: bool = False
    cookie_name: str = field(default="pylon_session")
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
