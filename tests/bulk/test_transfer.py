"""Import and export through their real doors: what goes out comes back, and what is killed goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.engine.bulk.pieces import batches, split_lines
from pylon.model.csv_rows import split_records
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.bulk.conftest import pylon


def admin(server: ServerProcess, method: str, path: str, body: Any = None) -> Any:
    status, answer = server.request(method, path, body, token=ADMIN_TOKEN)
    assert status == 200, answer
    return answer


def count(server: ServerProcess, entity: str, **filters: str) -> int:
    query = "&".join(f"filter[{name}]={value}" for name, value in filters.items())
    value: int = server.request("GET", f"/api/entities/{entity}?{query}&page=1&per_page=1")[1]["total"]
    return value


@pytest.mark.parametrize("how", ["ndjson", "csv"])
def test_what_is_exported_comes_back_the_same(server: ServerProcess, tmp_path: Path, how: str) -> None:
    rows = [
        {"title": f"{how} {i}", "n": i, "price": i / 2, "done": i % 2 == 0, "meta": {"a": [i, 'q"uote', "line\nend"]}}
        for i in range(50)
    ]
    admin(server, "POST", "/api/import", {"entities": {"Doc": [*rows, {"title": f"{how} odd", "secret": "s,1"}]}})
    assert pylon(server, tmp_path, "export", "Doc", "-o", f"docs.{how}", "--fields", "all")[0] == 0
    before = admin(server, "GET", "/api/export/Doc?fields=all")["entities"]["Doc"]
    for row in before:
        server.request("DELETE", f"/api/entities/Doc/{row['id']}", token=ADMIN_TOKEN)
    code, [answer] = pylon(server, tmp_path, "import", f"docs.{how}", "Doc")
    assert (code, answer["imported"]) == (0, len(before))
    assert admin(server, "GET", "/api/export/Doc?fields=all")["entities"]["Doc"] == before


def test_a_file_of_everything_names_its_entities(server: ServerProcess, tmp_path: Path) -> None:
    admin(server, "POST", "/api/import", {"entities": {"Tag": [{"name": "a"}, {"name": "b"}], "Nope": 3}})
    assert pylon(server, tmp_path, "export", "-o", "all.ndjson")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "all.ndjson").read_text().splitlines()]
    assert {line["entity"] for line in lines} >= {"Tag"}
    tags = [line for line in lines if line["entity"] == "Tag"]
    renamed = [{"entity": "Tag", "row": {"name": f"again {line['row']['name']}"}} for line in tags]
    (tmp_path / "more.ndjson").write_text("\n".join(map(json.dumps, renamed)))
    code, [answer] = pylon(server, tmp_path, "import", "more.ndjson")
    assert (code, answer["by_entity"]) == (0, {"Tag": len(tags)})


def test_imported_rows_are_live_and_stand_in_the_log(server: ServerProcess) -> None:
    cursor = server.request("GET", "/api/sync/pull?since=0")[1]["cursor"]["last_seq"]
    admin(server, "POST", "/api/import", {"entities": {"Tag": [{"name": "live"}]}})
    changes = server.request("GET", f"/api/sync/pull?since={cursor}")[1]["changes"]
    assert [(change["kind"], change["data"]["name"]) for change in changes] == [("insert", "live")]


def test_a_refused_row_stops_an_import_or_is_skipped_as_asked(server: ServerProcess) -> None:
    body = b'{"title":"fine","slug":"one"}\n{"title":"bad","n":"x"}\n\n{"title":"twice","slug":"one"}\n'
    status, stopped = server.request("POST", "/api/import/Doc", body, token=ADMIN_TOKEN)
    assert (status, stopped["error"]["code"]) == (400, "IMPORT_STOPPED")
    assert stopped["error"]["report"]["imported"] == 0
    assert count(server, "Doc", slug="one") == 0
    skipped = admin(server, "POST", "/api/import/Doc?on_error=skip", body)
    assert (skipped["imported"], skipped["failed"]) == (1, 2)
    assert [(f["line"], f["code"]) for f in skipped["failures"]] == [(2, "INVALID_DATA"), (3, "INSERT_FAILED")]


def test_the_document_of_older_clients_counts_its_failures(server: ServerProcess) -> None:
    rows = [{"title": "x", "__internal__": 1}, {"title": 5}, "no row"]
    answer = admin(server, "POST", "/api/import", {"entities": {"Doc": rows}})
    assert answer == {"by_entity": [{"entity": "Doc", "failed": 2, "inserted": 1}], "failed": 2, "imported": 1}
    status, refused = server.request("POST", "/api/import", {"rows": []}, token=ADMIN_TOKEN)
    assert (status, refused["error"]["code"]) == (400, "MISSING_FIELD")


def test_only_admins_move_rows_in_bulk(server: ServerProcess) -> None:
    token = server.token_of("ada")
    for method, path in (
        ("GET", "/api/export"),
        ("GET", "/api/export/Doc?format=csv"),
        ("POST", "/api/import"),
        ("POST", "/api/import/Doc"),
        ("GET", "/api/imports/x"),
    ):
        body = {} if method == "POST" else None
        assert server.request(method, path, body, token=token)[0] == 403
        assert server.request(method, path, body)[0] == 403


def test_server_only_fields_leave_only_when_they_are_asked_for(server: ServerProcess) -> None:
    admin(server, "POST", "/api/import", {"entities": {"Doc": [{"title": "hush", "secret": "very"}]}})
    public = json.dumps(admin(server, "GET", "/api/export"))
    assert "very" not in public
    assert "very" in json.dumps(admin(server, "GET", "/api/export?fields=all"))
    csv = server.request("GET", "/api/export/Doc?format=csv", token=ADMIN_TOKEN)[1]
    assert "secret" not in str(csv).splitlines()[0]


def test_an_import_that_was_killed_goes_on_and_loses_and_doubles_nothing(server: ServerProcess, tmp_path: Path) -> None:
    total = 30_000
    (tmp_path / "big.ndjson").write_text("".join(f'{{"name":"big {i}"}}\n' for i in range(total)))
    before = count(server, "Tag")

    def kill() -> None:
        while count(server, "Tag") < before + 4_000:
            time.sleep(0.005)
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    code, _ = pylon(server, tmp_path, "import", "big.ndjson", "Tag", "--id", "big")
    killer.join()
    assert code != 0
    server.start()
    there = count(server, "Tag") - before
    assert 0 < there < total
    assert admin(server, "GET", "/api/imports/big")["lines"] == there
    code, [answer] = pylon(server, tmp_path, "import", "big.ndjson", "Tag", "--id", "big")
    assert (code, answer["imported"], count(server, "Tag") - before) == (0, total, total)
    names = [row["name"] for row in admin(server, "GET", "/api/export/Tag")["entities"]["Tag"] if "big" in row["name"]]
    assert names == [f"big {i}" for i in range(total)]
    status, late = server.request("POST", "/api/import/Tag?import_id=big", b'{"name":"x"}', token=ADMIN_TOKEN)
    assert (status, late["error"]["code"]) == (409, "IMPORT_CONFLICT")


def test_seed_fills_a_server_from_a_file(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps({"Tag": [{"name": "seeded"}], "Doc": [{"title": "seeded"}]}))
    code, [answer] = pylon(server, tmp_path, "seed")
    assert (code, answer) == (0, {"code": "SEED_OK", "seeded": {"Doc": 1, "Tag": 1}, "total": 2})
    (tmp_path / "seed.json").write_text(json.dumps({"Tag": [{"nome": "x"}]}))
    code, [failures, partial] = pylon(server, tmp_path, "seed")
    assert (code, partial["code"], failures[0]["code"]) == (1, "SEED_PARTIAL", "SEED_INSERT_FAILED")


@pytest.mark.parametrize(
    ("header", "record", "code"),
    [
        ("title,nope", "a,b", "INVALID_COLUMN"),
        ("title,n", "a,b", "INVALID_DATA"),
        ("title,n", "a", "INVALID_DATA"),
        ("title,meta", 'a,"{x"', "INVALID_DATA"),
        ("title", "\xff", "INVALID_DATA"),
    ],
)
def test_broken_csv_names_what_is_wrong(server: ServerProcess, header: str, record: str, code: str) -> None:
    body = f"{header}\n{record}\n".encode("latin-1")
    status, answer = server.request("POST", "/api/import/Doc?format=csv&on_error=skip", body, token=ADMIN_TOKEN)
    told = answer["error"]["code"] if status == 400 else answer["failures"][0]["code"]
    assert told == code


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8), max_size=12), st.data())
def test_csv_records_are_found_at_any_cut(cells: list[str], data: st.DataObject) -> None:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    whole = "".join(f"{cell}\n" for cell in quoted).encode()
    cut = data.draw(st.integers(0, len(whole)))
    first, rest = split_records(whole[:cut])
    second, end = split_records(rest + whole[cut:])
    assert [record.decode() for record in [*first, *second]] == quoted
    assert end == b""


async def test_batches_hold_every_row_once_at_any_chunking() -> None:
    async def chunks() -> Any:
        text = b"".join(b'{"n":%d}\n' % i for i in range(5_000)) + b'{"n":5000}'
        for start in range(0, len(text), 777):
            yield text[start : start + 777]

    rows = [row async for batch in batches(chunks(), split_lines) for row in batch]
    assert [json.loads(row)["n"] for row in rows] == list(range(5_001))


def test_an_import_shows_how_far_it_is_on_a_terminal_and_nowhere_else(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "tags.ndjson").write_text("".join(f'{{"name":"bar {i}"}}\n' for i in range(2_000)))
    env = {**os.environ, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN, "PYLON_URL": server.url, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "pylon", "import", "tags.ndjson", "Tag"]
    terminal, its_end = os.openpty()
    done = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=its_end, check=True)
    os.close(its_end)
    shown = b""
    with contextlib.suppress(OSError):  # all is read, and nobody writes any more
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    assert b"import tags.ndjson" in shown
    assert b"kB" in shown
    assert b"tags.ndjson" not in done.stdout
    quiet = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
    assert b"import tags.ndjson" not in quiet.stderr
