"""What a backup and the archive cost those who write meanwhile: rate and p99 of durable HTTP inserts, in rounds with
and without them, taken in turn so that both see the same machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.wrk import Report, load
from pylon.testing.process import ServerProcess

ROUNDS = 5
SECONDS = 3
CONNECTIONS = 32
FILL = '{"title":"%s","n":1}' % ("x" * 2000)
BODY = '{"title":"hello","n":1}'


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of the rounds, without and with a backup running all the time."""

    rate: float
    p99_ms: float
    rate_during: float
    p99_ms_during: float
    copied: int


def measure(app: Path, folder: Path, *, archive: str = "2", connections: int = CONNECTIONS) -> Cost:
    """Fill a database, then load it in turns."""
    quiet: list[Report] = []
    during: list[Report] = []
    copied = 0
    with ServerProcess(app, folder / "data", env={"PYLON_ARCHIVE_SECS": archive}) as server:
        url = f"{server.url}/api/entities/Item"
        load(url, seconds=8, body=FILL)
        for number in range(ROUNDS):
            quiet.append(load(url, seconds=SECONDS, body=BODY, connections=connections))
            copying = _copy_all_the_time(folder, number)
            during.append(load(url, seconds=SECONDS, body=BODY, connections=connections))
            copying.terminate()
            copied += (copying.communicate()[0] or "").count("\n")
            time.sleep(1)  # let the checkpoint that the copy held up catch up
    return Cost(
        statistics.median(report.rate for report in quiet),
        statistics.median(report.p99_ms for report in quiet),
        statistics.median(report.rate for report in during),
        statistics.median(report.p99_ms for report in during),
        copied,
    )


def _copy_all_the_time(folder: Path, number: int) -> subprocess.Popen[str]:
    """`pylon backup`, one after the other, until it is ended."""
    script = (
        "import itertools, sys\n"
        "from pylon.cli import main\n"
        f"for i in itertools.count(): assert main(['backup', r'{folder}/b{number}-' + str(i),"
        f" '--data-dir', r'{folder}/data']) == 0; sys.stdout.flush()\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
    )
