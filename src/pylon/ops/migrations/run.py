"""Applying and rolling back migrations on a data folder that no server uses."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from pylon.auth.foundation import lay_foundation
from pylon.auth.methods import METHODS
from pylon.engine.engine import Engine
from pylon.engine.keyring import load_keyring
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.model.timestamps import iso_seconds
from pylon.ops.migrations.context import CALLER, Migration
from pylon.ops.migrations.files import MigrationFile, invalid
from pylon.ops.migrations.state import KIND, Progress, Remembered, pending, remembered
from pylon.plugins.host import Plugins
from pylon.settings import Settings
from pylon.store.protocol import SchemaWish
from pylon.store.sqlite.database import SqliteStore
from pylon.store.sqlite.sql_step import run_sql


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where migrations are applied: the app, its settings, who does it. `tell` hears (migration, rows so far)."""

    app: AppSpec
    settings: Settings
    by: str
    may_delete: bool = False
    tell: Callable[[str, int], None] = lambda key, rows: None
    clock: Callable[[], float] = time.time

    @property
    def store(self) -> SqliteStore:
        """The database, for its schema and records."""
        return self.store_of(Plans(self.app))

    def store_of(self, plans: Plans) -> SqliteStore:
        """The database, whose rows are of these plans."""
        types = {name: plan.types for name, plan in plans.items()}
        synchronous = self.settings.sqlite_synchronous.value
        return SqliteStore(self.settings.database_path, types, synchronous=synchronous, clock=self.clock)

    def now(self) -> str:
        """The time, as it is remembered."""
        return iso_seconds(datetime.fromtimestamp(self.clock(), UTC))


@dataclass(frozen=True, slots=True)
class Applied:
    """One migration that was applied or rolled back, and the rows that it visited or changed."""

    key: str
    rows: int
    resyncs: bool


def apply(place: Workplace, files: list[MigrationFile], backup: Path | None) -> list[Applied]:
    """Bring the schema to the declared one and apply what is pending, in order; those that say so before the schema.
    What was applied stays when a later one fails. Raises SCHEMA_REFUSED, MIGRATION_*."""
    place.settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = place.store
    known = remembered(store) if store.path.is_file() else {}
    reverting = next((key for key, one in known.items() if one.state == "reverting"), None)
    if reverting is not None:
        raise PylonError(
            "MIGRATION_UNFINISHED", f"{reverting} is half rolled back.", hint="`pylon migrate rollback` goes on."
        )
    waiting = pending(files, known)
    for file in waiting:
        if file.is_sql and file.says_nothing:
            raise invalid(file.path.name, "it has no statement below `-- UP`")
    done: list[Applied] = []
    if known or store.path.is_file():
        for file in waiting:
            if file.runs_before_schema:
                done.append(_apply_sql(place, file, backup))
    store.apply(place.app.entities, SchemaWish(by=f"migrate by {place.by}", app_version=place.app.version))
    for one in done:
        _note(place, "migration.apply", one.key, one.rows)
    for file in waiting:
        if file.is_sql:
            if all(one.key != file.key for one in done):
                done.append(_apply_sql(place, file, backup))
                _note(place, "migration.apply", file.key, done[-1].rows)
        else:
            done.append(_run_python(place, file, known.get(file.key), backup, "up"))
    return done


def roll_back(place: Workplace, file: MigrationFile) -> Applied:
    """Undo one migration by its own `down`. Raises MIGRATION_IRREVERSIBLE when it has none."""
    known = remembered(place.store)
    if file.is_sql:
        if not file.down:
            raise _irreversible(file, known.get(file.key))
        done = run_sql(
            place.settings.database_path,
            file.down,
            file.key,
            None,
            at=int(place.clock()),
            may_delete=place.may_delete,
        )
        _note(place, "migration.rollback", file.key, done.rows)
        return Applied(file.key, done.rows, bool(done.written))
    if not hasattr(load_module(file), "down"):
        raise _irreversible(file, known.get(file.key))
    return _run_python(place, file, known.get(file.key), None, "down")


def load_module(file: MigrationFile) -> ModuleType:
    """Import a migration in Python. Raises MIGRATION_INVALID."""
    name = f"pylon_migration_{file.key}"
    spec = importlib.util.spec_from_file_location(name, file.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(file.path.parent.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # the app's own modules are beside the folder
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the author's module may raise anything at all while it is imported
        raise invalid(file.path.name, f"{type(error).__name__}: {error}") from error
    if not callable(getattr(module, "up", None)):
        raise invalid(file.path.name, "it has no function `up`")
    return module


def is_destructive(file: MigrationFile) -> bool:
    """Whether a backup is taken before it: any SQL, and Python that says `destructive = True`."""
    return file.is_sql or bool(getattr(load_module(file), "destructive", False))


def _apply_sql(place: Workplace, file: MigrationFile, backup: Path | None) -> Applied:
    record = _begun(place, file, backup, "applied")
    done = run_sql(
        place.settings.database_path,
        file.up,
        file.key,
        record.encode(),
        at=int(place.clock()),
        may_delete=place.may_delete,
    )
    return Applied(file.key, done.rows, bool(done.written))


def _run_python(
    place: Workplace, file: MigrationFile, known: Remembered | None, backup: Path | None, direction: str
) -> Applied:
    handler = getattr(load_module(file), direction)
    if direction == "up":
        record = known or _begun(place, file, backup, "running")
    elif known is not None and known.state == "reverting":
        record = known
    else:
        record = _begun(place, file, None, "reverting")
    rows = asyncio.run(_run_on_engine(place, file, known, record, handler, direction))
    return Applied(file.key, rows, False)


async def _run_on_engine(
    place: Workplace,
    file: MigrationFile,
    before: Remembered | None,
    record: Remembered,
    handler: Callable[[Migration], Any],
    direction: str,
) -> int:
    async with _engine(place) as engine:

        def begin(transaction: Any) -> None:
            transaction.session.put_record(KIND, file.key, record.encode())

        await engine.run(CALLER, begin, authority=Authority.TRUSTED)
        migration = Migration(
            engine, asyncio.get_running_loop(), file.key, record, lambda rows: place.tell(file.key, rows)
        )
        try:
            await asyncio.to_thread(handler, migration)
        except BaseException:
            if migration.is_untouched and record is not before:
                await engine.run(
                    CALLER, lambda transaction: _as_before(transaction, file.key, before), authority=Authority.TRUSTED
                )
            raise
        finished = msgspec.structs.replace(
            record,
            state="applied",
            checksum=file.checksum,
            at=place.now(),
            progress=Progress(rows=migration.rows),
        )

        def finish(transaction: Any) -> None:
            if direction == "up":
                transaction.session.put_record(KIND, file.key, finished.encode())
                transaction.note("migration.apply", file.key, rows=migration.rows)
            else:
                transaction.session.delete_record(KIND, file.key)
                transaction.note("migration.rollback", file.key, rows=migration.rows)

        await engine.run(CALLER, finish, authority=Authority.TRUSTED)
        return migration.rows


def _as_before(transaction: Any, key: str, before: Remembered | None) -> None:
    """Forget that a migration was begun, which changed nothing."""
    if before is None:
        transaction.session.delete_record(KIND, key)
    else:
        transaction.session.put_record(KIND, key, before.encode())


@asynccontextmanager
async def _engine(place: Workplace) -> AsyncIterator[Engine]:
    """The write path of a server, without its doors."""
    plans = Plans(place.app)
    ring = load_keyring(place.settings.secret_keys, place.settings.data_dir)
    plans.field_keys.keys = ring
    engine = Engine(plans, place.store_of(plans), clock=place.clock)
    foundation = lay_foundation(engine, place.settings, ring, METHODS)
    Plugins(place.app.plugins, engine)  # their hooks of writes; what they do after a commit is a server's
    await engine.start()
    try:
        yield engine
    finally:
        await foundation.stop()
        await engine.stop()


def _note(place: Workplace, action: str, key: str, rows: int) -> None:
    """Record a migration in SQL in the audit log. One before the very first schema has no log yet."""

    async def note() -> None:
        async with _engine(place) as engine:
            await engine.run(
                CALLER, lambda transaction: transaction.note(action, key, rows=rows), authority=Authority.TRUSTED
            )

    asyncio.run(note())


def _begun(place: Workplace, file: MigrationFile, backup: Path | None, state: Any) -> Remembered:
    return Remembered(
        state=state,
        checksum=file.checksum,
        by=place.by,
        at=place.now(),
        backup=None if backup is None else str(backup),
    )


def _irreversible(file: MigrationFile, known: Remembered | None) -> PylonError:
    backup = known.backup if known is not None else None
    hint = "Write a function `down`." if not file.is_sql else "Write statements below `-- DOWN`."
    if backup is not None:
        hint = f"`pylon migrate rollback --restore` goes back to {backup}, and loses what was written since."
    return PylonError("MIGRATION_IRREVERSIBLE", f"{file.path.name} says nothing of how to undo it.", hint=hint)
