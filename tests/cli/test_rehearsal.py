"""A schema change that would be refused is known before the server that runs has to leave."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from pylon.cli.rehearsal import rehearse
from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.settings import Settings
from pylon.store.sqlite.database import SqliteStore


def app(*fields: Field) -> AppSpec:
    entity = EntitySpec(name="Note", fields=(Field(name="title", kind=Kind.STRING), *fields))
    return AppSpec(name="notes", entities=(entity,))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a data folder whose Note table holds one row."""
    settings = Settings(data_dir=tmp_path)
    spec = app()
    SqliteStore(settings.database_path, {e.name: compile_rows(e) for e in spec.entities}).apply(spec.entities)
    with apsw.Connection(str(settings.database_path)) as connection:
        connection.execute("INSERT INTO Note (id, title) VALUES ('1', 'one')")
    connection.close()
    return settings


def columns(settings: Settings) -> list[str]:
    connection = apsw.Connection(str(settings.database_path))
    try:
        return [row[0] for row in connection.execute("SELECT name FROM pragma_table_info('Note')").fetchall()]
    finally:
        connection.close()


def test_a_change_that_would_be_refused_is_refused(settings: Settings) -> None:
    with pytest.raises(PylonError) as caught:
        rehearse(app(Field(name="rank", kind=Kind.INT)), settings)
    assert caught.value.code == "SCHEMA_REFUSED"


def test_a_change_that_is_fine_is_only_tried(settings: Settings) -> None:
    rehearse(app(Field(name="rank", kind=Kind.INT, optional=True)), settings)
    assert columns(settings) == ["id", "title"]


def test_without_a_database_there_is_nothing_to_try(tmp_path: Path) -> None:
    rehearse(app(), Settings(data_dir=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
