"""Look for what would go wrong on this machine: the app, its schema and migrations, its settings, the data folder, the
ports, the disk."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.project import Project, add_serving_options, open_project, settings_for, unknown_findings
from pylon.listeners import ListenError, bind
from pylon.loading import Entry, LoadError, load
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.settings import Settings, SettingsError

_MIN_FREE = 100 * 1024 * 1024
_MIN_SQLITE = (3, 51, 3)
"""Earlier ones can corrupt a database that several threads write-ahead-log to."""

_MIN_OPEN_FILES = 4096
_MARKS = {"pass": "✓", "warning": "⚠", "error": "✗"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `status` is pass, warning or error."""

    name: str
    status: str
    detail: str


def configure(parser: argparse.ArgumentParser) -> None:
    add_serving_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    checks = examine(options)
    counts = {status: sum(check.status == status for check in checks) for status in _MARKS}
    document = {
        "checks": [{"name": c.name, "status": c.status, "detail": c.detail} for c in checks],
        "passed": counts["pass"],
        "warnings": counts["warning"],
        "errors": counts["error"],
    }
    lines = [f"{_MARKS[check.status]} {check.name}: {check.detail}" for check in checks]
    summary = f"{counts['pass']} passed, {counts['warning']} warnings, {counts['error']} errors"
    output.answer(document, "\n".join([*lines, "", summary]))
    return Exit.FAILED if counts["error"] else Exit.OK


def examine(options: argparse.Namespace) -> list[Check]:
    """Every check, in the order in which a start would fail on it."""
    checks = [_python(), _sqlite(), _open_files()]
    try:
        environ, settings = settings_for(options, {}, Path.cwd(), Path.cwd())
    except SettingsError as error:
        return [*checks, *(Check("settings", "error", str(problem)) for problem in error.problems)]
    try:
        project = open_project(options, {})
        settings = project.settings
        checks += _app(project)
    except LoadError as error:
        checks.append(Check("app", "error", str(error)))
    else:
        checks += [_schema(project), _migrations(project)]
    unknown = [f"{found.message}. {found.hint}" for found in unknown_findings(environ)]
    checks += [Check("variables", "warning", text) for text in unknown]
    looks: tuple[Callable[[Settings], Check], ...] = (_mode, _admin_token, _origins, _data_folder, _disk, _port)
    return [*checks, *(look(settings) for look in looks)]


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", "pass" if sys.version_info >= (3, 11) else "error", found)


def _sqlite() -> Check:
    import apsw

    version = apsw.sqlite_lib_version()
    enough = tuple(int(part) for part in version.split(".")[:3]) >= _MIN_SQLITE
    return Check("sqlite", "pass" if enough else "error", version if enough else f"{version} is too old: update apsw")


def _open_files() -> Check:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _MIN_OPEN_FILES:
        return Check("open files", "pass", "unlimited" if soft == resource.RLIM_INFINITY else str(soft))
    return Check("open files", "warning", f"{soft}: each client needs one; raise it with `ulimit -n 65536`")


def _app(project: Project) -> list[Check]:
    from pylon.cli.check import counted, examine_app

    spec, warnings = examine_app(project)
    detail = f"{_shown(project.entry)}: {counted(spec)}"
    app = Check("app", "warning", f"{detail}; {warnings[0]}") if warnings else Check("app", "pass", detail)
    return [app, *_encrypted_fields(spec, project.settings)]


def _encrypted_fields(spec: AppSpec, settings: Settings) -> list[Check]:
    """Whether the keys that are here open what the app's encrypted fields hold; nothing where there is nothing yet."""
    if settings.database_url or not settings.database_path.is_file():
        return []
    from pylon.engine.keyring import FILE_NAME, load_keyring
    from pylon.engine.plan import Plans
    from pylon.engine.resealing import states_in
    from pylon.store.sqlite.database import SqliteStore

    plans = Plans(spec)
    if not plans.has_sealed:
        return []
    has_keys = bool(settings.secret_keys) or (settings.data_dir / FILE_NAME).is_file()
    try:
        ids = load_keyring(settings.secret_keys, settings.data_dir).ids if has_keys else ()
        types = {name: plan.types for name, plan in plans.items()}
        session = SqliteStore(settings.database_path, types).reader()
        try:
            states = states_in(session, plans.values(), ids)
        finally:
            session.close()
    except Exception as error:  # whatever is wrong with the keys or the file is a finding, not this command's failure
        return [Check("encrypted fields", "warning", f"could not be looked at: {error}")]
    lost = {f"{state.entity}.{state.field}": state.unknown for state in states if state.unknown}
    if lost:
        told = ", ".join(f"{count:,} in {name}" for name, count in lost.items())
        return [Check("encrypted fields", "error", f"values that no key here opens: {told}; put their key back")]
    return [Check("encrypted fields", "pass", f"{len(states)}, and the keys for them")]


def _schema(project: Project) -> Check:
    """What the database holds against what the app declares: what a start would change, and what it couldn't."""
    from pylon.cli.rehearsal import rehearse
    from pylon.cli.schema import store_of
    from pylon.model.schema_change import Risk

    if project.settings.database_url or not project.settings.database_path.is_file():
        return Check("schema", "pass", "no database here yet: a start makes it")
    spec = load(project.entry)
    try:
        plan = store_of(project.settings).plan(spec.entities)
        if not plan.of(Risk.IMPOSSIBLE):
            rehearse(spec, project.settings)
    except PylonError as error:
        return Check("schema", "error", f"{error.message} {error.hint or ''}".rstrip())
    left = f"; left over: {', '.join(plan.leftovers)}" if plan.leftovers else ""
    if impossible := plan.of(Risk.IMPOSSIBLE):
        first = impossible[0]
        more = f"; {len(impossible) - 1} more: `pylon schema diff`" if len(impossible) > 1 else ""
        return Check("schema", "error", f"a start would refuse: {first.why or first.sentence} {first.mend or ''}{more}")
    if plan.steps:
        told = "; ".join(planned.sentence for planned in plan.steps[:3])
        more = f" and {len(plan.steps) - 3} more: `pylon schema diff`" if len(plan.steps) > 3 else ""
        return Check("schema", "warning", f"the next start will change the database: {told}{more}{left}")
    return Check("schema", "pass", f"the database is as declared{left}")


def _migrations(project: Project) -> Check:
    from pylon.cli.migrate import unapplied
    from pylon.cli.schema import store_of
    from pylon.ops.migrations.state import refuse_unfinished

    try:
        if project.settings.database_path.is_file():
            refuse_unfinished(store_of(project.settings))
        waiting = unapplied(project)
    except PylonError as error:
        return Check("migrations", "error", f"{error.message} {error.hint or ''}".rstrip())
    if waiting:
        return Check("migrations", "warning", f"not applied: {', '.join(waiting)}. `pylon migrate apply`")
    return Check("migrations", "pass", "none waits")


def _shown(entry: Entry) -> str:
    return entry.file.name if entry.file is not None else str(entry)


def _mode(settings: Settings) -> Check:
    if not settings.dev_mode:
        return Check("mode", "pass", "production")
    if settings.host in ("127.0.0.1", "localhost", "::1"):
        return Check("mode", "pass", "development")
    return Check("mode", "warning", f"development, listening on {settings.host}: anybody there can act as any user")


def _admin_token(settings: Settings) -> Check:
    if settings.admin_tokens:
        return Check("admin token", "pass", f"{len(settings.admin_tokens)} set")
    return Check("admin token", "warning", "unset: no admin access. Set PYLON_ADMIN_TOKEN (`openssl rand -hex 32`)")


def _origins(settings: Settings) -> Check:
    if settings.cors_origins:
        return Check("origins", "pass", ", ".join(settings.cors_origins))
    return Check("origins", "pass", "the server's own only (PYLON_CORS_ORIGIN is unset)")


def _data_folder(settings: Settings) -> Check:
    folder = settings.data_dir
    if settings.database_url:
        return Check("database", "pass", "Postgres (DATABASE_URL)")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Check("data folder", "error", f"{existing} is not writable: set PYLON_DATA_DIR")
    from pylon.store.lock import folder_holder

    held = folder_holder(folder)
    if held is not None:
        return Check("data folder", "warning", f"{folder} is in use by process {held}")
    return Check("data folder", "pass", str(folder))


def _disk(settings: Settings) -> Check:
    existing = next(
        path for path in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    status = "pass" if free >= _MIN_FREE else "error"
    return Check(
        "disk", status, f"{free // (1024 * 1024):,} MB free" + ("" if status == "pass" else ": free some space")
    )


def _port(settings: Settings) -> Check:
    try:
        listeners = bind(settings)
    except ListenError as error:
        return Check("port", "error", str(error))
    listeners.close()
    if listeners.warnings:
        return Check("port", "warning", "; ".join(listeners.warnings))
    return Check("port", "pass", f"{settings.port} is free")
