"""The server keeps to its own description: whatever is sent, the status is a documented one and never 5xx, and the
answer has the documented type and shape. A short run here, a long one with PYLON_TEST_LONG=1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

EXAMPLES = 40 if os.environ.get("PYLON_TEST_LONG") else 2
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
UNAVAILABLE = frozenset(
    {"MAIL_NOT_CONFIGURED", "JWT_NOT_CONFIGURED", "ORG_NOT_CONFIGURED", "MAIL_FAILED", "PROVIDER_NOT_CONFIGURED"}
)
"""Codes of 501 and 502 that are no fault of the server's."""

_ENDLESS = "/api/sync/events"
_SHUTS_OUT = {("POST", "/api/admin/switches"), ("POST", "/api/admin/tokens/rotate"), ("POST", "/api/admin/budgets")}
"""They end what the test itself needs; tests/containment tries them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("contract") / "data"
    env = {"PYLON_LOG_LEVEL": "warning", "PYLON_BACKUP_TARGET": str(data.parent / "backups")}
    with ServerProcess(Path(__file__).with_name("app.py"), data, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def schema(server: ServerProcess) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")


@pytest.mark.timeout(900 if os.environ.get("PYLON_TEST_LONG") else 120)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_answers_as_described(server: ServerProcess, schema: Any, mode: Any) -> None:
    session = requests.Session()
    found: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        key = (operation.method.upper(), operation.path)
        if operation.path == _ENDLESS or key in _SHUTS_OUT:
            continue
        tokens = {"admin": ADMIN_TOKEN, "user": server.token_of("ada")}
        try:
            _try(server, session, operation, mode, tokens)
        except Unsatisfiable:  # nothing can be sent there that isn't as described
            continue
        except (
            Exception,
            BaseExceptionGroup,
        ) as failure:  # every operation is tried, and all that fail are told at once
            found.append(f"{key}: {_flat(failure)}")
    assert not found, "\n\n".join(found)
    log = server.log()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:9000]


def _try(server: ServerProcess, session: requests.Session, operation: Any, mode: Any, tokens: dict[str, str]) -> None:
    turns = iter(range(10_000))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not os.environ.get("PYLON_TEST_LONG"),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def tried(case: Any) -> None:
        token = tokens["user" if next(turns) % 2 else "admin"]
        answer = case.call(
            base_url=server.url, session=session, headers={"Authorization": f"Bearer {token}"}, allow_redirects=False
        )
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 500:
            assert answer.json()["error"]["code"] in UNAVAILABLE, f"{answer.status_code} {answer.text[:300]}"

    tried()


def _flat(failure: BaseException) -> str:
    parts = getattr(failure, "exceptions", None)
    return "; ".join(map(_flat, parts)) if parts else f"{type(failure).__name__}: {str(failure)[:900]}"
