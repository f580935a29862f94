"""Kill-switches: stop one entity, function, user, address or door while everything else goes on.

    pylon switch on entity Invoice --reason "policy hole"
    pylon switch on user mallory --writes-only --for 1h
    pylon switch on ip 10.1.0.0/16
    pylon switch list
    pylon switch off entity Invoice

Scopes: server, read-only, entity, function, user, ip, auth, sync, uploads, anonymous.
"""

from __future__ import annotations

import argparse
from typing import Any

from pylon.cli.durations import duration, shown
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options, segment

SCOPES = ("server", "read-only", "entity", "function", "user", "ip", "auth", "sync", "uploads", "anonymous")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|on|off")
    listing = actions.add_parser("list", help="the switches that are on")
    turning_on = actions.add_parser("on", help="turn one on")
    turning_on.add_argument("scope", choices=SCOPES)
    turning_on.add_argument("target", nargs="?", default="", help="name, user id, address or network")
    turning_on.add_argument("--writes-only", action="store_true", help="let reads pass")
    turning_on.add_argument("--reason", default="", help="shown to clients")
    turning_on.add_argument("--for", dest="expires_in", type=duration, metavar="TIME", help="such as 90s, 30m, 2h")
    turning_on.add_argument("--retry-after", type=duration, default=30.0, help="what clients are told to wait (30s)")
    turning_off = actions.add_parser("off", help="turn one off")
    turning_off.add_argument("which", help="its id, its scope, or `all`")
    turning_off.add_argument("target", nargs="?", default=None)
    for action in (listing, turning_on, turning_off):
        add_remote_options(action)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    return {"list": _list, "on": _on, "off": _off}[options.action](remote, options, output)


def _list(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/switches")
    output.answer(answer, "\n".join(described(s) for s in answer["switches"]) or "no switch is on")
    return Exit.OK


def _on(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    switch = remote.post(
        "/api/admin/switches",
        {
            "scope": options.scope,
            "target": options.target,
            "blocks": "writes" if options.writes_only else "all",
            "reason": options.reason,
            "expires_in": options.expires_in,
            "retry_after": int(options.retry_after),
        },
    )
    output.answer(switch, f"on: {described(switch)}")
    return Exit.OK


def _off(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    switches = remote.get("/api/admin/switches")["switches"]
    chosen = [s for s in switches if _is_meant(s, options.which, options.target)]
    if not chosen:
        output.report([failure("NOT_FOUND", "no such switch is on", "`pylon switch list` shows those that are.")])
        return Exit.FAILED
    ended = [remote.delete(f"/api/admin/switches/{segment(s['id'])}") for s in chosen]
    output.answer({"off": ended}, "\n".join(f"off: {described(s)}" for s in ended))
    return Exit.OK


def _is_meant(switch: dict[str, Any], which: str, target: str | None) -> bool:
    if target is None and which in ("all", switch["id"]):
        return True
    return bool(which == switch["scope"] and (target or "") == switch["target"])


def described(switch: dict[str, Any]) -> str:
    """One switch on one line."""
    parts = [switch["id"], switch["scope"]]
    if switch["target"]:
        parts.append(switch["target"])
    if switch["blocks"] == "writes":
        parts.append("(writes only)")
    if switch["by"]:
        parts.append(f"by {switch['by']}")
    if switch["created_at"]:
        parts.append(f"since {shown(switch['created_at'])}")
    if switch["expires_at"]:
        parts.append(f"until {shown(switch['expires_at'])}")
    if switch["reason"]:
        parts.append(f"- {switch['reason']}")
    return " ".join(parts)
