"""Watch a running server live: rates, write-ahead log, disk, queues, who asks most, slow queries, alarms; and throttle,
block or disconnect who is too loud. `?` lists the keys. `--once` prints one frame, `--once --json` the figures."""

from __future__ import annotations

import argparse
import sys

from pylon.cli.exits import Exit
from pylon.cli.output import JsonOutput, Output, failure
from pylon.cli.remote import Remote, add_remote_options

OVERVIEW = "/api/admin/overview?history=1"
_ANSWER_SECONDS = 5.0
_SHORTEST_INTERVAL = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    add_remote_options(parser)
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="how often to look (default 2)")
    parser.add_argument("--once", action="store_true", help="print one frame and exit")


def run(options: argparse.Namespace, output: Output) -> int:
    is_json = isinstance(output, JsonOutput)
    is_once = options.once or is_json
    if not is_once and not (sys.stdin.isatty() and sys.stdout.isatty()):
        output.report([failure("USAGE", "`pylon top` needs a terminal", "`pylon top --once` prints one frame.")])
        return Exit.USAGE
    remote = Remote.from_options(options)
    remote.timeout = _ANSWER_SECONDS
    document = remote.get(OVERVIEW)
    if is_json:
        output.answer(document, "")
        return Exit.OK
    if is_once:
        from pylon.cli.top.frame import printed

        output.answer(document, printed(document, remote.url))
        return Exit.OK
    from pylon.cli.top.live import watch

    return watch(remote, document, max(options.interval, _SHORTEST_INTERVAL))
