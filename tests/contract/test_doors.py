"""Of each path of the description: what it doesn't name is refused, and what needs somebody takes nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pylon.testing.kit import TestApp
from tests.contract.app import app

METHODS = ("get", "post", "put", "patch", "delete")
OFF = {"METHOD_NOT_CONFIGURED"}
"""A way of signing in that this server hasn't got is not there for anybody."""


@pytest.fixture(scope="module")
def kit() -> Iterator[TestApp]:
    with app.test() as t:
        yield t


@pytest.fixture(scope="module")
def paths(kit: TestApp) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = kit.as_admin().request("GET", "/api/openapi.json").json["paths"]
    return found


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


def test_a_method_that_is_not_described_is_405_and_allow_names_those_that_are(
    kit: TestApp, paths: dict[str, dict[str, Any]]
) -> None:
    admin = kit.as_admin()
    for path, described in paths.items():
        for method in METHODS:
            if method in described:
                continue
            answer = admin.request(method.upper(), filled(path), {})
            assert answer.status == 405, (method, path, answer)
            assert answer.json["error"]["code"] == "METHOD_NOT_ALLOWED"
            allowed = {name.strip().lower() for name in answer.headers["allow"].split(",")}
            assert allowed - {"head", "options"} == set(described), (path, allowed)


@pytest.mark.parametrize("credential", [None, "Bearer nonsense", "Bearer pylon_" + "0" * 64, "Basic YTpi"])
def test_what_needs_somebody_takes_nobody(
    kit: TestApp, paths: dict[str, dict[str, Any]], credential: str | None
) -> None:
    headers = {} if credential is None else {"authorization": credential}
    tried = 0
    for path, described in paths.items():
        for method, operation in described.items():
            if {} in operation["security"]:
                continue
            tried += 1
            answer = kit.anonymous().request(method.upper(), filled(path), {}, headers=headers)
            code = answer.json["error"]["code"] if answer.json else ""
            assert answer.status in (401, 403) or code in OFF, (method, path, answer)
    assert tried > 60
