"""Broadcast rates: see which entities are broadcast most, and slow one down while everything else goes on.

    pylon fanout list
    pylon fanout throttle Note 20
    pylon fanout throttle Note off

A throttled entity reaches clients at most that many events a second, each row in its newest state.
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|throttle")
    listing = actions.add_parser("list", help="rates and throttles by entity")
    throttling = actions.add_parser("throttle", help="set an entity's rate")
    throttling.add_argument("entity")
    throttling.add_argument("rate", type=_rate, help="events a second, or off")
    for action in (listing, throttling):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    if options.action == "list":
        return _list(remote, output)
    order = {"entity": options.entity, "rate": options.rate}
    answer = remote.post("/api/admin/fanout/throttle", order)
    shown = "as fast as it changes" if options.rate is None else f"at most {options.rate:g} events a second"
    output.answer(answer, f"{options.entity}: {shown}")
    return Exit.OK


def _list(remote: Remote, output: Output) -> int:
    throttles = remote.get("/api/admin/fanout/throttle")
    rates = remote.get("/metrics")["fanout"]["rates"]
    lines = [f"{entity}: {rate:.1f} events/s" for entity, rate in rates.items()]
    lines += [f"{name}: {value}" for name, value in throttles.items()]
    output.answer({"rates": rates, **throttles}, "\n".join(lines) or "nothing is broadcast")
    return Exit.OK


def _rate(text: str) -> float | None:
    if text == "off":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: write a number of events a second, or off")
    return rate
