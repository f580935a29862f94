"""What rooms alone cost: a room full of members whose cursors move. No network; run it as
`python -m benchmarks.rooms_micro`.
"""

from __future__ import annotations

import asyncio
import time

from pylon.engine.caller import Caller
from pylon.model.identity import Identity
from pylon.sync.events import Frames
from pylon.sync.rooms import Rooms

TURNS = 200
PER_TURN = 16


class Sink:
    """A socket that counts."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.bytes = 0

    def deliver(self, frames: Frames) -> None:
        """Count."""
        self.bytes += len(frames.websocket)


async def run(members: int) -> tuple[float, float]:
    """(presence updates, deliveries of them) a second, each member with a socket."""
    rooms = Rooms()
    callers = [Caller(identity=Identity(user_id=f"u{n}")) for n in range(members)]
    for n, caller in enumerate(callers):
        rooms.join(caller, "doc", {"x": 0, "y": 0}, f"u{n}")
        rooms.subscribe(caller, Sink(n), "doc", f"u{n}")
    rooms.flush()
    began = time.perf_counter()
    for turn in range(TURNS):
        for n in range(PER_TURN):
            who = (turn * PER_TURN + n) % members
            rooms.presence(callers[who], "doc", {"x": turn, "y": n}, f"u{who}")
        await asyncio.sleep(0)
    seconds = time.perf_counter() - began
    return TURNS * PER_TURN / seconds, TURNS * PER_TURN * members / seconds


def main() -> None:
    """Print the table."""
    for members in (10, 100, 1000):
        updates, deliveries = asyncio.run(run(members))
        print(f"{members:5} members {updates:12,.0f} updates/s {deliveries:14,.0f} deliveries/s")


if __name__ == "__main__":
    main()
