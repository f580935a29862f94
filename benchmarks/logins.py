"""What 50 sign-ins by password at once do to everybody else's reads, through HTTP of a server in production.

python -m benchmarks.logins
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

from pylon.testing.process import ServerProcess

APP = """
from pylon import App, Entity, field

class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    passwordHash: str | None = None
    class Policy:
        read = "auth.userId == data.id"

class Post(Entity, crdt=False):
    title: str
    class Policy:
        read = "true"

app = App("logins")
"""
LOGINS = 50
PASSWORD = "correct horse battery"
BODY = {"email": "ann@example.com", "password": PASSWORD}


def sign_in(url: str) -> None:
    """All at once."""
    import httpx

    async def run() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=LOGINS)) as client:
            began = time.perf_counter()
            answers = await asyncio.gather(*[client.post("/api/auth/password/login", json=BODY) for _ in range(LOGINS)])
            taken = time.perf_counter() - began
            assert all(answer.status_code == 200 for answer in answers), {a.status_code for a in answers}
            print(f"{LOGINS} logins: {taken:.2f} s, {LOGINS / taken:.0f}/s")

    asyncio.run(run())


def read(port: int, until: float, burst: multiprocessing.Process | None = None) -> list[float]:
    """Milliseconds of reads, one after the other, for so long or while the burst lasts."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    taken = []
    while burst.is_alive() if burst is not None else time.perf_counter() < until:
        began = time.perf_counter()
        connection.request("GET", "/api/entities/Post")
        connection.getresponse().read()
        taken.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.001)
    connection.close()
    return taken


def shown(taken: list[float]) -> str:
    """Median and p99."""
    return f"p50 {statistics.median(taken):.2f} ms, p99 {statistics.quantiles(taken, n=100)[98]:.2f} ms"


def main() -> None:
    env = {"PYLON_DEV_MODE": "0", "PYLON_DISABLE_HIBP": "1", "PYLON_HTTP_PER_IP_MAX": "0"}
    env |= {f"PYLON_AUTH_{step}": "0" for step in ("LOGIN_IP_PER_MIN", "LOGIN_ACCOUNT_PER_HOUR")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        with ServerProcess(folder / "app.py", folder / "data", env=env) as server:
            status, answer = server.request("POST", "/api/auth/password/register", BODY)
            assert status == 200, json.dumps(answer)
            print(f"reads alone: {shown(read(server.port, time.perf_counter() + 2))}")
            burst = multiprocessing.Process(target=sign_in, args=(server.url,))
            burst.start()
            print(f"reads meanwhile: {shown(read(server.port, 0.0, burst))}")


if __name__ == "__main__":
    main()
