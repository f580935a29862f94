"""`pylon admin create|list|passwd|rm`: operators with a name and a password of their own, on a running server."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options, segment


def add_actions(areas: Any) -> None:
    """The subcommands of `pylon admin`."""
    creating = areas.add_parser("create", help="a new operator; asks for the password, or reads it from stdin")
    creating.add_argument("name", help="letters, digits, '.', '-' and '_'")
    creating.add_argument("--totp", action="store_true", help="ask for the code of an authenticator app as well")
    listing = areas.add_parser("list", help="all operators")
    changing = areas.add_parser("passwd", help="another password for an operator, whose sessions end")
    changing.add_argument("name")
    removing = areas.add_parser("rm", help="remove an operator, whose sessions end")
    removing.add_argument("name")
    for parser, run in ((creating, _create), (listing, _list), (changing, _passwd), (removing, _remove)):
        add_remote_options(parser)
        parser.set_defaults(run=run)


def _create(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    password = _password(output)
    if password is None:
        return Exit.FAILED
    order = {"username": options.name, "password": password, "second_factor": options.totp}
    made = remote.post("/api/admin/operators", order)
    lines = [f"{made['username']} may sign in to {remote.url}/studio"]
    if app := made.get("totp"):
        lines += [f"  set the authenticator app up, shown this once: {app['secret']}", f"  {app['url']}"]
    output.answer(made, "\n".join(lines))
    return Exit.OK


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/operators")
    lines = [
        f"{one['username']}  since {one['createdAt']}  password of {one['passwordChangedAt']}"
        + ("  with an authenticator app" if one["secondFactor"] else "")
        for one in answer["operators"]
    ]
    output.answer(answer, "\n".join(lines) or "no operators: who signs in to Studio uses an admin token")
    return Exit.OK


def _passwd(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    password = _password(output)
    if password is None:
        return Exit.FAILED
    changed = remote.put(f"/api/admin/operators/{segment(options.name)}/password", {"password": password})
    output.answer(changed, f"{changed['username']} has another password and is signed out everywhere")
    return Exit.OK


def _remove(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.delete(f"/api/admin/operators/{segment(options.name)}")
    output.answer(answer, f"{options.name} is removed and signed out everywhere")
    return Exit.OK


def _password(output: Output) -> str | None:
    """A password that nobody sees and no shell remembers: typed twice, or a line of stdin."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password (at least 10 characters): ")
    if getpass.getpass("Again: ") == password:
        return password
    output.report([failure("USAGE", "The two passwords differ", "Run the command again.")])
    return None
