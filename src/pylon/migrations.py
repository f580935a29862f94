"""What migrations in Python import: `def up(m: Migration)`, and `def change(rows: Rows, row)` for `m.each`."""

from pylon.ops.migrations.context import Migration, Rows

__all__ = ["Migration", "Rows"]
