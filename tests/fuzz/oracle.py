"""What must hold of every answer, whatever was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pylon.model.errors import REGISTRY
from pylon.signals import logs
from pylon.testing.asgi import Exchanged

UNAVAILABLE = {501: "NOT_", 502: "FAILED", 503: ""}
"""Statuses from 500 on that are an answer, and what their codes have in them; a 503 also says when to come back."""

INTERNALS = re.compile(
    rb"Traceback|site-packages|/tmp/|/dev/shm|/src/pylon|\.py\b|apsw|msgspec\.|sqlite|<[a-z]+ object|0x[0-9a-f]{8}"
    rb"|\bSELECT |\bINSERT INTO|\bUPDATE \w+ SET|__pylon|_pylon_|no such column|syntax error|test-identity\."
)
"""What would tell of the server's inside."""

_LINE = re.compile(r"[^\r\n\0]*(\n[^\r\n\0]*)*\Z")


def hold(answer: Exchanged, *, head: bool, sent: bytes) -> None:
    """Raise AssertionError for an answer that no client should ever get. `sent` is the request: its own words may come
    back to it."""
    status, headers, body = answer
    assert 200 <= status < 600, f"no answer: {status}"
    for name, value in headers.items():
        assert _LINE.match(value), f"a header is cut open: {name}: {value!r}"
    assert "x-request-id" in headers, headers
    assert headers.get("x-content-type-options") == "nosniff", headers
    if status < 400:
        if (
            headers.get("content-type", "").startswith("application/json")
            and body
            and "content-encoding" not in headers
        ):
            json.loads(body)
        return
    if head:
        assert not body, body[:200]
        return
    if "content-encoding" in headers:
        return
    if not headers.get("content-type", "").startswith("application/json"):
        assert status < 500, (status, headers, body[:200])
        assert headers.get("content-type", "").startswith("text/html"), (status, headers, body[:200])
    else:
        error = json.loads(body)["error"]
        assert error["code"] in REGISTRY, error
        assert isinstance(error["message"], str), error
        assert error["message"], error
        if status >= 500:
            assert UNAVAILABLE.get(status, "\0") in error["code"], (status, error)
            assert status != 503 or int(headers["retry-after"]) > 0, (error, headers)
    for told in INTERNALS.finditer(body):
        assert told[0].lower() in sent.lower(), f"tells of the inside: {body[:500]!r}"


@contextmanager
def no_errors_logged() -> Iterator[list[str]]:
    """Fail when the server logs an error or a library one: what reaches the log unhandled is a bug."""
    errors: list[str] = []

    def heard(level: str, message: str, fields: dict[str, Any]) -> None:
        if level == "error":
            errors.append(f"{message} {fields}")

    logs.forward_to(heard)
    try:
        yield errors
    finally:
        logs.forward_to(None)
    assert not errors, "\n\n".join(errors)[:9000]
