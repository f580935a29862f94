"""Feature flags: turn a feature on for everybody, for some users, or for a share of them.

pylon flag set new-editor --percentage 10 --user alice
pylon flag list
pylon flag delete new-editor
"""

from __future__ import annotations

import argparse
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options, segment


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|set|delete")
    listing = actions.add_parser("list", help="all flags")
    setting = actions.add_parser("set", help="define a flag or replace it")
    setting.add_argument("name")
    setting.add_argument("--on", action="store_true", help="for everybody")
    setting.add_argument("--percentage", type=float, default=0.0, help="for this share of users, 0 to 100")
    setting.add_argument("--user", action="append", default=[], help="for this user; may be repeated")
    setting.add_argument("--role", action="append", default=[], help="for this role; may be repeated")
    setting.add_argument("--tenant", action="append", default=[], help="for this tenant; may be repeated")
    setting.add_argument("--description", default="")
    deleting = actions.add_parser("delete", help="forget a flag: it is off")
    deleting.add_argument("name")
    for action in (listing, setting, deleting):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    return {"list": _list, "set": _set, "delete": _delete}[options.action](remote, options, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/flags")
    output.answer(answer, "\n".join(_described(flag) for flag in answer["flags"]) or "no flags")
    return Exit.OK


def _set(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    flag = remote.put(
        f"/api/admin/flags/{segment(options.name)}",
        {
            "on": options.on,
            "percentage": options.percentage,
            "users": options.user,
            "roles": options.role,
            "tenants": options.tenant,
            "description": options.description,
        },
    )
    output.answer(flag, _described(flag))
    return Exit.OK


def _delete(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.delete(f"/api/admin/flags/{segment(options.name)}")
    output.answer(answer, f"{options.name}: deleted")
    return Exit.OK


def _described(flag: dict[str, Any]) -> str:
    whom = ["everybody"] if flag["on"] else []
    if not flag["on"]:
        whom += [f"{flag['percentage']:g} % of users"] if flag["percentage"] else []
        for kind in ("users", "roles", "tenants"):
            whom += [f"{kind} {', '.join(flag[kind])}"] if flag[kind] else []
    return f"{flag['name']}: {'; '.join(whom) or 'off'}" + (f" - {flag['description']}" if flag["description"] else "")
