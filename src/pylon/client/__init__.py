"""A client of a Pylon server for Python programs: scripts, agents, notebooks, tests.

    AsyncClient      for asyncio
    Client           the same for everybody else
    Replica          the readable rows, live, and a queue of changes that outlasts everything
    PylonError       what goes wrong, with its code

It needs httpx, and websockets for what is live: `pip install 'pylon[client]'`.
"""

from pylon.client.blocking import BlockingReplica, BlockingRoom, BlockingStream, Client
from pylon.client.client import AsyncClient
from pylon.client.errors import ApiError, ClientError, Closed, Unreachable
from pylon.client.http import Backoff
from pylon.client.replica.calls import LiveCall
from pylon.client.replica.changes import Change
from pylon.client.replica.live import LiveQuery
from pylon.client.replica.push import Conflict
from pylon.client.replica.replica import Replica, Status
from pylon.client.replica.rooms import Room, RoomEvent
from pylon.client.replica.switched import Switch
from pylon.client.shapes import new_id
from pylon.client.streams import ActionStream, StreamEvent
from pylon.model.errors import PylonError

__all__ = [
    "ActionStream",
    "ApiError",
    "AsyncClient",
    "Backoff",
    "BlockingReplica",
    "BlockingRoom",
    "BlockingStream",
    "Change",
    "Client",
    "ClientError",
    "Closed",
    "Conflict",
    "LiveCall",
    "LiveQuery",
    "PylonError",
    "Replica",
    "Room",
    "RoomEvent",
    "Status",
    "StreamEvent",
    "Switch",
    "Unreachable",
    "new_id",
]
