"""The keys that encrypted fields are sealed with: see what each has sealed, make a new one, seal everything with it.

pylon keys status
pylon keys rotate
pylon keys reencrypt --wait
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options

_POLL_SECONDS = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="status|rotate|reencrypt")
    add_remote_options(actions.add_parser("status", help="the keys, and how many values each has sealed"))
    add_remote_options(actions.add_parser("rotate", help="make a new key; the others still open what they sealed"))
    sealing = actions.add_parser("reencrypt", help="seal with the current key what another sealed, or nobody")
    sealing.add_argument("--wait", action="store_true", help="until it is done")
    add_remote_options(sealing)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    if options.action == "rotate":
        made = remote.post("/api/admin/keys/rotate", {})
        output.answer(made, f"{made['key']} seals from now on\nnext: pylon keys reencrypt --wait")
        return Exit.OK
    if options.action == "reencrypt":
        return _reencrypt(remote, options.wait, output)
    state = remote.get("/api/admin/keys")
    output.answer(state, "\n".join(_lines(state)))
    return Exit.OK


def _reencrypt(remote: Remote, wait: bool, output: Output) -> int:
    progress = remote.post("/api/admin/keys/reencrypt", {})
    while wait and progress["running"]:
        time.sleep(_POLL_SECONDS)
        progress = remote.get("/api/admin/keys")["reencrypting"]
    if progress["error"]:
        hint = "What is sealed already stays so; run it again."
        output.report([failure("REENCRYPT_FAILED", progress["error"], hint)])
        return Exit.FAILED
    doing = "sealing in the background; see pylon keys status" if progress["running"] else "done"
    output.answer(progress, f"{progress['sealed']:,} values sealed, {doing}")
    return Exit.OK


def _lines(state: dict[str, Any]) -> list[str]:
    lines = [f"{key}  {'current' if i == 0 else 'opens what it sealed'}" for i, key in enumerate(state["keys"])]
    for field in state["fields"]:
        counts = [f"{key} {count:,}" for key, count in field["by_key"].items() if count]
        counts += [f"{word} {field[word]:,}" for word in ("open", "unknown") if field[word]]
        lines.append(f"  {field['entity']}.{field['field']}: {', '.join(counts) or 'no values'}")
    progress = state["reencrypting"]
    if progress["running"]:
        lines.append(f"sealing anew: {progress['sealed']:,} so far")
    return lines
