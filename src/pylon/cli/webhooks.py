"""Webhooks of a running server whose app has the plugin.

pylon webhooks list
pylon webhooks show crm
pylon webhooks add crm https://crm.example.com/in --entity Order --kind insert
pylon webhooks retry crm
pylon webhooks delete crm
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options, segment

_PATH = "/api/admin/webhooks"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|add|retry|delete")
    listing = actions.add_parser("list", help="all endpoints and how they stand")
    showing = actions.add_parser("show", help="one endpoint with its dead letters")
    adding = actions.add_parser("add", help="add an endpoint, or change one")
    retrying = actions.add_parser("retry", help="try dead letters again, and a failing endpoint at once")
    deleting = actions.add_parser("delete", help="forget an endpoint and its dead letters")
    for action in (showing, adding, retrying, deleting):
        action.add_argument("name")
    adding.add_argument("target", metavar="URL")  # `url` is the server's
    adding.add_argument("--entity", action="append", default=[], help="changes of this entity; may be repeated")
    adding.add_argument(
        "--kind", action="append", default=[], choices=["insert", "update", "delete"], help="changes of this kind"
    )
    adding.add_argument(
        "--secret-env", metavar="NAME", help="variable that holds the secret; one is made and printed otherwise"
    )
    retrying.add_argument("--seq", type=int, help="only the dead letter of this change")
    for action in (listing, showing, adding, retrying, deleting):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    actions = {"list": _list, "show": _show, "add": _add, "retry": _retry, "delete": _delete}
    return actions[options.action](remote, options, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get(_PATH)
    output.answer(answer, "\n".join(_described(webhook) for webhook in answer["webhooks"]) or "no webhooks")
    return Exit.OK


def _show(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get(f"{_PATH}/{segment(options.name)}")
    letters = [
        f"  {letter['seq']} {letter['kind']} {letter['entity']} {letter['row_id']}: {letter['error']}"
        for letter in answer["dead_letters"]
    ]
    output.answer(answer, "\n".join([_described(answer), *letters]))
    return Exit.OK


def _add(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    wanted: dict[str, Any] = {"url": options.target, "entities": options.entity}
    if options.kind:
        wanted["kinds"] = options.kind
    if options.secret_env:
        wanted["secret"] = os.environ.get(options.secret_env, "")
    answer = remote.put(f"{_PATH}/{segment(options.name)}", wanted)
    made = f"\nsecret, shown this once: {answer['secret']}" if "secret" in answer else ""
    output.answer(answer, _described(answer) + made)
    return Exit.OK


def _retry(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    body = {} if options.seq is None else {"seq": options.seq}
    answer = remote.post(f"{_PATH}/{segment(options.name)}/retry", body)
    output.answer(answer, f"{options.name}: {answer['retrying']} dead letters are tried again")
    return Exit.OK


def _delete(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.delete(f"{_PATH}/{segment(options.name)}")
    output.answer(answer, f"{options.name}: deleted")
    return Exit.OK


def _described(webhook: dict[str, Any]) -> str:
    what = ", ".join(webhook["entities"]) or "everything"
    parts = [
        f"{webhook['name']}: {webhook['host']}, {what} ({', '.join(webhook['kinds'])})",
        f"{webhook['delivered']} delivered",
        f"{webhook['behind']} behind",
    ]
    parts += [f"{webhook['dead']} dead"] if webhook["dead"] else []
    parts += [f"{webhook['missed']} missed"] if webhook["missed"] else []
    parts += [f"failing ({webhook['attempts']} attempts: {webhook['error']})"] if webhook["attempts"] else []
    return "; ".join(parts)
