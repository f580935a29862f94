"""Whatever bytes come in as a request, at any route, of anybody: an answer with a code, never a failure of the server.

The routes are those that the app has when it is built, so a new one is tried without a line here. A short run, the same
each time; with PYLON_TEST_LONG=1 a long one, another each time.
"""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import falcon.asgi
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pylon.testing.asgi import converse
from pylon.testing.kit import TestApp
from pylon.web.described import AnyOf, Description, description_of
from tests.fuzz import hostile
from tests.fuzz.app import app
from tests.fuzz.oracle import hold, no_errors_logged

LONG = bool(os.environ.get("PYLON_TEST_LONG"))
EXAMPLES = int(os.environ.get("PYLON_FUZZ_EXAMPLES", "400")) if LONG else 5
LEAVES_AFTER = 0.02
"""Seconds after which the client of a stream without an end is gone."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARAMETERS = (
    "filter[title]",
    "filter[count]",
    "filter[at]",
    "filter[nope]",
    "token",
    "callback",
    "next",
    "code",
    "state",
)
"""Those of the query that no description names."""

_ROW = {
    "title": str,
    "body": str,
    "count": int,
    "price": st.floats(0, 9),
    "done": bool,
    "size": Literal["small", "large"],
    "at": st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01", 0]),
    "data": dict,
    "secret": str,
    "code": str,
}
_LINE = {"note": st.just(hostile.ROW), "text": st.just("a line"), "number": st.integers(-5, 5)}
_CALL = {"size": Literal["small", "large"], "since": str, "lines": [{"text": str, "number": int}], "number": int}
_FILTER = {
    "title": {"$in": [str], "$like": str, "$gt": str},
    "$or": [{"count": {"$gt": int}}],
    "$limit": int,
    "$order": dict,
}
_SHAPES = {
    **dict.fromkeys(("/api/entities/{entity}", "/api/entities/{entity}/{row_id:path}"), AnyOf((_ROW, _LINE))),
    "/api/fn/{name}": _CALL,
    "/api/query/{entity}": {**_FILTER, "include": {"lines": _FILTER, "of": {}}},
    "/api/query": {"Note": {"where": _FILTER, "include": {"lines": {"where": _FILTER}}, "limit": int}},
}
"""Bodies that no description tells: they depend on the app."""


_KNOWN = {
    "entity": ("Note", "Note", "Line", "Task", "User", "Nope"),
    "row_id": (hostile.ROW,),
    "name": ("notes", "write", "count", "flag"),
    "field": ("title", "code", "id"),
    "provider": ("google", "nope"),
    "user_id": (hostile.USER, "nobody"),
    "room": ("hall",),
}
"""What exists, for the parameters of paths."""


class Operation(NamedTuple):
    """One method of one route."""

    method: str
    path: str
    bodies: st.SearchStrategy[bytes]
    parameters: tuple[str, ...] = _PARAMETERS
    refusals: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestApp, list[Operation]]]:
    """The contract's app, and every operation that its server was built with."""
    found: dict[str, object] = {}
    add_route = falcon.asgi.App.add_route

    def noting(self: Any, path: str, resource: object, **more: Any) -> None:
        found[path] = resource
        add_route(self, path, resource, **more)

    env = {"PYLON_BACKUP_TARGET": str(tmp_path_factory.mktemp("fuzz") / "backups"), "PYLON_JWT_ISSUER": "fuzz"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(falcon.asgi.App, "add_route", noting)
        kit = TestApp(app, env=env)
        kit.start()
    try:
        yield kit, list(_operations(found))
    finally:
        kit.close()


def _operations(routes: dict[str, object]) -> Iterator[Operation]:
    for path, resource in routes.items():
        for method in _METHODS:
            if (responder := getattr(resource, f"on_{method.lower()}", None)) is not None:
                told = description_of(responder) or Description(None)
                bodies = hostile.bodies(hostile.near(_SHAPES.get(path, told.body)))
                yield Operation(method, path, bodies, (*told.query, *_PARAMETERS), frozenset(told.refusals))
    yield Operation("GET", "/api/sync/events", st.just(b""), ("scope", "token"))
    yield Operation("GET", "/{path:path}", st.just(b""))


def _ready(kit: TestApp) -> dict[str, str | None]:
    """Tokens by who has them, and a row each."""
    admin = kit.as_admin()
    if not admin.count("User"):
        admin.insert("User", id=hostile.USER, name="Ada", email="ada@example.com")
        kit.as_user(hostile.USER).insert("Note", title="a note", id=hostile.ROW)
    began = kit.anonymous().request("POST", "/api/auth/session", {"user_id": hostile.USER})
    return {"nobody": None, "ada": began.json["token"], "admin": admin._token}


def test_no_request_makes_the_server_fail(tried: tuple[TestApp, list[Operation]]) -> None:
    kit, operations = tried
    assert len(operations) > 150
    failures: list[str] = []
    with no_errors_logged():
        for operation in operations:
            try:
                _try(kit, operation, _ready(kit))
            except (Exception, BaseExceptionGroup) as failure:  # every operation is tried, and all that fail are told
                failures.append(f"{operation}: {failure!r}\n{getattr(failure, '__notes__', '')}")
            _restore(kit)
    assert not failures, "\n\n".join(failures)[:20_000]


def _try(kit: TestApp, operation: Operation, who: dict[str, str | None]) -> None:
    @seed(random.getrandbits(32) if LONG else zlib.crc32(str(operation).encode()))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def tried(data: Any) -> None:
        draw = data.draw
        token = who[draw(st.sampled_from(list(who)))]
        target = draw(hostile.targets(operation.path, _KNOWN, operation.parameters))
        head = operation.method == "GET" and draw(st.integers(0, 5)) == 0
        method = "HEAD" if head else operation.method
        if draw(st.integers(0, 19)) == 0:
            method = draw(
                st.sampled_from(["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO", "WEBSOCKET", "get", *_METHODS])
            )
            head = False
        headers = draw(hostile.headers(token))
        pieces = [] if operation.method == "GET" else [draw(operation.bodies)]
        hangs_up = bool(pieces) and draw(st.integers(0, 19)) == 0
        if pieces and draw(st.integers(0, 3)) == 0:
            cut = len(pieces[0]) // 2
            pieces = [pieces[0][:cut], b"", pieces[0][cut:]]
        sent = b"".join([target, *(value for _, value in headers), *pieces])
        with bare_note(f"{method} {target[:300]!r} {headers!r:.1500} {pieces!r:.1500}"):
            answer = kit.run(
                converse(
                    kit.server.app, method, target, [] if hangs_up else pieces or [b""], headers, stays=LEAVES_AFTER
                )
            )
            if answer.status not in operation.refusals and (not hangs_up or answer.status):
                hold(answer, head=head, sent=sent)

    tried()


class bare_note:  # noqa: N801 - reads as the statement it is
    """Say with a failure what was sent."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            error.add_note(self._text)


def _restore(kit: TestApp) -> None:
    """The server still answers and takes a write; what an operator's request has switched off is on again."""
    admin, ada = kit.as_admin(), kit.as_user(hostile.USER)
    for kind, key in (("switches", "id"), ("budgets", "key")):
        for entry in admin.request("GET", f"/api/admin/{kind}").json[kind]:
            admin.request("DELETE", f"/api/admin/{kind}/{entry[key]}")
    assert kit.anonymous().request("GET", "/health").status == 200
    note = ada.insert("Note", title="still here")
    assert ada.get("Note", note)["title"] == "still here"
    ada.delete("Note", note)
