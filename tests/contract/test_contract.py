"""The server keeps to its own description: whatever is sent, the status is a documented one and never 5xx, and the
answer has the documented type and shape. A short run here, a long one with PYLON_TEST_LONG=1."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import (
    content_type_conformance,
    ensure_resource_availability,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)
from schemathesis.core.failures import AcceptedNegativeData

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

EXAMPLES = int(os.environ.get("PYLON_FUZZ_EXAMPLES", "40")) if os.environ.get("PYLON_TEST_LONG") else 2
LENIENT = {"limit", "offset", "page", "per_page", "page_size", "since", "from", "order", "$limit", "$offset", "$order"}
"""What counts as absent where it is no number, or no order, as older clients rely on."""

_UNREAD = {"user_id", "filter", "minutes"}
"""In whose name who isn't an admin enters a room; `filter` without a field; numbers as Python spells them too."""

_BY_PARTS = ("/api/batch", "/api/import", "/api/query/")
"""Where each operation or row is refused by itself, and a value of another type is compared and finds nothing."""


def refuses_what_is_not_as_described(context: Any, response: Any, case: Any) -> bool | None:
    """negative_data_rejection, but for those parameters, and for parameters that no route knows."""
    try:
        return negative_data_rejection(context, response, case)
    except AcceptedNegativeData as accepted:
        told = accepted.message.partition("Invalid component:")[2]
        wrong = set(re.findall(r"at (?:/\$ref/\w+)?/properties/([\w$-]+)", told)) - {"Authorization"}  # set anew by us
        if case.path.startswith(_BY_PARTS) or (wrong <= LENIENT | _UNREAD and (wrong or "additional" in told)):
            return None
        raise


CHECKS = [
    refuses_what_is_not_as_described,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
UNAVAILABLE = re.compile(r"_NOT_CONFIGURED\Z|^MAIL_FAILED\Z")
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
            assert answer.status_code in (501, 502), f"{answer.status_code} {answer.text[:300]}"
            assert UNAVAILABLE.search(answer.json()["error"]["code"]), answer.text[:300]

    tried()


def _flat(failure: BaseException) -> str:
    parts = getattr(failure, "exceptions", None)
    return "; ".join(map(_flat, parts)) if parts else f"{type(failure).__name__}: {str(failure)[:900]}"


@pytest.mark.timeout(600)
def test_a_row_that_was_made_is_there_and_one_that_was_deleted_is_not(server: ServerProcess, schema: Any) -> None:
    seen: Counter[tuple[str, int]] = Counter()

    class Rows(schema.include(path_regex="^/api/entities/Note").as_state_machine()):  # type: ignore[misc]
        def setup(
            self,
        ) -> None:  # each machine begins with the same rows: a clash with an earlier one's would be a flake
            for note in server.request("GET", "/api/entities/Note?limit=1000", token=ADMIN_TOKEN)[1]["data"]:
                server.request("DELETE", f"/api/entities/Note/{note['id']}", token=ADMIN_TOKEN)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": server.url, "headers": {"Authorization": f"Bearer {ADMIN_TOKEN}"}}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            seen[case.method, response.status_code] += 1
            case.validate_response(response, checks=[use_after_free, ensure_resource_availability])

    is_long = bool(os.environ.get("PYLON_TEST_LONG"))
    wanted = {("POST", 201), ("GET", 200), ("DELETE", 200)}
    for lot in [random.randrange(2**32)] if is_long else range(8):  # what is drawn depends on the ids of rows, too
        run_state_machine_as_test(
            seed(lot)(Rows),
            settings=settings(
                max_examples=4 * EXAMPLES if is_long else 10,
                stateful_step_count=6,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        if wanted <= set(seen):
            break
    assert wanted <= set(seen), seen
