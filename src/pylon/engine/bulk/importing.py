"""Importing rows: batches through the write path, each with its change events, audit records and place in the log.

A batch commits with how far its import has come, so that one that was killed goes on where it stopped and loses or
doubles nothing.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError

KIND = "import"
"""The records that hold the progress of imports with an id."""

FAILURES_TOLD = 100
BATCH_ROWS = 2_000
BATCH_BYTES = 512 * 1024

Decode = Callable[[bytes], tuple[EntityPlan, Any]]
"""A piece of the source as a validated row of an entity."""


class OnError(enum.StrEnum):
    """What a row that is refused means for the rest."""

    STOP = "stop"
    SKIP = "skip"


class Failure(msgspec.Struct, frozen=True):
    """A row that was refused. `line` counts the source's rows from 1."""

    line: int
    code: str
    message: str


class Progress(msgspec.Struct, frozen=True):
    """How far an import has come: rows taken from the source, and what became of them."""

    lines: int = 0
    imported: int = 0
    failed: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an import; `failures` are the first of those that failed."""

    lines: int
    imported: int
    failed: int
    by_entity: dict[str, int]
    failures: list[Failure]


class StoppedImport(PylonError):
    """A row was refused and the import was told to stop. `report` tells what is in before it."""

    def __init__(self, report: Report) -> None:
        failure = report.failures[-1]
        super().__init__(
            "IMPORT_STOPPED",
            f"Row {failure.line} was refused: {failure.message}",
            hint="Mend it and go on from there, or import with on_error=skip.",
            extra={"report": msgspec.to_builtins(report)},
        )
        self.report = report


class Import:
    """One import. `import_id` makes it resumable; `start` is how many rows of the source an earlier run took."""

    def __init__(
        self,
        engine: Engine,
        caller: Caller,
        decode: Decode,
        *,
        on_error: OnError = OnError.STOP,
        import_id: str | None = None,
        start: int = 0,
    ) -> None:
        self._engine = engine
        self._caller = msgspec.structs.replace(caller, door="import")
        self._decode = decode
        self._on_error = on_error
        self._import_id = import_id
        self._progress = Progress(lines=start)
        self._by_entity: dict[str, int] = {}
        self._failures: list[Failure] = []

    async def run(self, batches: AsyncIterator[Sequence[bytes]]) -> Report:
        """Import everything. Raises IMPORT_STOPPED, IMPORT_CONFLICT, and what the write path raises when it fails as a
        whole; what was committed before stays."""
        async for batch in batches:
            try:
                outcome = await self._engine.run(self._caller, lambda tx, batch=batch: self._apply(tx, batch))  # type: ignore[misc]
            except _Refused as refused:
                self._failures.append(refused.failure)
                raise StoppedImport(self._report()) from None
            self._progress, counts, failures = outcome.value
            for entity, count in counts.items():
                self._by_entity[entity] = self._by_entity.get(entity, 0) + count
            self._failures += failures[: FAILURES_TOLD - len(self._failures)]
        return self._report()

    def _apply(
        self, transaction: Transaction, batch: Sequence[bytes]
    ) -> tuple[Progress, dict[str, int], list[Failure]]:
        before = self._stored(transaction)
        line = before.lines
        counts: dict[str, int] = {}
        failures: list[Failure] = []
        for piece in batch:
            line += 1
            try:
                plan, row = self._decode(piece)
                transaction.insert(plan, row)
            except PylonError as error:
                if error.status >= 500:
                    raise
                failure = Failure(line, error.code, error.message)
                if self._on_error is OnError.STOP:
                    raise _Refused(failure) from None
                failures.append(failure)
            else:
                counts[plan.name] = counts.get(plan.name, 0) + 1
        failed = len(failures)
        progress = Progress(line, before.imported + len(batch) - failed, before.failed + failed)
        if self._import_id is not None:
            transaction.session.put_record(KIND, self._import_id, msgspec.json.encode(progress))
        return progress, counts, failures

    def _stored(self, transaction: Transaction) -> Progress:
        """Where this batch begins: the source's order is kept, whatever came in between."""
        if self._import_id is None:
            return self._progress
        held = transaction.session.record(KIND, self._import_id)
        stored = Progress() if held is None else msgspec.json.decode(held, type=Progress)
        if stored.lines != self._progress.lines:
            raise PylonError(
                "IMPORT_CONFLICT",
                f"This import stands at row {stored.lines}, not at {self._progress.lines}",
                hint=f"Send the rows behind the first {stored.lines}, with from={stored.lines}.",
            )
        return stored

    def _report(self) -> Report:
        progress = self._progress
        return Report(
            lines=progress.lines,
            imported=progress.imported,
            failed=progress.failed,
            by_entity=self._by_entity,
            failures=self._failures,
        )


class _Refused(Exception):
    """Ends the batch of a row that was refused: none of it is written."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def progress_of(engine: Engine, import_id: str) -> Progress:
    """How far an import has come. Raises NOT_FOUND."""
    held = engine.reads.record(KIND, import_id)
    if held is None:
        raise PylonError("NOT_FOUND", "There is no import with this id")
    return msgspec.json.decode(held, type=Progress)
