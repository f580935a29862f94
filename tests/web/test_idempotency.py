"""A request with an Idempotency-Key happens once, however often it is sent."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

from pylon.testing.process import ServerProcess
from tests.web.exchange import Answer, request


def send(server: ServerProcess, path: str, body: bytes, key: str, token: str | None = None) -> Answer:
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {token}"} if token else {})
    return request(server, "POST", path, body, headers)


def count(server: ServerProcess, title: str) -> int:
    value: int = server.request("GET", f"/api/entities/Post?filter[title]={title}")[1]["count"]
    return value


def test_a_repeated_insert_is_answered_as_the_first_time(server: ServerProcess) -> None:
    key, title = str(uuid.uuid4()), uuid.uuid4().hex
    body = b'{"title":"%b"}' % title.encode()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(server, "/api/entities/Post", body, key), range(8)))
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    assert count(server, title) == 1


def test_a_key_is_its_callers_own_and_not_for_another_request(server: ServerProcess) -> None:
    key, title = str(uuid.uuid4()), uuid.uuid4().hex
    body = b'{"title":"%b"}' % title.encode()
    ada, ben = server.token_of("ada"), server.token_of("ben")
    send(server, "/api/entities/Post", body, key, ada)
    assert send(server, "/api/entities/Post", body, key, ben).status == 201
    assert count(server, title) == 2
    other = send(server, "/api/entities/Post", b'{"title":"other"}', key, ada)
    assert (other.status, json.loads(other.body)["error"]["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert send(server, "/api/entities/Post", body, "", ada).status == 400


def test_what_failed_may_be_tried_again(server: ServerProcess) -> None:
    key, slug = str(uuid.uuid4()), uuid.uuid4().hex
    taken = server.request("POST", "/api/entities/Post", {"title": "x", "slug": slug})[1]["id"]
    body = b'{"title":"x","slug":"%b"}' % slug.encode()
    assert send(server, "/api/entities/Post", body, key).status == 400
    server.request("DELETE", f"/api/entities/Post/{taken}")
    assert send(server, "/api/entities/Post", body, key).status == 201


def test_a_mutation_with_a_key_runs_once_also_across_a_kill(server: ServerProcess) -> None:
    key, title = str(uuid.uuid4()), uuid.uuid4().hex
    body = b'{"title":"%b"}' % title.encode()
    first = send(server, "/api/fn/add", body, key)
    server.kill()
    server.start()
    again = send(server, "/api/fn/add", body, key)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert count(server, title) == 1
