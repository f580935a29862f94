"""The background tasks of a running server: how often each ran and failed, and when it last went well.

pylon tasks
"""

from __future__ import annotations

import argparse
import time

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options


def configure(parser: argparse.ArgumentParser) -> None:
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    answer = Remote.from_options(options).get("/api/admin/tasks")
    now = time.time()
    lines = [f"{'task':<28} {'every':>9} {'runs':>10} {'failed':>7} {'went well':>12} {'took':>9}"]
    for task in answer["tasks"]:
        every = f"{task['every']:g} s" if task["every"] else "on demand"
        went = f"{max(0.0, now - task['last_success']):,.0f} s ago"
        mark = "  OVERDUE" if task["overdue"] else ""
        lines.append(
            f"{task['task']:<28} {every:>9} {task['runs']:>10,} {task['failures']:>7,} {went:>12} "
            f"{task['duration'] * 1000:>6,.1f} ms{mark}"
        )
    output.answer(answer, "\n".join(lines))
    return Exit.OK
