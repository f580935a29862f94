"""Operators, admin tokens, sessions, API keys and signing keys of a running server.

pylon admin create ann --totp
pylon admin list
pylon admin passwd ann
pylon admin rm ann
pylon admin token create --label ci --for 24h
pylon admin token rotate
pylon admin token list
pylon admin token revoke adm_0123456789ab
pylon admin sessions purge --user mallory
pylon admin api-keys purge --after 2h
pylon admin signing-keys rotate --revoke
"""

from __future__ import annotations

import argparse
from typing import Any

from pylon.cli import operators
from pylon.cli.durations import duration, moment, shown
from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options, segment


def configure(parser: argparse.ArgumentParser) -> None:
    areas = parser.add_subparsers(
        dest="area", required=True, metavar="create|list|passwd|rm|token|sessions|api-keys|signing-keys"
    )
    operators.add_actions(areas)
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
    purging.add_argument("--after", type=moment, metavar="TIME", help="made after this time only")
    purging.add_argument("--method", help="of this way of signing in only: password, magic_code, oauth:google, …")
    purging.add_argument("--guests", action="store_true", help="of guests only")
    keys = areas.add_parser("api-keys", help="users' API keys").add_subparsers(
        dest="action", required=True, metavar="purge"
    )
    ending = keys.add_parser("purge", help="end API keys and their sockets; without options all of them")
    ending.add_argument("--user", help="of this user only")
    ending.add_argument("--after", type=moment, metavar="TIME", help="made after this time only")
    ending.set_defaults(run=_purge_keys)
    signing = areas.add_parser("signing-keys", help="what JWTs are signed with").add_subparsers(
        dest="action", required=True, metavar="list|rotate"
    )
    shown_keys = signing.add_parser("list", help="all keys, without what signs")
    shown_keys.set_defaults(run=_list_keys)
    following = signing.add_parser("rotate", help="a new key; tokens of the old ones are good until they expire")
    following.add_argument("--revoke", action="store_true", help="end every token of the old keys at once")
    following.set_defaults(run=_rotate_keys)
    for action in (listing, creating, rotating, revoking, purging, ending, shown_keys, following):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    actions = {"list": _list, "create": _create, "rotate": _rotate, "revoke": _revoke, "purge": _purge}
    action = getattr(options, "run", None) or actions[options.action]
    return int(action(Remote.from_options(options), options, output))


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
    if options.after is not None:
        order["after"] = int(options.after)
    if options.method is not None:
        order["method"] = options.method
    if options.guests:
        order["guests"] = True
    answer = remote.post("/api/admin/sessions/purge", order)
    output.answer(answer, f"{answer['sessions_revoked']} sessions ended")
    return Exit.OK


def _purge_keys(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    order: dict[str, Any] = {}
    if options.user is not None:
        order["user"] = options.user
    if options.after is not None:
        order["after"] = int(options.after)
    answer = remote.post("/api/admin/api-keys/purge", order)
    output.answer(answer, f"{answer['keys_revoked']} API keys ended")
    return Exit.OK


def _list_keys(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/signing-keys")
    lines = [f"{key['kid']}  {key['algorithm']}  signs from {shown(key['active_at'])}" for key in answer["keys"]]
    if answer["shared_secret"]:
        lines.append("PYLON_JWT_SECRET signs or is taken as well")
    output.answer(answer, "\n".join(lines) or "no key was needed yet")
    return Exit.OK


def _rotate_keys(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    made = remote.post("/api/admin/signing-keys/rotate", {"revoke": options.revoke})
    output.answer(made, f"{made['kid']} signs from {shown(made['active_at'])}")
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
