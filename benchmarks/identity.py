"""What identity costs on the hot path: resolving a session's token, and reads beside a burst of password hashes.

python -m benchmarks.identity
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from pylon import App, Entity
from pylon.testing.identity import open_foundation, somebody

ROUNDS = 100_000
LOGINS = 50


class User(Entity, crdt=False):
    email: str | None = None

    class Policy:
        read = "auth.userId == data.id"


async def main() -> None:
    app = App("bench", entities=[User]).spec()
    with tempfile.TemporaryDirectory() as folder:
        async with open_foundation(app, Path(folder)) as base:
            grant = await base.sessions.create("u1")
            resolve = base.sessions.resolve
            resolve(grant.token)
            rounds = []
            for _ in range(10):
                began = time.perf_counter()
                for _ in range(ROUNDS // 10):
                    resolve(grant.token)
                rounds.append((time.perf_counter() - began) / (ROUNDS // 10) * 1e6)
            print(f"resolve, cached: {min(rounds):.1f} us, median {statistics.median(rounds):.1f} us")

            began = time.perf_counter()
            for _ in range(ROUNDS // 20):
                base.sessions._remembered.forget(grant.record.id.encode())
                resolve(grant.token)
            print(f"resolve, from the store: {(time.perf_counter() - began) / (ROUNDS // 20) * 1e6:.1f} us")

            began = time.perf_counter()
            token = grant.token
            for _ in range(200):
                token = (await base.refresh(somebody(), token)).token
            print(f"refresh: {(time.perf_counter() - began) / 200 * 1e3:.2f} ms")

            stored = await base.hashing.hash("correct horse battery")
            began = time.perf_counter()
            await base.hashing.verify(stored, "correct horse battery")
            print(f"argon2id: {(time.perf_counter() - began) * 1e3:.1f} ms, {base.hashing.threads} at once")

            lateness: list[float] = []
            burst = asyncio.gather(*[base.hashing.verify(stored, "wrong") for _ in range(LOGINS)])
            while not burst.done():
                began = time.perf_counter()
                await asyncio.sleep(0.002)
                base.engine.reads.row("User", "nobody")
                resolve(token)
                lateness.append((time.perf_counter() - began - 0.002) * 1e3)
            await burst
            p99 = statistics.quantiles(lateness, n=100)[98]
            print(f"reads beside {LOGINS} logins: p50 {statistics.median(lateness):.2f} ms, p99 {p99:.2f} ms late")


if __name__ == "__main__":
    asyncio.run(main())
