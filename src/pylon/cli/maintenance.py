"""Maintenance mode: every client is answered 503 with Retry-After, admins and health checks pass.

    pylon maintenance on --reason "policy hole in Invoice" --for 30m
    pylon maintenance off

Works through the running server. When that doesn't answer, `--offline` writes the file `maintenance` into the data
folder, which a server obeys within a quarter of a second, also when it starts; `off` removes both.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pylon.cli.durations import duration
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import add_data_dir, settings_for
from pylon.cli.remote import Remote, Unreachable, add_remote_options, segment
from pylon.cli.switch import described
from pylon.engine.limits.switches import FILE_NAME


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("on", "off", "status"))
    parser.add_argument("--read-only", action="store_true", help="refuse writes only")
    parser.add_argument("--reason", default="", help="shown to clients")
    parser.add_argument("--for", dest="expires_in", type=duration, metavar="TIME", help="such as 90s, 30m, 2h")
    parser.add_argument("--retry-after", type=duration, default=30.0, help="what clients are told to wait (30s)")
    parser.add_argument("--offline", action="store_true", help="write the file in the data folder, ask no server")
    add_data_dir(parser)
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        if options.offline:
            return _offline(options, output)
        remote = Remote.from_options(options)
        return {"on": _on, "off": _off, "status": _status}[options.action](remote, options, output)
    except Unreachable as error:
        output.report([failure(error.code, error.message, "Or use --offline on the server's machine.")])
        return Exit.UNAVAILABLE


def _on(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    switch = remote.post(
        "/api/admin/switches",
        {
            "scope": _scope(options),
            "reason": options.reason,
            "expires_in": options.expires_in,
            "retry_after": int(options.retry_after),
        },
    )
    output.answer(switch, f"on: {described(switch)}")
    return Exit.OK


def _off(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    """Turn off maintenance and read-only mode, wherever they come from; other switches stay."""
    path = _file(options)
    removed = path.exists()
    path.unlink(missing_ok=True)
    modes = _modes(remote)
    if not removed and any(switch["by"] == "file" for switch in modes):
        hint = f"Remove the file {FILE_NAME!r} there, or name the folder with --data-dir."
        output.report([failure("CONFLICT", "maintenance is set by a file in the server's data folder", hint)])
        return Exit.FAILED
    ended = [remote.delete(f"/api/admin/switches/{segment(s['id'])}") for s in modes if s["by"] != "file"]
    text = "\n".join(f"off: {described(switch)}" for switch in ended) or ("off" if removed else "it was not on")
    output.answer({"off": ended, "file_removed": removed}, text)
    return Exit.OK


def _status(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    modes = _modes(remote)
    output.answer({"on": bool(modes), "switches": modes}, "\n".join(f"on: {described(s)}" for s in modes) or "off")
    return Exit.OK


def _modes(remote: Remote) -> list[dict[str, Any]]:
    return [s for s in remote.get("/api/admin/switches")["switches"] if s["scope"] in ("server", "read-only")]


def _offline(options: argparse.Namespace, output: Output) -> int:
    path = _file(options)
    if options.action == "on":
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = {"scope": _scope(options), "reason": options.reason, "retry_after": int(options.retry_after)}
        path.write_text(json.dumps(wanted), "utf-8")
    elif options.action == "off":
        path.unlink(missing_ok=True)
    is_on = path.exists()
    output.answer({"on": is_on, "file": str(path)}, f"{'on' if is_on else 'off'}: {path}")
    return Exit.OK


def _scope(options: argparse.Namespace) -> str:
    return "read-only" if options.read_only else "server"


def _file(options: argparse.Namespace) -> Path:
    _, settings = settings_for(options, {}, Path.cwd(), Path.cwd())
    return settings.data_dir / FILE_NAME
