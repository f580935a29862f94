"""Mail of a running server: what waits, what was given up and why; send one again, or a test.

pylon mail list
pylon mail list dead
pylon mail retry mail_hT2wA0xF
pylon mail retry --all
pylon mail test me@example.com
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, RemoteError, add_remote_options, segment


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    listing = actions.add_parser("list", help="letters, newest first")
    listing.add_argument("state", nargs="?", choices=["waiting", "sent", "dead"], help="in this state only")
    listing.add_argument("--limit", type=int, default=20, help="how many")
    again = actions.add_parser("retry", help="try a letter again that waits or was given up")
    again.add_argument("id", nargs="?", help="its id")
    again.add_argument("--all", action="store_true", help="every letter that waits or was given up and is still of use")
    test = actions.add_parser("test", help="send a test letter now, and tell what came of it")
    test.add_argument("address", help="where to")
    for action in (listing, again, test):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    match options.action:
        case "list":
            report = remote.get("/api/admin/mail", state=options.state, limit=options.limit)
            output.answer(report, _listing(report))
        case "retry" if options.all:
            tried = _retry_all(remote)
            output.answer({"retried": tried}, f"{tried} letters are tried again")
        case "retry":
            if not options.id:
                output.report([failure("USAGE", "name a letter, or --all", "`pylon mail list` has their ids.")])
                return Exit.USAGE
            answer = remote.post(f"/api/admin/mail/{segment(options.id)}/retry")
            output.answer(answer, f"{options.id} is tried again")
        case _:
            answer = remote.post("/api/admin/mail/test", {"to": options.address})
            output.answer(answer, f"{answer['transport']} took the letter to {options.address}")
    return Exit.OK


def _retry_all(remote: Remote) -> int:
    """Try all again, the newest first; how many. Those whose content is of no use any more are passed over."""
    tried = 0
    for state in ("waiting", "dead"):
        for letter in remote.get("/api/admin/mail", state=state, limit=1000)["mail"]:
            try:
                remote.post(f"/api/admin/mail/{segment(letter['id'])}/retry")
            except RemoteError as error:
                if error.code not in ("MAIL_EXPIRED", "NOT_FOUND"):
                    raise
            else:
                tried += 1
    return tried


def _listing(report: dict[str, Any]) -> str:
    oldest = f", the oldest for {report['oldest_secs']} s" if report["waiting"] else ""
    lines = [f"{report['transport']}: {report['waiting']} waiting{oldest}, {report['dead']} given up"]
    for letter in report["mail"]:
        made = datetime.fromtimestamp(letter["created_at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        tries = f"{letter['attempts']} tries" if letter["attempts"] != 1 else "1 try"
        lines.append(
            f"  {letter['id']}  {made}  {letter['state']:<7}  {letter['kind']:<16}  {letter['recipient']}  {tries}"
            f"{'  ' + letter['error'] if letter['error'] else ''}"
        )
    return "\n".join(lines)
