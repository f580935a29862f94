"""What ships with Pylon for browsers: every module is there, with the type and the validators that browsers go by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.testing.process import ServerProcess
from tests.web.exchange import request

STATIC = Path(__file__).parents[2] / "src" / "pylon" / "web" / "static"
_IMPORT = re.compile(r"""(?:from|import\() ?"(\.[^"]+)\"""")


def test_every_module_that_pylon_js_imports_is_served(server: ServerProcess) -> None:
    seen: set[str] = set()
    ahead = ["/pylon.js"]
    while ahead:
        path = ahead.pop()
        seen.add(path)
        answer = request(server, "GET", path)
        assert (answer.status, answer.headers["content-type"][:15]) == (200, "text/javascript"), path
        for name in _IMPORT.findall(answer.body.decode()):
            found = "/" + str((STATIC / path[1:]).parent.joinpath(name).resolve().relative_to(STATIC.resolve()))
            if found not in seen and found not in ahead:
                ahead.append(found)
    assert "/pylon/vendor/loro/index.js" in seen
    assert len(seen) > 20


def test_web_assembly_is_served_as_such_and_asked_for_once(server: ServerProcess) -> None:
    path = "/pylon/vendor/loro/loro_wasm_bg.wasm"
    answer = request(server, "GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/wasm")
    assert request(server, "GET", path, headers={"If-None-Match": answer.headers["etag"]}).status == 304


@pytest.mark.parametrize("path", ["/pylon/", "/pylon/nope.js", "/pylon/../../app.py", "/pylon/%2e%2e/static.py"])
def test_nothing_else_is_there(server: ServerProcess, path: str) -> None:
    assert request(server, "GET", path).status == 404
