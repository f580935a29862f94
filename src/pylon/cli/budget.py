"""Budgets: how much of something may be used per day or month. They warn at 50, 80 and 95 %; a hard one stops.

pylon budget set requests --per month --limit 10000000
pylon budget set writes --per day --limit 100000 --each-user --hard
pylon budget list
pylon budget delete requests:month:all
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options, segment

METERS = ("requests", "writes", "deliveries", "egress_bytes", "storage_bytes", "mail", "llm_tokens")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|set|delete")
    listing = actions.add_parser("list", help="all budgets, and how they stand")
    setting = actions.add_parser("set", help="set a budget or replace it")
    setting.add_argument("meter", choices=METERS)
    setting.add_argument("--limit", type=int, required=True)
    setting.add_argument("--per", choices=("day", "month"), default="month")
    setting.add_argument("--each-user", action="store_true", help="for each user instead of all together")
    setting.add_argument("--hard", action="store_true", help="switch off at the limit instead of warning only")
    deleting = actions.add_parser("delete", help="forget a budget")
    deleting.add_argument("key", help="as `list` shows it")
    for action in (listing, setting, deleting):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    return {"list": _list, "set": _set, "delete": _delete}[options.action](remote, options, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/budgets")
    shares = {(s["budget"]["meter"], s["budget"]["per"], s["budget"]["of"]): s["share"] for s in answer["states"]}
    lines = [
        f"{b['key']}: {b['limit']:,}{' (hard)' if b['hard'] else ''}, "
        f"{shares.get((b['meter'], b['per'], b['of']), 0.0):.0%} used"
        for b in answer["budgets"]
    ]
    output.answer(answer, "\n".join(lines) or "no budgets")
    return Exit.OK


def _set(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    made = remote.post(
        "/api/admin/budgets",
        {
            "meter": options.meter,
            "limit": options.limit,
            "per": options.per,
            "of": "each" if options.each_user else "all",
            "hard": options.hard,
        },
    )
    output.answer(made, f"{made['key']}: {made['limit']:,}{' (hard)' if made['hard'] else ''}")
    return Exit.OK


def _delete(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.delete(f"/api/admin/budgets/{segment(options.key)}")
    output.answer(answer, f"{options.key}: deleted")
    return Exit.OK
