"""`python -m benchmarks [NAME...]`: runs the benchmarks and prints them beside their floors and aims.

Each HTTP figure comes with its ratio to a bare ASGI echo app under the same uvicorn, measured in the same run, so that
tables of different machines can be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import backup, fanout_classes, idle, queries, storm, transfer, write_path
from benchmarks.wrk import Report, load
from pylon.testing.process import ADMIN_TOKEN, ServerProcess, free_port

APP = Path(__file__).with_name("app.py")
SECONDS = 5

_ONE_ADDRESS = dict.fromkeys(("PYLON_PULLS_PER_CLIENT", "PYLON_WRITES_PER_IP", "PYLON_HTTP_PER_IP_MAX"), "0")
"""What a server must not count when a crowd comes from this one machine."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    what: str
    figure: str
    floor: str
    aim: str
    ratio: float | None = None


class Bench:
    """The server under test, the baseline, and what was measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[Line] = []
        self._servers = 0
        self.baseline_get = self.baseline_post = 0.0

    def measure_baseline(self) -> None:
        """The echo app's rates."""
        port = free_port()
        echo = subprocess.Popen([sys.executable, str(Path(__file__).with_name("echo.py")), str(port)])
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(url)
            self.baseline_get = load(url, seconds=SECONDS).rate
            self.baseline_post = load(url, seconds=SECONDS, body='{"title":"hello","n":1}').rate
        finally:
            echo.terminate()
            echo.wait()
        self.lines.append(
            Line("baseline: ASGI echo, GET / POST", f"{self.baseline_get:,.0f} / {self.baseline_post:,.0f}/s", "", "")
        )

    def server(self, more: dict[str, str] | None = None) -> ServerProcess:
        """A fresh server on fresh data; `more` are variables of its environment."""
        self._servers += 1
        env = {"PYLON_WS_PER_IP_MAX": "0", "PYLON_WS_PING_SECS": "3600", **(more or {})}
        return ServerProcess(APP, self.folder / f"data{self._servers}", env=env)

    def http(self, what: str, report: Report, floor: str, aim: str, baseline: float) -> None:
        """Add an HTTP figure."""
        assert not report.failures, f"{what}: {report.failures} requests failed"
        figure = f"{report.rate:,.0f}/s, p99 {report.p99_ms:.1f} ms"
        self.lines.append(Line(what, figure, floor, aim, report.rate / baseline))


def insert(bench: Bench) -> None:
    """HTTP insert, full path, durable."""
    with bench.server() as server:
        report = load(f"{server.url}/api/entities/Item", seconds=SECONDS, body='{"title":"hello","n":1}')
    bench.http("HTTP insert, 32 connections, durable", report, "12,000/s, p99 10 ms", "18,000/s", bench.baseline_post)


def get(bench: Bench) -> None:
    """HTTP get by id under an owner policy."""
    with bench.server() as server:
        token = server.token_of("u1")
        _, made = server.request("POST", "/api/entities/Own", {"title": "hello"}, token=token)
        report = load(f"{server.url}/api/entities/Own/{made['id']}", seconds=SECONDS, token=token)
    bench.http("HTTP get by id, policy on the row", report, "20,000/s", "30,000/s", bench.baseline_get)


def rows(bench: Bench) -> None:
    """HTTP list of 100 rows under an owner policy in SQL, among those of others."""
    report = _listed(bench, "Own")
    bench.http("HTTP list 100 rows, policy in SQL", report, "6,000/s", "10,000/s", bench.baseline_get)
    watched = _listed(bench, "Watched")
    share = watched.rate / report.rate - 1
    bench.http(f"the same, recorded who saw which rows ({share:+.0%})", watched, "-15 %", "", bench.baseline_get)


def _listed(bench: Bench, entity: str) -> Report:
    with bench.server() as server:
        for user in ("u1", "u2"):
            token = server.token_of(user)
            for i in range(200):
                server.request("POST", f"/api/entities/{entity}", {"title": f"row {i}", "n": i}, token=token)
        return load(f"{server.url}/api/entities/{entity}?limit=100", seconds=SECONDS, token=token)


def mutation(bench: Bench) -> None:
    """A mutation function with one get and one insert."""
    with bench.server() as server:
        _, made = server.request("POST", "/api/entities/Item", {"title": "hello"})
        report = load(f"{server.url}/api/fn/copy", seconds=SECONDS, body=json.dumps({"item": made["id"]}))
    bench.http("mutation function, one get and one insert", report, "9,000/s", "14,000/s", bench.baseline_post)


def counter(bench: Bench) -> None:
    """32 clients increment one row; the result must be exact."""
    with bench.server() as server:
        _, made = server.request("POST", "/api/entities/Counter", {}, token=ADMIN_TOKEN)
        path = "/api/fn/increment"
        body = json.dumps({"counter": made["id"]})
        report = load(server.url + path, seconds=SECONDS, body=body)
        time.sleep(0.2)
        _, row = server.request("GET", f"/api/entities/Counter/{made['id']}")
        _, next_value = server.request("POST", path, {"counter": made["id"]})
        assert next_value == row["value"] + 1, (next_value, row)
    bench.http("hot counter: 32 clients, one row, exact", report, "6,000/s", "10,000/s", bench.baseline_post)


def fanout(bench: Bench) -> None:
    """Fan-out of durable HTTP inserts to 200 and to 1,000 sockets, 16 posters."""
    for sockets, floor, aim in (
        (200, "450,000/s, p99 25 ms", "750,000/s, p99 10 ms"),
        (1000, "500,000/s, p99 50 ms", "850,000/s"),
    ):
        with bench.server() as server:
            command = [sys.executable, "-m", "benchmarks.fanout", str(server.port), str(sockets), "16", str(SECONDS)]
            result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        assert result["all_arrived"], result
        figure = f"{result['deliveries_per_second']:,}/s, p99 {result['p99_ms']} ms"
        ratio = result["deliveries_per_second"] / bench.baseline_post
        bench.lines.append(Line(f"fan-out, {sockets} sockets, 16 posters", figure, floor, aim, ratio))


def documents(bench: Bench) -> None:
    """One document, 50 editors, 200 edits a second altogether: from the moment of an edit to its arrival at all."""
    with bench.server({"PYLON_WS_PER_USER_MAX": "0"}) as server:
        _, made = server.request("POST", "/api/entities/Page", {"title": "t", "body": "some words " * 180})
        arguments = [str(server.port), server.token_of("editor"), made["id"], "50", "200", str(SECONDS)]
        command = [sys.executable, "-m", "benchmarks.documents", *arguments]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["all_arrived"], result
    figure = f"p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms"
    bench.lines.append(Line("document: 50 editors, 200 edits/s, to all of them", figure, "p99 100 ms", "p99 25 ms"))


def live(bench: Bench) -> None:
    """1,000 subscribers of 100 live queries: what they cost while nothing that they read changes, and how soon they
    know."""
    idle.raise_file_limit(5000)
    with bench.server({"PYLON_LIVE_PER_USER_MAX": "0"}) as server:
        assert server.process is not None
        command = [sys.executable, "-m", "benchmarks.live", str(server.port), str(server.process.pid)]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    shares = f"{result['other_entity']} % (same entity {result['same_entity']} %, without {result['without']} %)"
    bench.lines.append(Line("1,000 live subscribers, 500 unrelated writes/s", shares, "5 % more", "1 % more"))
    delays = f"p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms, at most {result['max_ms']} ms"
    bench.lines.append(Line("the same, 100 related writes/s: until they know", delays, "100 ms", "30 ms"))


def classes(bench: Bench) -> None:
    """Fan-out by kind of policy: 200 sockets of 100 users, 16 of whom post."""
    for entity, what in (("Item", "public"), ("Own", "owner equality"), ("Open", "general, 100 identities")):
        with bench.server() as server:
            tokens = json.dumps([server.token_of(f"u{i}") for i in range(fanout_classes.USERS)])
            arguments = [str(server.port), entity, "200", "16", str(SECONDS)]
            command = [sys.executable, "-m", "benchmarks.fanout_classes", *arguments]
            ran = subprocess.run(command, capture_output=True, text=True, check=True, input=tokens)
        result = json.loads(ran.stdout)
        assert result["all_arrived"], result
        figure = f"{result['deliveries_per_second']:,} deliveries/s at {result['writes_per_second']:,} writes/s"
        ratio = result["writes_per_second"] / bench.baseline_post
        floor = "2,250 writes/s"
        bench.lines.append(Line(f"fan-out to 200 sockets, {what}", figure, floor, "3,750 writes/s", ratio))


def storms(bench: Bench) -> None:
    """5,000 clients lose their sockets at once and come back, while rows are written."""
    idle.raise_file_limit(12_000)
    with bench.server(_ONE_ADDRESS) as server:
        command = [sys.executable, "-m", "benchmarks.storm", str(server.port), "5000"]
        result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    figure = f"back in {result['back_seconds']} s, caught up in {result['caught_up_seconds']} s"
    figure += f"; {result['refused']} pulls told to wait, {result['written']} writes, {result['failed']} failed"
    bench.lines.append(Line("reconnect storm of 5,000 clients", figure, "10 s, no failed write", ""))


def first_pulls(bench: Bench) -> None:
    """A first pull of 100,000 rows."""
    with bench.server(_ONE_ADDRESS) as server:
        found = storm.first_pull(server, 100_000)
    assert found.rows == 100_000
    figure = f"{found.seconds:.2f} s, {found.megabytes:.0f} MB, server grew by {found.grown_megabytes:.1f} MB"
    bench.lines.append(Line("first pull of 100,000 rows", figure, "2 s in a browser, memory flat", ""))


def writes(bench: Bench) -> None:
    """The write path in process."""
    rate = write_path.run()
    ratio = rate / bench.baseline_post
    bench.lines.append(Line("write path in process", f"{rate:,.0f}/s", "100,000/s", "150,000/s", ratio))


def backups(bench: Bench) -> None:
    """Durable inserts while a backup runs, and what the archive of changes costs them."""
    cost = backup.measure(APP, _made(bench.folder / "backup"))
    times = cost.p99_ms_during / cost.p99_ms
    figure = f"{cost.rate_during:,.0f}/s, p99 {cost.p99_ms_during:.1f} ms ({times:.1f} times that without)"
    bench.lines.append(Line("HTTP insert while a backup runs", figure, "p99 below 3 times", "2 times"))
    without = backup.measure(APP, _made(bench.folder / "unarchived"), archive="0")
    share = cost.rate / without.rate
    figure = f"{cost.rate:,.0f}/s, p99 {cost.p99_ms:.1f} ms ({share:.0%} of {without.rate:,.0f}/s without)"
    bench.lines.append(Line("HTTP insert with the archive of changes", figure, "85%", "95%"))


def imports(bench: Bench) -> None:
    """A million rows."""
    found = transfer.measure(APP, _made(bench.folder / "import"))
    figure = f"{found.rate:,.0f} rows/s, {found.memory / 1e6:.0f} MB, {found.cpu:.1f} µs of CPU a row"
    bench.lines.append(Line("import of 1,000,000 rows as NDJSON over HTTP", figure, "100,000/s, 200 MB", "150,000/s"))


def costs(bench: Bench) -> None:
    """Cold start and memory."""
    seconds = min(idle.cold_start(APP, bench.folder / f"cold{i}") for i in range(3))
    resident, per_socket = idle.memory(APP, bench.folder / "idle")
    bench.lines.append(Line("cold start to first 200", f"{seconds:.2f} s", "0.6 s", "0.4 s"))
    bench.lines.append(Line("idle process", f"{resident:.0f} MB", "80 MB", "60 MB"))
    bench.lines.append(Line(f"idle socket (at {idle.SOCKETS:,})", f"{per_socket:.1f} KB", "8 KB", "3 KB"))


def reads(bench: Bench) -> None:
    """Lists, counts, aggregates and graphs under policies on a million rows, in process."""
    floors = {"list": "p99 5 ms", "graph": "3 ms"}
    for what, times in queries.run():
        floor = next((floor for begins, floor in floors.items() if what.startswith(begins)), "")
        bench.lines.append(Line(f"{what}, in process", str(times), floor, ""))


BENCHMARKS: dict[str, Callable[[Bench], None]] = {
    "insert": insert,
    "get": get,
    "list": rows,
    "mutation": mutation,
    "counter": counter,
    "fanout": fanout,
    "documents": documents,
    "live": live,
    "classes": classes,
    "storm": storms,
    "pull": first_pulls,
    "writes": writes,
    "queries": reads,
    "backup": backups,
    "import": imports,
    "costs": costs,
}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise SystemExit(f"unknown benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.measure_baseline()
        for name in names or BENCHMARKS:
            print(f"... {name}", file=sys.stderr, flush=True)
            BENCHMARKS[name](bench)
    print("| what | measured | of the baseline | floor | aim |\n|---|---|---|---|---|")
    for line in bench.lines:
        ratio = f"{line.ratio:.0%}" if line.ratio is not None else ""
        print(f"| {line.what} | {line.figure} | {ratio} | {line.floor} | {line.aim} |")


if __name__ == "__main__":
    main(sys.argv[1:])
