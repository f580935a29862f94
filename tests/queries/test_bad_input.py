"""Whatever JSON is sent as a query, the answer is 200 or a 4xx with a code: never an error of the server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.model.errors import REGISTRY
from tests.queries.conftest import Blog

KEYS = [
    *("$and", "$or", "$not", "$in", "$nin", "$gt", "$lte", "$like", "$startsWith", "$exists", "$eq", "$nor"),
    *("$order", "$limit", "$offset", "$search", "$fields", "where", "include", "limit", "offset", "order", "fields"),
    *(
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "countDistinct",
        "groupBy",
        "having",
        "orderBy",
        "field",
        "bucket",
        "timezone",
    ),
    *("id", "title", "author", "votes", "price", "open", "meta", "at", "rating", "writer", "comments", "secrets"),
    *("Post", "User", "Comment", "count_votes", "sum_votes", "", "'", '"', "\0"),
]
texts = st.sampled_from([*KEYS, "*", "day", "asc", "desc", "+02:00", "true", "1e3", "2026-03-01"]) | st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=4),
    max_leaves=12,
)
names = st.lists(st.sampled_from(["title", "votes", "price", "open", "at", "meta", "rating"]) | values, max_size=3)
aggregates = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("sum", "avg", "min", "max", "countDistinct", "groupBy"), names)
    | {"count": texts, "having": values, "where": values, "orderBy": values, "limit": values},
)
graphs = st.dictionaries(st.sampled_from(["Post", "User", "Comment", "Nope"]), values, max_size=2)


@pytest.fixture(scope="module")
def connection(blog: Blog) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", blog.server.port, timeout=10)
    yield connection
    connection.close()


@pytest.mark.parametrize("who", ["ann", "admin"])
@settings(
    max_examples=2000 if os.environ.get("PYLON_TEST_LONG") else 100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_json_is_answered_with_rows_or_with_a_code(
    blog: Blog, connection: HTTPConnection, who: str, data: Any
) -> None:
    path, body = data.draw(
        st.one_of(
            st.tuples(st.just("/api/query/Post"), values),
            st.tuples(st.just("/api/query"), graphs | values),
            st.tuples(st.just("/api/aggregate/Post"), aggregates | values),
            st.tuples(st.just("/api/search/Post"), values),
        )
    )
    headers = {"Authorization": f"Bearer {blog.tokens[who]}"}
    connection.request("POST", path, json.dumps(body).encode("utf-8", "surrogatepass"), headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200 or 400 <= answer.status < 500, (answer.status, content, body)
    if answer.status != 200:
        assert json.loads(content)["error"]["code"] in REGISTRY


def test_windows_beyond_all_rows_are_answered_with_none(blog: Blog) -> None:
    most = 2**63 - 1
    node = {"where": {"$offset": most, "$limit": 10**30}, "offset": most, "include": {"comments": {"offset": most}}}
    assert blog.post("/api/query", {"Post": node}, "ann") == (200, {"Post": []})
    spec = {"groupBy": ["title"], "offset": 10**30, "limit": 10**30}
    assert blog.post("/api/aggregate/Post", spec, "ann") == (200, {"rows": []})
    assert blog.get(f"/api/entities/Post/cursor?limit={10**17}&after=z", "ann")[0] == 200


@pytest.mark.parametrize("text", ["", "x", "{", "5", '{"title":', '{"$or":[', '{"title":{"$gt":null}}', '["a"]', "\0"])
def test_url_parameters_are_answered_alike(blog: Blog, text: str) -> None:
    for name in ("where", "sort", "fields", "after", "filter[meta]", "filter[votes]", "filter[at]", "q", "limit"):
        for path in ("", "/cursor", "/count"):
            status, answer = blog.get(f"/api/entities/Post{path}?sort=votes&{name}={quote(text)}", "ann")
            assert status == 200 or answer["error"]["code"] in REGISTRY, (name, path, status)
            assert status < 500
