"""Aggregates over HTTP (spec 01 §5.4), exactly over the rows that the caller may read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queries.conftest import Blog


def rows(blog: Blog, spec: Any, who: str | None = "ann", entity: str = "Post") -> Any:
    status, answer = blog.post(f"/api/aggregate/{entity}", spec, who)
    assert status == 200, answer
    return answer["rows"]


def test_rows_that_may_not_be_read_are_not_counted(blog: Blog) -> None:
    count = {"count": "*"}
    assert rows(blog, count, None) == [{"count": 1}]
    assert rows(blog, count, "ann") == [{"count": 2}]
    assert rows(blog, count, "admin") == [{"count": 3}]
    assert rows(blog, count, None, "Comment") == [{"count": 0}]


def test_all_measures_have_their_names_and_types(blog: Blog) -> None:
    spec = {"count": "votes", "sum": ["votes", "price"], "avg": ["votes"], "min": ["title"], "max": ["price"]}
    assert rows(blog, {**spec, "countDistinct": ["author"]}, "admin") == [
        {
            "avg_votes": 5.0,
            "count_distinct_author": 2,
            "count_votes": 2,
            "max_price": 2.5,
            "min_title": "bobs",
            "sum_price": 4.0,
            "sum_votes": 10,
        }
    ]
    assert rows(blog, {"sum": ["votes"], "where": {"title": "none"}}) == [{"sum_votes": None}]


def test_groups_come_in_the_order_of_their_keys(blog: Blog) -> None:
    assert rows(blog, {"groupBy": ["votes"], "count": "*"}, "admin") == [
        {"count": 1, "votes": None},
        {"count": 1, "votes": 3},
        {"count": 1, "votes": 7},
    ]
    assert rows(blog, {"groupBy": ["open"]}, "admin") == [{"open": 0}, {"open": 1}]


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("minute", ["2026-03-01 23:10:00", "2026-03-01 23:30:00", "2026-04-02 10:00:00"]),
        ("hour", ["2026-03-01 23:00:00", "2026-04-02 10:00:00"]),
        ("day", ["2026-03-01", "2026-04-02"]),
        ("week", ["2026-W08", "2026-W13"]),
        ("month", ["2026-03", "2026-04"]),
        ("year", ["2026"]),
    ],
)
def test_times_fall_into_buckets_in_utc(blog: Blog, bucket: str, expected: list[str]) -> None:
    found = rows(blog, {"groupBy": [{"field": "at", "bucket": bucket}]}, "admin")
    assert [row[f"at_{bucket}"] for row in found] == expected


def test_buckets_may_be_of_another_timezone(blog: Blog) -> None:
    found = rows(blog, {"groupBy": [{"field": "at", "timezone": "+01:00"}], "count": "*"}, "ann")
    assert found == [{"at_day": "2026-03-02", "count": 2}]


def test_groups_are_filtered_ordered_and_cut(blog: Blog) -> None:
    spec = {"groupBy": ["author"], "count": "*", "sum": ["votes"]}
    assert len(rows(blog, {**spec, "having": {"count": {"$gt": 1}}}, "admin")) == 1
    assert [row["sum_votes"] for row in rows(blog, {**spec, "orderBy": {"sum_votes": "desc"}}, "admin")] == [7, 3]
    assert [
        row["sum_votes"] for row in rows(blog, {**spec, "orderBy": {"sum_votes": "desc"}, "limit": 1}, "admin")
    ] == [7]
    assert len(rows(blog, {**spec, "offset": 1}, "admin")) == 1


def test_rows_are_filtered_by_the_whole_filter_language(blog: Blog) -> None:
    where = {"$or": [{"votes": {"$gt": 5}}, {"votes": None}]}
    assert rows(blog, {"count": "*", "where": where}, "admin") == [{"count": 2}]


@pytest.mark.parametrize("who", ["ann", "admin"])
@pytest.mark.parametrize("spec", [{"groupBy": ["rating"]}, {"max": ["rating"]}, {"count": "rating"}])
def test_hidden_fields_never_come_out_not_even_to_admins(blog: Blog, spec: Any, who: str) -> None:
    assert blog.code(blog.post("/api/aggregate/Post", spec, who)) == (400, "INVALID_COLUMN")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], "aggregate spec must be an object"),
        ({}, "aggregate spec must include count/sum/avg/min/max/groupBy"),
        ({"groupBy": [{}]}, "groupBy object spec requires `field`"),
        (
            {"groupBy": [{"field": "at", "bucket": "eon"}]},
            "bucket must be one of minute/hour/day/week/month/year, got eon",
        ),
        ({"groupBy": ["meta"]}, "meta: a json field has no order"),
        ({"sum": ["title"]}, "title: sum is of numbers, not of string"),
        ({"sum": "votes"}, "sum takes a list of fields"),
        ({"median": ["votes"]}, "unknown key 'median' in aggregate spec"),
        ({"groupBy": ["author", "author"]}, "two columns of the aggregate have the same name"),
        ({"groupBy": [{"field": "at", "timezone": "Mars"}]}, "timezone is UTC or a shift such as +02:00"),
    ],
)
def test_what_is_no_aggregate_is_refused_with_the_reason(blog: Blog, spec: Any, message: str) -> None:
    status, answer = blog.post("/api/aggregate/Post", spec, "ann")
    assert (status, answer["error"]["code"], answer["error"]["message"]) == (400, "INVALID_QUERY", message)


def test_who_may_read_nothing_is_denied(blog: Blog) -> None:
    assert blog.code(blog.post("/api/aggregate/Secret", {"nope": 1}, "ann")) == (403, "POLICY_DENIED")


def test_a_sum_beyond_64_bits_is_refused_not_an_error_of_the_server(blog: Blog) -> None:
    ids = [blog.add(f"big{n}", "Post", title="big", author=blog.ids["ann"], votes=2**63 - 1) for n in range(2)]
    try:
        refused = blog.post("/api/aggregate/Post", {"sum": ["votes"], "where": {"title": "big"}}, "ann")
        assert blog.code(refused) == (400, "QUERY_FAILED")
    finally:
        for row_id in ids:
            blog.server.request("DELETE", f"/api/entities/Post/{row_id}", token=blog.tokens["admin"])
