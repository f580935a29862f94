"""What the app declares against what the database holds, and the way from one to the other.

pylon schema check                  is what the app declares valid?
pylon schema diff                   what a start would change, what it couldn't, and what nothing declares any more
pylon schema diff OLD NEW           the same between two apps or manifests
pylon schema push                   make the changes now; --drop also drops what nothing declares, after a backup.
                                    While a server uses the data, prepare them, so that its next start is short
pylon schema inspect                tables, columns and indexes as they are
pylon schema history                what was changed, when and by whom
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import Project, add_data_dir, open_project
from pylon.loading import find_entry, load
from pylon.model.errors import PylonError
from pylon.settings import Settings

if TYPE_CHECKING:
    from pylon.model.schema import AppSpec
    from pylon.model.schema_change import Plan
    from pylon.store.protocol import SchemaEntry, SchemaWish
    from pylon.store.sqlite.database import SqliteStore


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|diff|push|inspect|history")
    actions.add_parser("check", help="see `pylon check`, which this is", add_help=False)
    diff = actions.add_parser("diff", help="what a start would change")
    diff.add_argument("apps", nargs="*", metavar="APP", help="the app; or two apps or manifests, old and new")
    push = actions.add_parser("push", help="make the changes now")
    push.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    push.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    push.add_argument("-y", "--yes", action="store_true", help="don't ask before something is dropped")
    for action in (diff, push):
        action.add_argument("--drop", action="store_true", help="also drop what nothing declares any more")
    inspect = actions.add_parser("inspect", help="tables, columns and indexes as they are")
    history = actions.add_parser("history", help="what was changed, when and by whom")
    history.add_argument("--limit", type=int, default=20, help="newest entries")
    history.add_argument("--id", type=int, help="this entry only, with its steps")
    for action in (inspect, history):
        action.add_argument("app", nargs="?", help="the app whose data folder it is")
    for action in (diff, push, inspect, history):
        add_data_dir(action)


def run(options: argparse.Namespace, output: Output) -> int:
    actions = {"diff": _diff, "push": _push, "inspect": _inspect, "history": _history}
    return actions[options.action](options, output)


def _diff(options: argparse.Namespace, output: Output) -> int:
    if len(options.apps) > 2:
        output.report([failure("USAGE", "name one app, or two to compare")])
        return Exit.USAGE
    if len(options.apps) == 2:
        old, new = options.apps
        plan = _between(old, new, options)
    else:
        options.app = options.apps[0] if options.apps else None
        project = open_project(options, {})
        plan = store_of(project.settings).plan(load(project.entry).entities, _wish(options))
    return _tell_plan(plan, "SCHEMA_DIFF", output)


def _between(old: str, new: str, options: argparse.Namespace) -> Plan:
    from pylon.model.live_schema import as_live
    from pylon.model.schema_diff import diff

    before, after = (load(find_entry(name, Path.cwd())) for name in (old, new))
    return diff(after.entities, as_live(before.entities), _wish(options).leftovers)


def _push(options: argparse.Namespace, output: Output) -> int:
    from pylon.model.schema_change import Risk
    from pylon.store.lock import FolderLock
    from pylon.store.sqlite.ddl import refuse

    project = open_project(options, {})
    spec = load(project.entry)
    store, wish = store_of(project.settings), _wish(options, spec.version)
    if options.dry_run:
        return _tell_plan(store.plan(spec.entities, wish), "PUSH_DRY_RUN", output)
    project.settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(project.settings.data_dir)
    try:
        lock.acquire()
    except PylonError:
        if options.drop:
            raise
        return _prepare(spec, store, wish, output)
    try:
        plan = store.plan(spec.entities, wish)
        refuse(plan)
        gone = plan.of(Risk.DESTRUCTIVE)
        backup = None
        if gone:
            output.note("\n".join(f"  {planned.risk.value:<12} {planned.sentence}" for planned in gone))
            if not (options.yes or agreed("Drop this, with what it holds?")):
                output.report([failure("PUSH_BLOCKED", "nothing was changed", "`--yes` agrees beforehand.")])
                return Exit.FAILED
            backup = safeguard(project, "schema-push", output)
        done = store.apply(spec.entities, wish)
    finally:
        lock.release()
    document = described(plan) | {
        "code": "PUSH_APPLIED",
        "applied": True,
        "database_path": str(project.settings.database_path),
        "backup": None if backup is None else str(backup),
    }
    lines = [f"  {sentence}" for sentence in done] or ["  nothing to change"]
    if backup is not None:
        lines.append(f"  a backup from before is in {backup}")
    output.answer(document, "\n".join(lines))
    return Exit.OK


def _prepare(spec: AppSpec, store: SqliteStore, wish: SchemaWish, output: Output) -> int:
    """A server uses the folder: copy what is to be written anew, and leave the rest to its next start."""
    from pylon.cli.backup import progress_bar
    from pylon.store.sqlite.ddl import refuse

    plan = store.plan(spec.entities, wish)
    refuse(plan)
    with progress_bar(output) as progress:
        rows = store.prepare(spec.entities, plan, progress)
    document = described(plan) | {"code": "PUSH_PREPARED", "prepared": rows}
    lines = [f"  prepared {entity}: {count} rows" for entity, count in rows.items()]
    lines += [f"  at the next start: {planned.sentence}" for planned in plan.steps] or ["  nothing to change"]
    output.answer(document, "\n".join(lines))
    return Exit.OK


def _inspect(options: argparse.Namespace, output: Output) -> int:
    settings = settings_of(options)
    tables = [
        {
            "name": table.name,
            "columns": [
                {"name": "id", "column_type": "TEXT", "notnull": True, "primary_key": True, "has_default": False},
                *(
                    {
                        "name": column.name,
                        "column_type": column.type,
                        "notnull": column.not_null,
                        "primary_key": False,
                        "has_default": False,
                        "unique": column.unique,
                    }
                    for column in table.columns
                ),
            ],
            "indexes": [
                {"name": index.name, "columns": list(index.columns), "unique": index.unique, "where": index.where}
                for index in table.indexes
            ],
        }
        for table in store_of(settings).live_schema().tables
    ]
    output.answer({"tables": tables}, "\n".join(_table_lines(tables)) or "no tables")
    return Exit.OK


def _table_lines(tables: list[dict[str, Any]]) -> list[str]:
    lines = []
    for table in tables:
        lines.append(table["name"])
        for column in table["columns"]:
            marks = " not null" * column["notnull"] + " unique" * column.get("unique", False)
            lines.append(f"  {column['name']:<24} {column['column_type']}{marks}")
        for index in table["indexes"]:
            unique = "unique " * index["unique"]
            where = f" where {index['where']}" if index["where"] else ""
            lines.append(f"  {unique}index {index['name']} ({', '.join(index['columns'])}){where}")
    return lines


def _history(options: argparse.Namespace, output: Output) -> int:
    if options.limit < 1:
        output.report([failure("HISTORY_INVALID_LIMIT", "--limit is a number from 1 on")])
        return Exit.USAGE
    entries = store_of(settings_of(options)).schema_history()
    broken = [str(entry.id) for entry in entries if not entry.is_sound]
    if options.id is not None:
        entries = [entry for entry in entries if entry.id == options.id]
        if not entries:
            output.report([failure("HISTORY_ENTRY_NOT_FOUND", f"there is no entry {options.id}")])
            return Exit.FAILED
    shown = entries[: options.limit]
    if broken:
        text = f"entries {', '.join(broken)} are not as they were written, or one before them is gone"
        output.note(f"  warning[HISTORY_BROKEN] {text}")
    output.answer([_entry(entry) for entry in shown], "\n".join(_entry_line(entry) for entry in shown) or "no changes")
    return Exit.OK


def _entry(entry: SchemaEntry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "manifest_version": 1,
        "app_version": entry.app_version,
        "applied_at": entry.applied_at,
        "applied_by": entry.applied_by,
        "operation_count": entry.operation_count,
        "baseline": entry.baseline,
        "log_floor": entry.log_floor,
        "checksum": entry.checksum,
        "is_sound": entry.is_sound,
        "plan": json.loads(entry.plan_json),
        "plan_json": entry.plan_json,
    }


def _entry_line(entry: SchemaEntry) -> str:
    steps = [_step_text(step) for step in json.loads(entry.plan_json)["operations"]]
    text = "; ".join(steps) or "the shapes of fields were noted"
    return f"{entry.id:>4}  {entry.applied_at}  {entry.applied_by}  app {entry.app_version or '?'}  {text}"


def _step_text(step: dict[str, Any]) -> str:
    field = step.get("field_name") or step.get("field", step.get("target", {})).get("name")
    return f"{step['op']} {step['entity']}{f'.{field}' if field else ''}"


def _wish(options: argparse.Namespace, version: str = "") -> SchemaWish:
    from pylon.model.schema_change import Leftovers
    from pylon.store.protocol import SchemaWish

    leftovers = Leftovers.DROP if options.drop else Leftovers.KEEP
    return SchemaWish(by=f"push by {operator()}", app_version=version, leftovers=leftovers)


def operator() -> str:
    """The user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of the app's data folder, or of the one that is named where there is no app."""
    from pylon.cli.backup import project_of

    return project_of(options.app, options)[1]


def store_of(settings: Settings) -> SqliteStore:
    """The database in the data folder, for its schema alone."""
    from pylon.store.sqlite.database import SqliteStore

    return SqliteStore(settings.database_path, {}, synchronous=settings.sqlite_synchronous.value)


def agreed(question: str) -> bool:
    """Ask whoever is there."""
    print(f"{question} [y/N] ", end="", flush=True, file=sys.stderr)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def safeguard(project: Project, what: str, output: Output) -> Path:
    """Take a verified backup before something destructive; where it is."""
    import importlib.metadata

    from pylon.cli.backup import progress_bar
    from pylon.ops.backup.before import back_up_before
    from pylon.ops.backup.keys import Keyring
    from pylon.ops.backup.take import Subject

    settings = project.settings
    keys = Keyring(settings.backup_passphrase, settings.backup_recipient)
    subject = Subject(settings.data_dir, importlib.metadata.version("pylon"), load(project.entry))
    with progress_bar(output) as progress:
        return back_up_before(subject, what, keys, progress=progress)


def described(plan: Plan) -> dict[str, Any]:
    """A plan in JSON answers (spec 05 §8)."""
    import msgspec

    from pylon.model.schema_change import Risk

    steps = msgspec.to_builtins(plan.steps)
    impossible = plan.of(Risk.IMPOSSIBLE)
    gone = plan.of(Risk.DESTRUCTIVE)
    codes = {"remove_entity": "DESTRUCTIVE_REMOVE_ENTITY", "remove_field": "DESTRUCTIVE_REMOVE_FIELD"}
    warnings = [
        {"code": codes[step["step"]["op"]], "message": step["sentence"]}
        for step in steps
        if step["risk"] == "destructive"
    ]
    return {
        "dry_run": False,
        "applied": False,
        "adapter": "sqlite",
        "manifest_version": 1,
        "plan": {"operations": [step["step"] for step in steps] or [{"op": "noop"}]},
        "steps": [{key: step.get(key) for key in ("sentence", "risk", "why", "mend")} for step in steps],
        "leftovers": list(plan.leftovers),
        "resyncs": plan.resyncs,
        "analysis": {"destructive": bool(gone), "has_unsupported": bool(impossible), "warnings": warnings},
        "diagnostics": [{"code": "SCHEMA_REFUSED", "message": p.why, "hint": p.mend} for p in impossible],
    }


def plan_lines(plan: Plan) -> list[str]:
    """A plan for people: each step with its risk, and why it can't be where it can't."""
    lines = []
    for planned in plan.steps:
        lines.append(f"  {planned.risk.value:<12} {planned.sentence}")
        if planned.why is not None:
            lines.append(f"{'':15}{planned.why} {planned.mend or ''}".rstrip())
    lines += [f"  {'left over':<12} {name}, which nothing declares" for name in plan.leftovers]
    if plan.resyncs:
        lines.append("  clients will fetch their rows anew")
    return lines


def is_possible(plan: Plan) -> bool:
    """Whether a start could do it."""
    from pylon.model.schema_change import Risk

    return not plan.of(Risk.IMPOSSIBLE)


def _tell_plan(plan: Plan, code: str, output: Output) -> int:
    document = described(plan) | {"code": code, "dry_run": code == "PUSH_DRY_RUN"}
    output.answer(document, "\n".join(plan_lines(plan)) or "  no changes")
    return Exit.OK if is_possible(plan) else Exit.FAILED
