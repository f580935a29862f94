"""Steps that a declaration can't say, in numbered files: `migrations/0001_name.sql` or `.py`, beside the app.

pylon migrate create NAME           a new file; --python for one that changes rows through the write path
pylon migrate plan                  what `apply` would do: the schema's changes, then the files
pylon migrate apply                 do it, on a data folder that no server uses; goes on where it stopped
pylon migrate status                which are applied
pylon migrate rollback              undo the last one by its `down`, or --restore the backup from before it
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import Project, add_data_dir, open_project
from pylon.cli.schema import agreed, described, is_possible, operator, plan_lines, safeguard, store_of
from pylon.loading import load

if TYPE_CHECKING:
    from pylon.ops.migrations.files import MigrationFile
    from pylon.ops.migrations.run import Applied, Workplace
    from pylon.ops.migrations.state import Remembered


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|plan|apply|status|rollback")
    create = actions.add_parser("create", help="a new file")
    create.add_argument("name", help="letters, digits and underscores")
    create.add_argument("--python", action="store_true", help="one in Python, which changes rows")
    create.add_argument("--app", help="the app; found as by `pylon start` when left out")
    plan = actions.add_parser("plan", help="what `apply` would do")
    apply = actions.add_parser("apply", help="apply what is pending, or go on where it stopped")
    status = actions.add_parser("status", help="which are applied")
    rollback = actions.add_parser("rollback", help="undo the last one")
    rollback.add_argument("--restore", action="store_true", help="go back to the backup that was taken before it")
    for action in (plan, apply, status, rollback):
        action.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    for action in (apply, rollback):
        action.add_argument("--allow-destructive", action="store_true", help="let SQL delete rows and drop tables")
        action.add_argument("-y", "--yes", action="store_true", help="don't ask")
    for action in (create, plan, apply, status, rollback):
        add_data_dir(action)


def run(options: argparse.Namespace, output: Output) -> int:
    actions = {"create": _create, "plan": _plan, "apply": _apply, "status": _status, "rollback": _rollback}
    return actions[options.action](options, output)


def unapplied(project: Project) -> list[str]:
    """The keys of the migrations that wait beside an app."""
    from pylon.ops.migrations.files import FOLDER
    from pylon.ops.migrations.state import pending

    if not (project.entry.folder / FOLDER).is_dir():
        return []
    return [file.key for file in pending(_files(project), _known(project))]


def _create(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.migrations.files import FOLDER, PYTHON_TEMPLATE, SQL_TEMPLATE, create

    project = open_project(options, {})
    template, suffix = (PYTHON_TEMPLATE, ".py") if options.python else (SQL_TEMPLATE, ".sql")
    path = create(project.entry.folder / FOLDER, options.name, template, suffix)
    output.answer({"code": "MIGRATION_CREATED", "path": str(path)}, f"  {path}")
    return Exit.OK


def _plan(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.migrations.state import pending

    project = open_project(options, {})
    spec = load(project.entry)
    schema = store_of(project.settings).plan(spec.entities)
    waiting = pending(_files(project), _known(project))
    steps = [_step(file) for file in waiting]
    lines = plan_lines(schema)
    for step in steps:
        lines.append(f"  {step['kind']:<12} {step['key']}{': ' + step['title'] if step['title'] else ''}")
        lines += [f"{'':15}{line}" for line in step["sql"].splitlines()]
    output.answer({"schema": described(schema), "steps": steps}, "\n".join(lines) or "  already up to date")
    return Exit.OK if is_possible(schema) or any(file.runs_before_schema for file in waiting) else Exit.FAILED


def _step(file: MigrationFile) -> dict[str, Any]:
    from pylon.ops.migrations.run import is_destructive, load_module

    return {
        "key": file.key,
        "kind": "sql" if file.is_sql else "python",
        "title": "" if file.is_sql else (load_module(file).__doc__ or "").strip().partition("\n")[0],
        "sql": file.up,
        "backup_first": is_destructive(file),
        "before_schema": file.runs_before_schema,
    }


def _apply(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.migrations.run import apply, is_destructive
    from pylon.ops.migrations.state import pending

    project = open_project(options, {})
    with _folder(project):
        known = _known(project)
        waiting = pending(_files(project), known)
        fresh = [file for file in waiting if file.key not in known]
        backup = None
        if project.settings.database_path.is_file() and any(is_destructive(file) for file in fresh):
            if not (options.yes or agreed(f"Apply {len(waiting)}?")):
                output.answer({"ok": False, "aborted": True}, "Aborted.")
                return Exit.OK
            backup = safeguard(project, "migration", output)
        with _told(output) as tell:
            done = apply(_place(project, options, tell), _files(project), backup)
    text = [f"  applied {one.key}: {one.rows} rows{_resync(one)}" for one in done] or ["  already up to date"]
    if backup is not None:
        text.append(f"  a backup from before is in {backup}")
    document = {
        "code": "MIGRATIONS_APPLIED",
        "applied": [{"key": one.key, "rows": one.rows, "resyncs": one.resyncs} for one in done],
        "backup": None if backup is None else str(backup),
    }
    output.answer(document, "\n".join(text))
    return Exit.OK


def _resync(one: Applied) -> str:
    return "; it wrote rows as SQL, so every client fetches anew" if one.resyncs else ""


def _status(options: argparse.Namespace, output: Output) -> int:
    project = open_project(options, {})
    known = _known(project)
    files = {file.key: file for file in _files(project)}
    listed = [_listed(key, files.get(key), known.get(key)) for key in sorted({*files, *known})]
    states = [one["state"] for one in listed]
    lines = [f"  {one['key']:<32} {one['state']:<10} {one['at'] or '':<22}  {one['note']}".rstrip() for one in listed]
    counts = {"applied": states.count("applied"), "pending": states.count("pending"), "total": len(listed)}
    output.answer({"migrations": listed} | counts, "\n".join(lines) or "  no migrations")
    return Exit.OK


def _listed(key: str, file: MigrationFile | None, known: Remembered | None) -> dict[str, Any]:
    note = ""
    if file is None:
        note = "its file is gone"
    elif known is not None and known.state == "applied" and known.checksum != file.checksum:
        note = "its file is another one now"
    elif known is not None and known.state != "applied":
        note = f"stopped after {known.progress.rows} rows"
    return {
        "key": key,
        "state": "pending" if known is None else known.state,
        "at": None if known is None else known.at,
        "by": None if known is None else known.by,
        "rows": 0 if known is None else known.progress.rows,
        "backup": None if known is None else known.backup,
        "note": note,
    }


def _rollback(options: argparse.Namespace, output: Output) -> int:
    from pylon.ops.migrations.run import roll_back

    project = open_project(options, {})
    known = _known(project)
    files = {file.key: file for file in _files(project)}
    if not known:
        output.report([failure("MIGRATION_NONE", "no migration is applied", "`pylon migrate status` lists them.")])
        return Exit.FAILED
    key = max(known)
    if options.restore:
        return _restore(project, key, known[key], options, output)
    if key not in files:
        output.report([failure("MIGRATION_INVALID", f"the file of {key} is gone", "Put it back, or --restore.")])
        return Exit.FAILED
    with _folder(project), _told(output) as tell:
        done = roll_back(_place(project, options, tell), files[key])
    document = {"code": "MIGRATION_ROLLED_BACK", "key": key, "rows": done.rows, "resyncs": done.resyncs}
    output.answer(document, f"  rolled back {key}: {done.rows} rows{_resync(done)}")
    return Exit.OK


def _restore(project: Project, key: str, one: Remembered, options: argparse.Namespace, output: Output) -> int:
    import importlib.metadata

    from pylon.ops.backup.keys import Keyring
    from pylon.ops.backup.restore import Wish, candidates, restore
    from pylon.ops.backup.shelf import open_location

    if one.backup is None:
        output.report([failure("MIGRATION_IRREVERSIBLE", f"no backup was taken before {key}")])
        return Exit.FAILED
    if not (options.yes or agreed(f"Go back to {one.backup} and lose what was written since?")):
        output.answer({"ok": False, "aborted": True}, "Aborted.")
        return Exit.OK
    settings = project.settings
    wish = Wish(
        location=open_location(one.backup),
        data_dir=settings.data_dir,
        version=importlib.metadata.version("pylon"),
        keys=Keyring(settings.backup_passphrase, settings.backup_recipient),
        replace=True,
        keep_sessions=True,
    )
    done = restore(wish, candidates(wish))
    document = {"code": "MIGRATION_ROLLED_BACK", "key": key, "backup": one.backup, "aside": str(done.aside)}
    output.answer(document, f"  back to {one.backup}; the data of after it is in {done.aside}")
    return Exit.OK


def _files(project: Project) -> list[MigrationFile]:
    from pylon.ops.migrations.files import FOLDER, find

    return find(project.entry.folder / FOLDER)


def _known(project: Project) -> dict[str, Remembered]:
    from pylon.ops.migrations.state import remembered

    store = store_of(project.settings)
    return remembered(store) if store.path.is_file() else {}


def _place(project: Project, options: argparse.Namespace, tell: Any) -> Workplace:
    from pylon.ops.migrations.run import Workplace

    return Workplace(load(project.entry), project.settings, operator(), options.allow_destructive, tell)


@contextlib.contextmanager
def _folder(project: Project) -> Iterator[None]:
    """Hold the data folder: no server uses it meanwhile. Raises DATA_DIR_LOCKED."""
    from pylon.store.lock import FolderLock

    project.settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(project.settings.data_dir)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _told(output: Output) -> Iterator[Any]:
    """Rows so far, on a terminal."""
    from pylon.cli.backup import progress_bar

    with progress_bar(output) as progress:
        yield lambda key, rows: progress(key, rows, 0)
