"""Admin tokens and sessions of a running server.

pylon admin token create --label ci --for 24h
pylon admin token rotate
pylon admin token list
pylon admin token revoke adm_0123456789ab
pylon admin sessions purge --user mallory
"""

from __future__ import annotations

import argparse
from typing import Any

from pylon.cli.durations import duration, moment, shown
from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.project import report_settings_error
from pylon.cli.remote import Remote, RemoteError, add_remote_options, report_remote_error, segment
from pylon.settings import SettingsError


def configure(parser: argparse.ArgumentParser) -> None:
    areas = parser.add_subparsers(dest="area", required=True, metavar="token|sessions")
    tokens = areas.add_parser("token", help="admin tokens").add_subparsers(
        dest="action", required=True, metavar="list|create|rotate|revoke"
    )
    listing = tokens.add_parser("list", help="all tokens, without their secrets")
    creating = tokens.add_parser("create", help="a new token beside the others")
    creating.add_argument("--label", default="")
    creating.add_argument("--for", dest="expires_in", type=duration, metavar="TIME", help="such as 24h")
    rotating = tokens.add_parser("rotate", help="a new token in place of the one in use")
    rotating.add_argument("--label", default="")
    rotating.add_argument("--all", action="store_true", help="end every other token too")
    rotating.add_argument("--grace", type=duration, default=0.0, metavar="TIME", help="let the old ones live this long")
    revoking = tokens.add_parser("revoke", help="end a token")
    revoking.add_argument("id")
    sessions = areas.add_parser("sessions", help="users' sessions").add_subparsers(
        dest="action", required=True, metavar="purge"
    )
    purging = sessions.add_parser("purge", help="end sessions and their sockets; without options all of them")
    purging.add_argument("--user", help="of this user only")
    purging.add_argument("--before", type=moment, metavar="TIME", help="made before this time only")
    purging.add_argument("--guests", action="store_true", help="of guests only")
    for action in (listing, creating, rotating, revoking, purging):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    actions = {"list": _list, "create": _create, "rotate": _rotate, "revoke": _revoke, "purge": _purge}
    try:
        return actions[options.action](Remote.from_options(options), options, output)
    except SettingsError as error:
        report_settings_error(error, output)
        return Exit.FAILED
    except RemoteError as error:
        return report_remote_error(error, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/tokens")
    output.answer(answer, "\n".join(_described(token) for token in answer["tokens"]))
    return Exit.OK


def _create(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    made = remote.post("/api/admin/tokens", {"label": options.label, "expires_in": options.expires_in})
    output.answer(made, _told(made))
    return Exit.OK


def _rotate(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    order = {
        "label": options.label,
        "revoke": "all" if options.all else "used",
        "grace_secs": options.grace,
    }
    made = remote.post("/api/admin/tokens/rotate", order)
    output.answer(made, _told(made))
    return Exit.OK


def _revoke(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    ended = remote.delete(f"/api/admin/tokens/{segment(options.id)}")
    output.answer(ended, f"revoked: {_described(ended)}")
    return Exit.OK


def _purge(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    order: dict[str, Any] = {}
    if options.user is not None:
        order["user"] = options.user
    if options.before is not None:
        order["before"] = int(options.before)
    if options.guests:
        order["guests"] = True
    answer = remote.post("/api/admin/sessions/purge", order)
    output.answer(answer, f"{answer['sessions_revoked']} sessions ended")
    return Exit.OK


def _told(made: dict[str, Any]) -> str:
    lines = [made["token"], f"  id {made['id']}; shown this once: put it into PYLON_ADMIN_TOKEN of who needs it."]
    if made["revoked"]:
        lines.append(f"  ended: {', '.join(made['revoked'])}. Take it out of the server's environment, too.")
    return "\n".join(lines)


def _described(token: dict[str, Any]) -> str:
    parts = [token["id"], token["label"]]
    if token["created_at"]:
        parts.append(f"made {shown(token['created_at'])}")
    if token["expires_at"]:
        parts.append(f"until {shown(token['expires_at'])}")
    if token["revoked_at"]:
        parts.append(f"revoked {shown(token['revoked_at'])}")
    return " ".join(part for part in parts if part)
