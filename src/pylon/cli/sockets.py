"""Look at the live connections of a running server, and end some: `list`, `kick --user U` or `--ip IP`, and `bounce`,
which lets everybody reconnect, spread over some seconds."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options
from pylon.cli.top.figures import clean, duration, size

_ASKED = 10_000
_SHOWN = 50
_BUSIEST = 5


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|kick|bounce")
    listing = actions.add_parser("list", help="what is open, the fullest buffers first")
    kicking = actions.add_parser("kick", help="end connections; their clients may come back")
    for action in (listing, kicking):
        action.add_argument("--user", help="those of this user")
        action.add_argument("--ip", help="those of this address or network (10.0.0.0/8)")
    bouncing = actions.add_parser("bounce", help="have everybody reconnect")
    bouncing.add_argument("--seconds", type=float, help="spread over this long (default: as long as it needs)")
    for action in (listing, kicking, bouncing):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    return {"list": _list, "kick": _kick, "bounce": _bounce}[options.action](remote, options, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/sockets", user=options.user, ip=options.ip, limit=_ASKED)
    output.answer(answer, listed(answer))
    return Exit.OK


def _kick(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    chosen = {"user": options.user, "ip": options.ip}
    body = {name: value for name, value in chosen.items() if value is not None}
    if not body:
        hint = "`pylon sockets bounce` has everybody reconnect."
        output.report([failure("USAGE", "`pylon sockets kick` needs --user or --ip", hint)])
        return Exit.USAGE
    answer = remote.post("/api/admin/sockets/kick", body)
    output.answer(answer, f"{_connections(answer['closed'])} ended; unless they are blocked, their clients come back")
    return Exit.OK


def _bounce(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    body = {} if options.seconds is None else {"seconds": options.seconds}
    answer = remote.post("/api/admin/sockets/bounce", body)
    spread = duration(answer["seconds"])
    output.answer(answer, f"{_connections(answer['bouncing'])} reconnecting, spread over {spread}")
    return Exit.OK


def listed(answer: dict[str, Any]) -> str:
    """The connections as lines, the fullest buffers first, and who has the most of them."""
    rows = sorted(answer["sockets"], key=lambda row: -row["unsent_bytes"])
    lines = [f"{'kind':<5}{'user':<26}{'address':<24}{'open':>8}{'unsent':>11}{'events':>9}"] if rows else []
    lines += [
        f"{row['kind']:<5}{clean(row['user'] or '-', 24):<26}{clean(row['ip'], 22):<24}"
        f"{duration(row['seconds']):>8}{size(row['unsent_bytes']):>11}{row['sent_events']:>9}"
        for row in rows[:_SHOWN]
    ]
    total = answer["total"]
    if total > _SHOWN:
        lines.append(f"… and {total - _SHOWN} more; --json lists up to {_ASKED:,}")
    lines.append(f"{_connections(total)} open")
    for what, name in (("address", "ip"), ("user", "user")):
        counts = Counter(row[name] or "-" for row in rows)
        most = ", ".join(f"{clean(key, 40)} {number}" for key, number in counts.most_common(_BUSIEST))
        if most:
            lines.append(f"by {what}: {most}")
    return "\n".join(lines)


def _connections(number: int) -> str:
    return f"{number} connection{'' if number == 1 else 's'}"
