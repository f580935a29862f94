"""What a real server tells at /metrics: counters that count, bounded labels, and a door that opens to few."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Entity, Id, field

app = App("signals")


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


class Closed(Entity, crdt=False):
    title: str
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("signals-app") / "app.py"
    file.write_text(APP)
    return file


@pytest.fixture(scope="module")
def server(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path_factory.mktemp("signals") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def production(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {"PYLON_DEV_MODE": "0", "PYLON_METRICS_TOKEN": "metrics-token-0123456789"}
    with ServerProcess(app_file, tmp_path_factory.mktemp("signals-production") / "data", env=env) as process:
        yield process


def scrape(server: ServerProcess) -> Samples:
    request = urllib.request.Request(server.url + "/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def gained(before: Samples, after: Samples, name: str, **labels: str) -> float:
    return value(after, name, **labels) - value(before, name, **labels)


def test_latency_is_told_by_route_method_and_class_of_status(server: ServerProcess) -> None:
    before = scrape(server)
    server.request("POST", "/api/entities/Item", {"title": "x"})
    server.request("POST", "/api/entities/Item", {"nonsense": 1})
    after = scrape(server)
    seen = {
        status: gained(
            before,
            after,
            "pylon_http_request_seconds_count",
            route="/api/entities/{entity}",
            method="POST",
            status=status,
        )
        for status in ("2xx", "4xx", "5xx")
    }
    assert seen == {"2xx": 1, "4xx": 1, "5xx": 0}


def test_a_write_is_counted_with_its_batch_and_its_commit(server: ServerProcess) -> None:
    before = scrape(server)
    server.request("POST", "/api/entities/Item", {"title": "x"})
    after = scrape(server)
    assert gained(before, after, "pylon_write_changes_total") == 1
    for histogram in ("pylon_write_batch_requests", "pylon_write_batch_seconds", "pylon_write_commit_seconds"):
        assert gained(before, after, f"{histogram}_count") >= 1
        assert gained(before, after, f"{histogram}_sum") > 0
    assert gained(before, after, "pylon_fanout_broadcasts_total", entity="Item") == 1
    assert value(after, "pylon_wal_bytes") > 0
    assert value(after, "pylon_database_bytes") > 0


def test_a_denied_request_is_counted_by_entity_and_action(server: ServerProcess) -> None:
    before = scrape(server)
    server.request("GET", "/api/entities/Closed")
    server.request("POST", "/api/entities/Closed", {"title": "x"})
    after = scrape(server)
    assert gained(before, after, "pylon_policy_denials_total", entity="Closed", action="read") == 1
    assert gained(before, after, "pylon_policy_denials_total", entity="Closed", action="insert") == 1


def test_invented_entities_and_methods_grow_no_series(server: ServerProcess) -> None:
    server.request("GET", "/api/entities/Zero")
    before = {key[0] for key in scrape(server)}, len(scrape(server))
    for number in range(50):
        server.request("GET", f"/api/entities/Invented{number}")
    after = scrape(server)
    assert not [key for key in after if "Invented" in str(key)]
    assert len(after) <= before[1] + 5
    assert value(after, "pylon_policy_denials_total", entity="(unknown)", action="read") >= 51


def test_nothing_is_ever_dropped_in_fan_out(server: ServerProcess) -> None:
    assert scrape(server)["pylon_fanout_dropped_total", ()] == 0


def test_the_process_tells_what_it_costs(server: ServerProcess) -> None:
    samples = scrape(server)
    assert value(samples, "pylon_process_resident_memory_bytes") > 10_000_000
    assert 5 < value(samples, "pylon_process_open_fds") < value(samples, "pylon_process_max_fds")
    assert value(samples, "pylon_process_cpu_seconds_total") > 0
    assert value(samples, "pylon_process_threads") >= 2
    assert value(samples, "pylon_gc_collections_total", generation="0") > 0
    assert value(samples, "pylon_gc_pause_seconds_count") >= 0
    assert value(samples, "pylon_ready") == 1


def test_the_loops_lag_is_measured_all_the_time(server: ServerProcess) -> None:
    first = value(scrape(server), "pylon_loop_lag_seconds_count")
    for _ in range(100):
        if value(scrape(server), "pylon_loop_lag_seconds_count") > first:
            return
    pytest.fail("the lag is not measured")


def test_json_has_the_shape_of_the_specification(server: ServerProcess) -> None:
    _, told = server.request("GET", "/metrics")
    assert set(told["requests"]) == {"total", "ok", "error", "per_minute", "errors_per_minute"}
    assert {"ws_connections", "sse_connections"} <= set(told["realtime"])
    assert told["fanout"]["dropped"] == 0
    assert {line["route"] for line in told["routes"]} >= {"/health"}
    assert told["checkpoints"]["lag_bytes"] >= 0


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "rebound.example.com"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_a_proxy_passes_on_is_not_local(production: ServerProcess, headers: dict[str, str]) -> None:
    assert production.request("GET", "/metrics", headers=headers)[0] == 401


def test_loopback_and_both_tokens_open_the_door(production: ServerProcess) -> None:
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    assert production.request("GET", "/metrics")[0] == 200
    for token in ("metrics-token-0123456789", ADMIN_TOKEN):
        assert production.request("GET", "/metrics", token=token, headers=proxied)[0] == 200
    assert production.request("GET", "/metrics", token="metrics-token-wrong", headers=proxied)[0] == 401


def test_the_metrics_token_opens_nothing_else(production: ServerProcess) -> None:
    assert production.request("GET", "/api/fn", token="metrics-token-0123456789")[0] == 403
