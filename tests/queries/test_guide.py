"""The guide's requests are answered as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pylon.testing.process import ServerProcess

TEXT = (Path(__file__).parents[2] / "docs" / "guide" / "queries.md").read_text("utf-8")
EXCHANGES = re.findall(r"```http\n(\w+) (\S+)\n(.*?)```\n```json\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("guide")
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", TEXT, re.DOTALL)
    (folder / "app.py").write_text("\n".join(blocks))
    with ServerProcess(folder / "app.py", folder / "data") as server:
        assert server.request("POST", "/api/fn/seed", {})[0] == 200
        yield server


def without_ids(value: Any) -> Any:
    match value:
        case dict():
            return {key: without_ids(item) for key, item in value.items() if key != "id"}
        case list():
            return [without_ids(item) for item in value]
    return value


@pytest.mark.parametrize(("method", "path", "body", "answer"), EXCHANGES)
def test_the_guide_s_requests_are_answered_as_it_says(
    guide: ServerProcess, method: str, path: str, body: str, answer: str
) -> None:
    status, found = guide.request(method, quote(path, safe="/?&=[]"), body.encode() or None)
    assert (status, without_ids(found)) == (200, json.loads(answer))


def test_the_guide_s_functions_run(guide: ServerProcess) -> None:
    status, posts = guide.request("POST", "/api/fn/front_page", {"since": "2026-03-10T00:00:00Z"})
    assert (status, [post["title"] for post in posts], posts[0]["writer"]["name"]) == (200, ["Plans"], "bob")
    status, rows = guide.request("POST", "/api/fn/busiest", {})
    assert (status, [row["sum_votes"] for row in rows]) == (200, [7, 3])
