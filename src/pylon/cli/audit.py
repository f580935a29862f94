"""The audit log: who wrote what, who was shown what, who signed in, and what operators did.

pylon audit --entity Invoice --since 2026-11-23T01:00Z --until 2026-11-23T03:14Z --reads
pylon audit --user mallory --csv
pylon audit --events auth --since 1h
pylon audit who-saw --entity Invoice --since 2h
pylon audit verify
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

from pylon.cli.durations import moment, shown
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import Remote, add_remote_options

_MOST = 10_000
_EVENTS = {"data": "write", "auth": "auth", "operators": "operator", "all": "write,read,auth,operator"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        choices=("search", "export", "who-saw", "verify"),
        default="search",
        help="search (default); export streams everything; who-saw sums up reads; verify recomputes the chain",
    )
    parser.add_argument("--entity")
    parser.add_argument("--row", help="row id")
    parser.add_argument("--user", help="user id")
    parser.add_argument("--ip", help="address")
    parser.add_argument(
        "--action", dest="done", help="insert, update, delete, read, or an operator's such as switch.on"
    )
    parser.add_argument("--since", type=moment, help="2026-11-23T03:14:00Z, or 2h for two hours ago")
    parser.add_argument("--until", type=moment)
    parser.add_argument(
        "--events",
        choices=tuple(_EVENTS),
        help="data: writes; auth: sign-ins and what happens to accounts; operators; all: rows that were shown, too. "
        "Without it everything but rows that were shown",
    )
    parser.add_argument("--reads", action="store_true", help="also rows that were shown (entities with audit_reads)")
    parser.add_argument("--operators", action="store_true", help="only what operators did")
    parser.add_argument("--limit", type=int, default=100, help=f"newest entries, at most {_MOST}")
    parser.add_argument("--csv", action="store_true", help="CSV on stdout")
    parser.add_argument("--expect", help="verify: a head ID:HASH noted earlier, which must still be in the chain")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    if options.action == "verify":
        return _verify(remote, options, output)
    if options.action == "who-saw":
        return _who_saw(remote, options, output)
    if options.action == "export" or options.csv:
        return _export(remote, options)
    return _search(remote, options, output)


def _query(options: argparse.Namespace) -> dict[str, str | int | float | None]:
    kinds = _EVENTS["operators"] if options.operators else _EVENTS.get(options.events, "write,auth,operator")
    if options.reads and "read" not in kinds:
        kinds = f"{kinds},read"
    return {
        "entity": options.entity,
        "row": options.row,
        "user": options.user,
        "ip": options.ip,
        "action": options.done,
        "since": options.since,
        "until": options.until,
        "kind": "read" if options.done == "read" else kinds,
        "limit": options.limit,
    }


def _search(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    answer = remote.get("/api/admin/audit", **_query(options))
    output.answer(answer, "\n".join(line(entry) for entry in answer["entries"]) or "no entries")
    return Exit.OK


def _export(remote: Remote, options: argparse.Namespace) -> int:
    form = "csv" if options.csv else "json"
    for piece in remote.stream("/api/admin/audit/export", **{**_query(options), "format": form}):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return Exit.OK


def _who_saw(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    """Which users, from which addresses, were shown which rows in the window."""
    query = {**_query(options), "kind": "read", "limit": _MOST}
    entries = remote.get("/api/admin/audit", **query)["entries"]
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    first: dict[tuple[str, str, str], float] = {}
    last: dict[tuple[str, str, str], float] = {}
    for entry in entries:
        who = (entry["user"] or "anonymous", entry["ip"], entry["entity"])
        rows.setdefault(who, Counter()).update(entry["rows"])
        first[who] = min(first.get(who, entry["at"]), entry["at"])
        last[who] = max(last.get(who, entry["at"]), entry["at"])
    report: list[dict[str, Any]] = [
        {
            "user": who[0],
            "ip": who[1],
            "entity": who[2],
            "rows": len(seen),
            "times": sum(seen.values()),
            "first": first[who],
            "last": last[who],
            "row_ids": sorted(seen),
        }
        for who, seen in sorted(rows.items(), key=lambda item: -len(item[1]))
    ]
    lines = [
        f"{r['user']} from {r['ip']} saw {r['rows']} rows of {r['entity']}, "
        f"{shown(r['first'])} to {shown(r['last'])}: {', '.join(r['row_ids'][:5])}{' ...' if r['rows'] > 5 else ''}"
        for r in report
    ]
    if len(entries) == _MOST:
        lines.append(f"only the newest {_MOST} reads are counted: narrow the window")
    output.answer({"readers": report, "complete": len(entries) < _MOST}, "\n".join(lines) or "nobody")
    return Exit.OK


def _verify(remote: Remote, options: argparse.Namespace, output: Output) -> int:
    remote.timeout = 600.0
    verdict = remote.get("/api/admin/audit/verify", expect=options.expect)
    head = f"{verdict['head_id']}:{verdict['head_hash']}"
    if verdict["ok"]:
        output.answer(verdict, f"whole: {verdict['records']} records in {verdict['blocks']} blocks\nhead {head}")
        return Exit.OK
    if isinstance(verdict["problems"], list):
        output.answer(verdict, "")
        output.report([failure("AUDIT_BROKEN", problem) for problem in verdict["problems"]])
    return Exit.FAILED


def line(entry: dict[str, Any]) -> str:
    """One entry on one line."""
    who = entry["user"] or "anonymous"
    if entry["actor_is_admin"]:
        who = "admin" if who == "__admin__" else f"{who.removeprefix('op_pylon_')} (admin)"
    parts = [shown(entry["at"]), who, entry["ip"] or "-", entry["door"], entry["action"]]
    if entry["entity"]:
        rows = entry["rows"]
        parts.append(f"{entry['entity']}/{rows[0]}" if len(rows) == 1 else f"{entry['entity']} {len(rows)} rows")
    if entry["fields"]:
        parts.append(",".join(entry["fields"]))
    parts += [f"{name}={value}" for name, value in entry["details"].items() if value not in ("", None)]
    if entry["request_id"]:
        parts.append(f"[{entry['request_id']}]")
    return " ".join(parts)
