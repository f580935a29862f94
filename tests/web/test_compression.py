"""Answers are compressed where it pays, and come out the same."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard

from pylon.testing.process import ServerProcess
from tests.web.exchange import Answer, request

LIST = "/api/entities/Post?filter[title]=compressible&limit=200"


@pytest.fixture(scope="module", autouse=True)
def rows(server: ServerProcess) -> None:
    admin = {"operations": [{"op": "insert", "entity": "Post", "data": {"title": "compressible"}}] * 200}
    server.request("POST", "/api/batch", admin, token="test-admin-token-0123456789")


def get(server: ServerProcess, path: str, accept: str) -> Answer:
    return request(server, "GET", path, headers={"Accept-Encoding": accept})


def decoded(answer: Answer) -> bytes:
    if answer.headers["content-encoding"] == "gzip":
        return gzip.decompress(answer.body)
    return zstandard.ZstdDecompressor().decompressobj().decompress(answer.body)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [("gzip", "gzip"), ("gzip, zstd", "zstd"), ("br, gzip;q=0.5", "gzip"), ("zstd;q=0, gzip", "gzip"), ("*", "zstd")],
)
def test_the_client_chooses_the_coding(server: ServerProcess, accept: str, coding: str) -> None:
    plain = request(server, "GET", LIST)
    packed = get(server, LIST, accept)
    assert packed.headers["content-encoding"] == coding
    assert "Accept-Encoding" in packed.headers["vary"]
    assert decoded(packed) == plain.body
    assert len(packed.body) < len(plain.body) / 4


@pytest.mark.parametrize("accept", ["", "identity", "br", "gzip;q=0", "gzip;q=nonsense"])
def test_who_takes_no_coding_gets_none(server: ServerProcess, accept: str) -> None:
    assert "content-encoding" not in get(server, LIST, accept).headers


def test_what_fits_a_packet_is_sent_as_it_is(server: ServerProcess) -> None:
    assert "content-encoding" not in get(server, "/api/entities/Post?limit=1", "gzip").headers


def test_a_streamed_snapshot_is_compressed_piece_by_piece(server: ServerProcess) -> None:
    packed = get(server, "/api/sync/pull?since=0", "gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(json.loads(decoded(packed))["changes"]) >= 200


def test_answers_of_sign_in_are_never_compressed(server: ServerProcess) -> None:
    token = server.token_of("uncompressed")
    for _ in range(30):
        server.token_of("uncompressed")
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    sessions = request(server, "GET", "/api/auth/sessions", headers=headers)
    assert len(sessions.body) > 1400
    assert "content-encoding" not in sessions.headers
