"""The client that `pylon codegen client --language python` writes: on a real server, and kept current."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from pylon.client import AsyncClient, Client
from pylon.client.shapes import dump, entity_name, load
from pylon.model.python_client import CLIENT_NAMES, python_client
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.testing.process import ServerProcess
from tests.client.generated import use
from tests.client.generated.pylon_client import AsyncApi

HERE = Path(__file__).parent / "generated"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("generated")
    with ServerProcess(HERE / "app.py", folder / "data") as running:
        yield running


def codegen(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pylon", "codegen", "client", str(HERE / "app.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_kept_file_is_what_the_app_declares_and_a_stale_one_is_told(tmp_path: Path) -> None:
    kept = HERE / "pylon_client.py"
    done = codegen("--language", "python", "--out", str(kept), "--check")
    assert done.returncode == 0, f"run `pylon codegen client --language python`: {done.stdout}{done.stderr}"
    stale = tmp_path / "client.py"
    stale.write_text(kept.read_text().replace("stock: int", "stok: int"))
    done = codegen("--language", "python", "--out", str(stale), "--check")
    assert (done.returncode, "CODEGEN_STALE" in done.stdout + done.stderr) == (1, True)
    assert codegen("--language", "python", "--declarations").returncode == 64


def test_a_generated_client_does_what_its_types_say(server: ServerProcess, tmp_path: Path) -> None:
    use.walk_blocking(server.url, tmp_path / "replica.db")


async def test_it_does_for_asyncio(server: ServerProcess) -> None:
    async with AsyncApi(server.url) as api:
        report = await use.walk(api)
        assert (len(report.books), report.by_size) == (2, {"small": 1, "large": 1})
        assert report.newest is not None
        await use.follow(api)


def test_a_field_that_stays_on_the_server_and_an_internal_function_are_not_in_it() -> None:
    text = (HERE / "pylon_client.py").read_text()
    assert "bought_for" not in text
    assert "inside" not in text


def test_every_name_that_a_client_has_is_known_to_the_generator() -> None:
    public = {name for client in (AsyncClient, Client) for name in dir(client) if not name.startswith("_")}
    assert public <= CLIENT_NAMES


def test_names_that_mean_something_in_python_or_in_the_file_still_make_a_module() -> None:
    fields = [Field(name=name, kind=Kind.STRING) for name in ("str", "from", "self", "Note", "Any", "__x", "row_id")]
    names = [
        "None",
        "Any",
        "class",
        "Api",
        "Struct",
        "Note",
        "NoteInsert",
        "list",
        "__name",
        "fn",
        "query",
        "AsyncNote",
    ]
    app = AppSpec(
        name='it\'s "odd" \\ app',
        entities=tuple(EntitySpec(name=name, fields=tuple(fields)) for name in names),
    )
    text = python_client(app)
    assert text == python_client(app)
    module = ModuleType("odd")
    sys.modules["odd"] = module
    try:
        exec(compile(text, "odd.py", "exec"), module.__dict__)
        api = module.Api("http://localhost")
        for name in names:
            rows = next(
                rows for rows in vars(api).values() if getattr(rows, "_row", None) and entity_name(rows._row) == name
            )
            stored = {"id": "1"} | {field.name: field.name for field in fields}
            row = load(rows._row, stored)
            assert dump(rows._row, msgspec.structs.asdict(row)) == stored
        api.close()
    finally:
        del sys.modules["odd"]
