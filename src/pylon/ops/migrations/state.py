"""What is remembered of each migration, in the database that it changed: stored with what it did, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from pylon.model.errors import PylonError
from pylon.ops.migrations.files import MigrationFile
from pylon.store.protocol import Store

KIND = "migration"


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a migration in Python got: steps that are done, the last row of the step after them, and rows in all."""

    steps: int = 0
    after: str = ""
    rows: int = 0


class Remembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One migration that was begun. `backup` is the folder of the one that was taken before."""

    state: Literal["running", "applied", "reverting"]
    checksum: str
    by: str
    at: str
    backup: str | None = None
    progress: Progress = Progress()

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.json.encode(self)


def remembered(store: Store) -> dict[str, Remembered]:
    """What was begun, by key."""
    session = store.reader()
    try:
        return {key: msgspec.json.decode(record, type=Remembered) for key, record in session.records(KIND)}
    finally:
        session.close()


def pending(files: Sequence[MigrationFile], known: dict[str, Remembered]) -> list[MigrationFile]:
    """The migrations that are not applied, in order."""
    return [file for file in files if file.key not in known or known[file.key].state != "applied"]


def refuse_unfinished(store: Store) -> None:
    """Raise MIGRATION_UNFINISHED when one stopped half-way: some rows are as before it, others as after it. One that
    was killed before its first commit has changed nothing."""
    for key, one in remembered(store).items():
        if one.state == "reverting" or (one.state == "running" and one.progress != Progress()):
            word = "applied" if one.state == "running" else "rolled back"
            command = "apply" if one.state == "running" else "rollback"
            raise PylonError(
                "MIGRATION_UNFINISHED",
                f"The migration {key} stopped while it was being {word}, after {one.progress.rows} rows.",
                hint=f"`pylon migrate {command}` goes on where it stopped.",
            )
