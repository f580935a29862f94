"""Incidents: write down what happens while it happens, keep the evidence, and get the post-mortem of it.

    pylon incident start "writes time out" --severity sev1
    pylon incident note "checkout fails for everybody" --kind impact --at 04:12
    pylon incident note "page the payments team" --kind follow-up --owner ada --due 2026-12-01
    pylon incident status
    pylon incident capture ./evidence --minutes 30 --backup
    pylon incident close --summary "a runaway job filled the disk"
    pylon incident list
    pylon incident report --md post-mortem.md --html post-mortem.html
    pylon incident token-leak --since 6h
    pylon incident emergency

Notes are kept by the server, so that every operator sees the same; while it is down, `start` and `note` write to a
journal in the data folder, which the next start or the next command that reaches a server tells to the database.
`capture`, `status`, `list` and `report` then read the data folder. Times are UTC: 2026-11-23T04:12:00Z, 04:12 or
`10m ago`.

`token-leak` walks through what to do when an admin token has leaked, asks before each step, notes each outcome, and
goes on where it stopped when it is run again. `emergency` does the urgent part of it after one question.
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import add_data_dir
from pylon.cli.remote import add_remote_options
from pylon.ops.incident.capture import Unavailable
from pylon.ops.incident.moments import FORMS
from pylon.ops.incident.record import Kind, Severity

_ACTIONS = "start|note|status|close|list|report|capture|token-leak|emergency"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar=_ACTIONS)
    start = actions.add_parser("start", help="open an incident")
    start.add_argument("title")
    start.add_argument("--severity", choices=[s.value for s in Severity], default=Severity.SEV2.value)
    start.add_argument("--began", metavar="TIME", help="when the trouble began, if before now")
    start.add_argument("--parallel", action="store_true", help="open it though another one is open")
    note = actions.add_parser("note", help="write down what happened, was decided or was done")
    note.add_argument("text")
    note.add_argument("--kind", choices=[k.value for k in Kind], default=Kind.OBSERVATION.value)
    note.add_argument("--owner", default="", help="of a follow-up")
    note.add_argument("--due", default="", metavar="DAY", help="of a follow-up: 2026-12-01")
    close = actions.add_parser("close", help="close it")
    close.add_argument("--summary", default="", help="what happened, for people who were not there")
    status = actions.add_parser("status", help="what is open, and the latest notes")
    listing = actions.add_parser("list", help="all incidents")
    report = actions.add_parser("report", help="the post-mortem, as Markdown on stdout unless files are named")
    report.add_argument("id", nargs="?", default="latest", help="default: the latest incident")
    report.add_argument("--md", metavar="FILE", help="write Markdown")
    report.add_argument("--html", metavar="FILE", help="write one self-contained page")
    capture = actions.add_parser("capture", help="save everything that tells what the server was doing")
    capture.add_argument("folder", metavar="DIR", help="the bundle becomes a folder in it")
    capture.add_argument("--minutes", type=float, default=30.0, help="how much of the past (30)")
    capture.add_argument("--backup", action="store_true", help="take a backup too")
    leak = actions.add_parser("token-leak", help="walk through what to do when an admin token has leaked")
    leak.add_argument("--since", metavar="TIME", help="when the token may have leaked: what it did since is listed")
    leak.add_argument("--into", metavar="DIR", default=".", help="where bundle and audit list go (this folder)")
    leak.add_argument("--restart", action="store_true", help="begin again from the first step")
    emergency = actions.add_parser("emergency", help="maintenance mode, a new admin token, no sessions: at once")
    for playbook in (leak, emergency):
        playbook.add_argument("-y", "--yes", action="store_true", help="answer yes to every question")
        playbook.add_argument("--user", help="purge the sessions of this user only")
        playbook.add_argument("--before", metavar="TIME", help="purge sessions made before only")
        playbook.add_argument("--guests", action="store_true", help="purge the sessions of guests only")
    for written in (start, note, close):
        written.add_argument("--at", metavar="TIME", help=f"when it happened (now): {FORMS}")
        written.add_argument("--by", help="who says so (your user name on this machine)")
    for chosen in (note, close):
        chosen.add_argument("--incident", default="open", metavar="ID", help="which incident (the open one)")
    for action in (start, note, close, status, listing, report, capture, leak, emergency):
        add_data_dir(action)
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    from pylon.cli.incident import bundle, leak, notes, reports

    commands = {
        "start": notes.start,
        "note": notes.note,
        "close": notes.close,
        "status": reports.status,
        "list": reports.listing,
        "report": reports.report,
        "capture": bundle.capture,
        "token-leak": leak.token_leak,
        "emergency": leak.emergency,
    }
    try:
        return commands[options.action](options, output)
    except Unavailable as error:
        output.report([failure("DATA_UNREADABLE", str(error), "Name the data folder with --data-dir.")])
        return Exit.UNAVAILABLE
    except OSError as error:
        output.report([failure("FILE_FAILED", f"{error.filename or 'a file'}: {error.strerror or error}")])
    return Exit.FAILED
