"""What was used: requests, rows written, deliveries, bytes sent and stored, mail, LLM tokens; and who used most.

pylon usage
pylon usage 2026-11-23
pylon usage --user mallory
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("period", nargs="?", help="a month (2026-11, the default is this one) or a day (2026-11-23)")
    parser.add_argument("--user", help="of this user only")
    parser.add_argument("--limit", type=int, default=5, help="how many users for each meter")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    report = remote.get("/api/admin/usage", period=options.period, user=options.user, limit=options.limit)
    lines = [f"{report['period']}{' ' + report['user'] if 'user' in report else ''}"]
    for meter, amount in sorted(report["used"].items()):
        most = ", ".join(f"{user} {count:,}" for user, count in report.get("top", {}).get(meter, []))
        lines.append(f"  {meter:<14} {amount:>16,}  {most}")
    lines += [f"  polls: {client} is slowed ({rate:.1f}/s)" for client, rate in report["pollers"] if rate >= 0.1]
    for state in report["budgets"]:
        budget = state["budget"]
        whose = f" by {state['who']}" if state["who"] else ""
        lines.append(
            f"  budget {budget['meter']} per {budget['per']}: {state['share']:.0%} of {budget['limit']:,}{whose}"
            f"{' (hard)' if budget['hard'] else ''}"
        )
    output.answer(report, "\n".join(lines))
    return Exit.OK
