"""Look at the live connections of a running server, and end some: `list`, `kick --user U` or `--ip IP`, and `bounce`,
which lets everybody reconnect, spread over some seconds."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import report_settings_error
from pylon.cli.remote import Remote, RemoteError, add_remote_options, report_remote_error
from pylon.cli.top.figures import clean, duration, size
from pylon.settings import SettingsError

_SHOWN = 50


def configure(parser: argparse.ArgumentParser) -> None:
    add_remote_options(parser)
    parser.add_argument("do", choices=("list", "bounce", "kick"), help="what to do")
    parser.add_argument("--user", help="list or kick: those of this user")
    parser.add_argument("--ip", help="list or kick: those of this address or network (10.0.0.0/8)")
    parser.add_argument("--seconds", type=float, help="bounce: spread over this long (default: the server's choice)")


def run(options: argparse.Namespace, output: Output) -> int:
    if options.do == "kick" and options.user is None and options.ip is None:
        hint = "`pylon sockets bounce` lets everybody reconnect."
        output.report([failure("USAGE", "`pylon sockets kick` needs --user or --ip", hint)])
        return Exit.USAGE
    try:
        remote = Remote.from_options(options)
        if options.do == "list":
            answer = remote.get("/api/admin/sockets", user=options.user, ip=options.ip)
            output.answer(answer, listed(answer, time.time()))
        elif options.do == "kick":
            chosen = {"user": options.user, "ip": options.ip}
            answer = remote.post("/api/admin/sockets/kick", {k: v for k, v in chosen.items() if v is not None})
            output.answer(
                answer, f"{_count(answer)} ended; their clients reconnect and catch up unless they are blocked"
            )
        else:
            body = {} if options.seconds is None else {"seconds": options.seconds}
            answer = remote.post("/api/admin/sockets/bounce", body)
            output.answer(answer, f"{_count(answer)} told to reconnect within {answer.get('seconds', 0):.0f} s")
    except SettingsError as error:
        report_settings_error(error, output)
        return Exit.FAILED
    except RemoteError as error:
        return report_remote_error(error, output)
    return Exit.OK


def listed(answer: dict[str, Any], now: float) -> str:
    """The connections as lines, the fullest buffers first, and how many each address has."""
    rows = sorted(answer.get("sockets", []), key=lambda row: -row.get("unsent_bytes", 0))
    lines = [f"{'kind':<5}{'user':<26}{'address':<24}{'open':>8}{'unsent':>11}{'events':>9}"]
    for row in rows[:_SHOWN]:
        seconds = row["seconds"] if "seconds" in row else now - row.get("opened_at", now)
        events = row.get("events", row.get("sent_events", 0))
        lines.append(
            f"{row.get('kind', ''):<5}{clean(row.get('user') or '-', 24):<26}{clean(row.get('ip', ''), 22):<24}"
            f"{duration(seconds):>8}{size(row.get('unsent_bytes', 0)):>11}{events:>9}"
        )
    if len(rows) > _SHOWN:
        lines.append(f"… and {len(rows) - _SHOWN} more; --json lists them all")
    addresses: dict[str, int] = {}
    for row in rows:
        addresses[row.get("ip", "")] = addresses.get(row.get("ip", ""), 0) + 1
    busiest = sorted(addresses.items(), key=lambda item: -item[1])[:5]
    lines.append(f"{len(rows)} open" + (": " if busiest else ""))
    lines[-1] += ", ".join(f"{clean(ip)} has {number}" for ip, number in busiest)
    return "\n".join(lines)


def _count(answer: dict[str, Any]) -> str:
    """How many connections an answer speaks of."""
    number = next((value for value in answer.values() if isinstance(value, int)), 0)
    return f"{number} connection{'' if number == 1 else 's'}"
