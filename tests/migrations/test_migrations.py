"""Migrations change rows through the write path, once each, however often they are killed; SQL is told apart."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec, DefaultLiteral, EntitySpec, Field, Index, Kind
from pylon.ops.migrations import files, run
from pylon.ops.migrations.state import refuse_unfinished, remembered
from pylon.settings import Settings
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.database import SqliteStore
from tests.cli.conftest import APP, Cli
from tests.killed import ends_before

LONG = bool(os.environ.get("PYLON_TEST_LONG"))
ROWS = 12

COUNTED = EntitySpec(
    name="Counted",
    crdt=False,
    fields=(
        Field(name="n", kind=Kind.INT),
        Field(name="label", kind=Kind.STRING, default=DefaultLiteral(value="")),
    ),
)
COUNTED_APP = AppSpec(name="counted", entities=(COUNTED,))


ADD_ONE = '''
"""Add one to each"""


def up(m):
    m.each("Counted", add, batch=5)
    m.once(lambda rows: rows.insert("Counted", n=1000))


def down(m):
    m.each("Counted", subtract, batch=5)


def add(rows, row):
    rows.update("Counted", row, n=row.n + 1)


def subtract(rows, row):
    rows.update("Counted", row, n=row.n - 1)
'''


class Data:
    """A data folder with some rows, and a folder of migrations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data")
        self.settings.data_dir.mkdir()
        self.path = self.settings.database_path
        self.store.apply([COUNTED])
        self.sql(*(f"INSERT INTO Counted VALUES ('{n:02}', {n}, '')" for n in range(ROWS)))

    @property
    def store(self) -> SqliteStore:
        return self.place().store

    def place(self, **options: Any) -> run.Workplace:
        return run.Workplace(COUNTED_APP, self.settings, "ada", **options)

    def write(self, name: str, text: str) -> None:
        (self.folder / files.FOLDER).mkdir(exist_ok=True)
        (self.folder / files.FOLDER / name).write_text(text)

    def files(self) -> list[files.MigrationFile]:
        return files.find(self.folder / files.FOLDER)

    def apply(self, **options: Any) -> list[run.Applied]:
        return run.apply(self.place(**options), self.files(), None)

    def sql(self, *statements: str) -> list[Any]:
        connection = apsw.Connection(str(self.path))
        try:
            return [row for statement in statements for row in connection.execute(statement).fetchall()]
        finally:
            connection.close()

    def numbers(self) -> list[int]:
        return [n for (n,) in self.sql("SELECT n FROM Counted ORDER BY n")]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    yield Data(tmp_path)
    for name in [name for name in sys.modules if name.startswith("pylon_migration_")]:
        del sys.modules[name]


def test_python_changes_rows_through_the_write_path_and_is_audited(data: Data) -> None:
    data.write("0001_add.py", ADD_ONE)
    assert [(one.key, one.rows) for one in data.apply()] == [("0001_add", ROWS)]
    assert data.numbers() == [*range(1, ROWS + 1), 1000]
    assert data.sql("SELECT count(*) FROM _pylon_change_log WHERE kind = 'update'") == [(ROWS,)]
    assert data.sql("SELECT count(*) FROM _pylon_audit WHERE instr(records, 'migration.apply')") == [(1,)]
    assert data.apply() == []
    refuse_unfinished(data.store)


def test_a_failing_row_is_named_and_the_rest_goes_on_from_there(data: Data) -> None:
    data.write("0001_add.py", ADD_ONE.replace("    rows.update", "    assert row.id != '07'\n    rows.update", 1))
    with pytest.raises(PylonError, match="0001_add at Counted/07: AssertionError") as failed:
        data.apply()
    assert failed.value.code == "MIGRATION_FAILED"
    assert remembered(data.store)["0001_add"].progress.rows == 5
    with pytest.raises(PylonError) as refused:
        refuse_unfinished(data.store)
    assert refused.value.code == "MIGRATION_UNFINISHED"
    data.write("0001_add.py", ADD_ONE)
    data.apply()
    assert data.numbers() == [*range(1, ROWS + 1), 1000]


def test_one_that_fails_before_it_changed_anything_is_as_if_it_had_not_begun(data: Data) -> None:
    data.write("0001_add.py", ADD_ONE.replace('"Counted"', '"Conted"'))
    with pytest.raises(PylonError, match="Conted"):
        data.apply()
    assert remembered(data.store) == {}
    refuse_unfinished(data.store)
    data.write("0001_add.py", ADD_ONE)
    data.apply()
    done = remembered(data.store)["0001_add"]
    data.write("0001_add.py", ADD_ONE.replace("def down(m):", "def down(m):\n    assert False\n"))
    with pytest.raises(AssertionError):
        run.roll_back(data.place(), data.files()[0])
    assert remembered(data.store)["0001_add"] == done


def test_a_file_of_comments_alone_is_not_applied_since_it_never_would_be_again(data: Data) -> None:
    data.write("0001_empty.sql", "-- UP\n-- to be written\n\n-- DOWN\n")
    with pytest.raises(PylonError, match=r"0001_empty\.sql: it has no statement") as refused:
        data.apply()
    assert refused.value.code == "MIGRATION_INVALID"
    assert remembered(data.store) == {}


def test_encrypted_fields_are_open_to_a_migration_and_sealed_where_they_are_stored(data: Data) -> None:
    label = msgspec.structs.replace(COUNTED.fields[1], default=None, optional=True)
    code = Field(name="code", kind=Kind.STRING, optional=True, encrypted=True)
    spec = AppSpec(
        name="counted", entities=(msgspec.structs.replace(COUNTED, fields=(COUNTED.fields[0], label, code)),)
    )
    data.write(
        "0001_seal.py",
        """
def up(m):
    m.each("Counted", lambda rows, row: rows.update("Counted", row, code=f"secret {row.n}"))
    m.each("Counted", lambda rows, row: rows.update("Counted", row, label=row.code.upper()))
""",
    )
    run.apply(run.Workplace(spec, data.settings, "ada"), data.files(), None)
    stored = data.sql("SELECT code, label FROM Counted ORDER BY id LIMIT 1")[0]
    assert stored[0].startswith("enc:")
    assert stored[1] == "SECRET 0"


def test_down_undoes_what_up_did(data: Data) -> None:
    data.write("0001_add.py", ADD_ONE)
    data.apply()
    done = run.roll_back(data.place(), data.files()[0])
    assert done.rows == ROWS + 1
    assert data.numbers() == [*range(ROWS), 999]
    assert remembered(data.store) == {}


def test_a_migration_that_is_killed_at_any_statement_changes_each_row_once(data: Data) -> None:
    data.write("0001_add.py", ADD_ONE)
    data.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before = data.path.read_bytes()
    statements, done = 0, False
    while not done:
        for path in data.path.parent.glob("pylon.db*"):
            path.unlink()
        data.path.write_bytes(before)
        done = ends_before(statements, data.apply)
        if not done:
            ends_before(statements // 2, data.apply)
            assert ends_before(10_000, data.apply)
        assert data.numbers() == [*range(1, ROWS + 1), 1000]
        assert data.sql("SELECT count(*) FROM _pylon_change_log WHERE kind = 'update'") == [(ROWS,)]
        statements += 1 if LONG else 7
    assert statements > 100, "it was killed at every stage"


def test_sql_runs_in_one_transaction_and_has_clients_fetch_anew_when_it_writes_rows(data: Data) -> None:
    data.write("0001_double.sql", "-- UP\nUPDATE Counted SET n = n * 2;\n-- DOWN\nUPDATE Counted SET n = n / 2;\n")
    data.sql("INSERT INTO _pylon_change_log VALUES (7, 'Counted', '01', 'insert', x'7b7d', NULL, '0Z')")
    [done] = data.apply()
    assert (done.rows, done.resyncs) == (ROWS, True)
    assert data.numbers() == [n * 2 for n in range(ROWS)]
    session = data.store.reader()
    assert session.log_floor() == 8
    session.close()
    run.roll_back(data.place(), data.files()[0])
    assert data.numbers() == list(range(ROWS))


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM Counted", "MIGRATION_DESTRUCTIVE"),
        ("DROP TABLE Counted", "MIGRATION_DESTRUCTIVE"),
        ("DELETE FROM _pylon_audit", "MIGRATION_FAILED"),
        ("UPDATE _pylon_records SET record = x''", "MIGRATION_FAILED"),
        ("COMMIT", "MIGRATION_FAILED"),
        ("ATTACH '/tmp/other' AS other", "MIGRATION_FAILED"),
        ("PRAGMA journal_mode = delete", "MIGRATION_FAILED"),
        ("UPDATE Counted SET n = NULL", "MIGRATION_FAILED"),
    ],
)
def test_sql_that_loses_rows_or_touches_what_is_not_its_own_is_refused_whole(
    data: Data, statement: str, code: str
) -> None:
    data.write("0001_bad.sql", f"-- UP\nUPDATE Counted SET n = n + 100;\n{statement};\n")
    with pytest.raises(PylonError) as refused:
        data.apply()
    assert refused.value.code == code
    assert data.numbers() == list(range(ROWS))
    assert remembered(data.store) == {}


def test_deletes_in_sql_are_done_when_they_are_allowed(data: Data) -> None:
    data.write("0001_trim.sql", "-- UP\nDELETE FROM Counted WHERE n > 5;\n")
    data.apply(may_delete=True)
    assert data.numbers() == list(range(6))
    with pytest.raises(PylonError) as refused:
        run.roll_back(data.place(), data.files()[0])
    assert refused.value.code == "MIGRATION_IRREVERSIBLE"


def test_a_table_that_sql_drops_takes_the_documents_of_its_rows_along(data: Data) -> None:
    heads = "INSERT INTO _pylon_crdt_heads VALUES ('{}', '1', 1, 1, 0, 0, 0, NULL)"
    with contextlib.closing(connect_writer(data.settings.database_path, "FULL")) as connection:
        for entity in ("Counted", "Other"):
            connection.execute(heads.format(entity))
    data.write("0001_drop.sql", "-- UP\nDROP TABLE Counted;\n")
    data.apply(may_delete=True)
    with contextlib.closing(connect_writer(data.settings.database_path, "FULL")) as connection:
        assert connection.execute("SELECT entity FROM _pylon_crdt_heads").fetchall() == [("Other",)]


def test_rows_that_stand_in_the_way_of_the_schema_are_mended_before_it(data: Data) -> None:
    unique = msgspec.structs.replace(COUNTED, indexes=(Index(name="by_label", fields=("label",), unique=True),))
    place = run.Workplace(AppSpec(name="counted", entities=(unique,)), data.settings, "ada")
    with pytest.raises(PylonError, match="by_label can't be made"):
        run.apply(place, [], None)
    data.write("0001_mend.sql", "-- BEFORE SCHEMA\n-- UP\nUPDATE Counted SET label = id;\n")
    assert [one.key for one in run.apply(place, data.files(), None)] == ["0001_mend"]


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "notes.py"])
def test_a_file_that_is_no_migration_is_named(data: Data, name: str) -> None:
    data.write(name, "-- UP\n")
    with pytest.raises(PylonError, match=name.replace(".", r"\.")):
        data.files()


# -- the command -------------------------------------------------------------------------------------------------


def test_the_command_makes_plans_applies_and_goes_back(tmp_path: Path) -> None:
    pylon = Cli(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    assert pylon.json("migrate", "apply")[1]["applied"] == []
    code, made = pylon.json("migrate", "create", "mark-all")
    assert (code, Path(made["path"]).name) == (0, "0001_mark_all.sql")
    Path(made["path"]).write_text("-- UP\nUPDATE Note SET title = 'marked';\n")
    assert [step["key"] for step in pylon.json("migrate", "plan")[1]["steps"]] == ["0001_mark_all"]
    code, done = pylon.json("migrate", "apply", "--yes")
    assert code == 0
    assert done["backup"]
    _, status = pylon.json("migrate", "status")
    assert (status["applied"], status["pending"]) == (1, 0)
    code, problem = pylon.json("migrate", "rollback")
    assert (code, problem[0]["code"]) == (1, "MIGRATION_IRREVERSIBLE")
    assert pylon.json("migrate", "rollback", "--restore", "--yes")[0] == 0
    assert pylon.json("migrate", "status")[1]["pending"] == 1


def test_a_plan_says_why_a_schema_change_can_not_be_and_fails(tmp_path: Path) -> None:
    pylon = Cli(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    assert pylon.json("schema", "push")[0] == 0
    store = SqliteStore(tmp_path / ".pylon" / "pylon.db", {})
    apsw.Connection(str(store.path)).execute("INSERT INTO Note (id, title) VALUES ('1', 'x')")
    (tmp_path / "app.py").write_text(APP.replace("title: str", "title: str\n    needed: int"))
    done = pylon("migrate", "plan")
    assert done.returncode == 1
    assert "needs a default for the rows that exist" in done.stdout
