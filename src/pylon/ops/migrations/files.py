"""The folder of migrations: `0001_name.sql` with `-- UP` and `-- DOWN` parts, `0002_name.py` with `up` and `down`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pylon.model.errors import PylonError

FOLDER = "migrations"
NAME = re.compile(r"[A-Za-z0-9_]+\Z")
_FILE = re.compile(r"(\d{4})_([A-Za-z0-9_]+)\.(sql|py)\Z")
_PART = re.compile(r"^--\s*(UP|DOWN)\s*$", re.MULTILINE)
_BEFORE = re.compile(r"^--\s*BEFORE SCHEMA\s*$", re.MULTILINE)

SQL_TEMPLATE = """-- {name}
-- Statements on the database itself. Rows that they write reach no client as a change: every client fetches anew.
-- With a line `-- BEFORE SCHEMA` they run before the declared schema is applied.

-- UP

-- DOWN
"""

PYTHON_TEMPLATE = '''"""{name}"""

from pylon.migrations import Migration, Rows


def up(m: Migration) -> None:
    m.each("Entity", change)


def change(rows: Rows, row) -> None:
    rows.update("Entity", row, field=row.field)
'''


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file. `up` and `down` are the statements of an SQL file, empty for Python."""

    number: int
    name: str
    path: Path
    checksum: str
    up: str = ""
    down: str = ""
    runs_before_schema: bool = False

    @property
    def key(self) -> str:
        """`0001_name`, by which it is remembered."""
        return self.path.stem

    @property
    def is_sql(self) -> bool:
        return self.path.suffix == ".sql"

    @property
    def says_nothing(self) -> bool:
        """Whether an SQL file holds comments alone: applied, it would never be applied again once it is written."""
        return all(not line.strip() or line.strip().startswith("--") for line in self.up.splitlines())


def find(folder: Path) -> list[MigrationFile]:
    """The files of the folder in order; none where there is no folder. Raises MIGRATION_INVALID."""
    if not folder.is_dir():
        return []
    found: dict[int, MigrationFile] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.match(path.name)
        if match is None:
            if path.suffix in (".sql", ".py") and not path.name.startswith(("_", ".")):
                raise invalid(path.name, "its name is not of the form 0001_name.sql or 0001_name.py")
            continue
        number = int(match[1])
        if number in found:
            raise invalid(path.name, f"{found[number].path.name} has the same number")
        found[number] = _read(path, number, match[2])
    return list(found.values())


def create(folder: Path, name: str, template: str, suffix: str) -> Path:
    """Write a new file with the next number; spaces and dashes of the name become underscores. Raises
    MIGRATION_INVALID."""
    name = re.sub(r"[\s-]+", "_", name.strip())
    if NAME.match(name) is None:
        raise invalid(name, "a name has letters, digits and underscores")
    folder.mkdir(parents=True, exist_ok=True)
    number = max((migration.number for migration in find(folder)), default=0) + 1
    path = folder / f"{number:04d}_{name}{suffix}"
    with path.open("x", encoding="utf-8") as file:
        file.write(template.replace("{name}", name.replace("_", " ")))
    return path


def invalid(name: str, why: str) -> PylonError:
    """A file that can't be a migration."""
    return PylonError("MIGRATION_INVALID", f"{name}: {why}.", hint="`pylon migrate create NAME` makes a sound one.")


def _read(path: Path, number: int, name: str) -> MigrationFile:
    text = path.read_text("utf-8")
    checksum = hashlib.sha256(text.encode()).hexdigest()
    if path.suffix == ".py":
        return MigrationFile(number, name, path, checksum)
    parts = _PART.split(text)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "UP" not in sections:
        raise invalid(path.name, "it has no line `-- UP`")
    up, down = sections["UP"].strip(), sections.get("DOWN", "").strip()
    return MigrationFile(number, name, path, checksum, up, down, _BEFORE.search(text) is not None)
