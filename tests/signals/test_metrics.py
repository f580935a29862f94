"""Counters, gauges, histograms and families, and their Prometheus text as the official parser reads it."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pylon.signals.exposition import prometheus_text
from pylon.signals.metrics import OVERFLOW, Counter, Family, Histogram, Registry


def parsed(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(prometheus_text(registry))
        for sample in family.samples
    }


def test_the_official_parser_reads_every_kind() -> None:
    registry = Registry()
    registry.counter("a_total", "A counter.").value += 3
    registry.gauge("b", "A gauge.").value = 2.5
    registry.gauge("c", "Asked.", lambda: 7)
    registry.counters("d_total", "By label.", ("kind",)).of("x").value += 1
    registry.histogram("e_seconds", "Times.", (0.1, 1.0)).observe(0.05)
    found = parsed(registry)
    assert found["a_total", ()] == 3
    assert found["b", ()] == 2.5
    assert found["c", ()] == 7
    assert found["d_total", (("kind", "x"),)] == 1
    assert found["e_seconds_count", ()] == 1


def test_buckets_are_cumulative_and_end_with_everything() -> None:
    registry = Registry()
    histogram = registry.histogram("t", "Times.", (1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 99.0):
        histogram.observe(value)
    found = parsed(registry)
    assert [found["t_bucket", (("le", le),)] for le in ("1", "2", "+Inf")] == [2, 3, 4]
    assert found["t_sum", ()] == 102.0


def test_label_values_are_escaped() -> None:
    registry = Registry()
    registry.counters("n_total", "N.", ("name",)).of('a"b\\c\nd').value += 1
    assert parsed(registry)["n_total", (("name", 'a"b\\c\nd'),)] == 1


def test_a_gauge_that_fails_hides_no_other_series() -> None:
    def broken() -> float:
        raise OSError("gone")

    registry = Registry()
    registry.gauge("broken", "Fails.", broken)
    registry.counter("fine_total", "Works.").value += 1
    found = parsed(registry)
    assert math.isnan(found["broken", ()])
    assert found["fine_total", ()] == 1


def test_a_family_stays_within_its_limit() -> None:
    family = Family(("name",), Counter, limit=3)
    for number in range(100):
        family.of(str(number)).value += 1
    counts = {values[0]: child.value for values, child in family.children()}
    assert counts == {"0": 1, "1": 1, "2": 1, OVERFLOW: 97}


def test_a_family_refuses_the_wrong_number_of_labels() -> None:
    with pytest.raises(ValueError, match="expected 1 label"):
        Family(("name",), Counter, limit=3).of("a", "b")


def test_a_name_is_registered_once() -> None:
    registry = Registry()
    registry.counter("a", "A.")
    with pytest.raises(ValueError, match="registered twice"):
        registry.gauge("a", "A.")


def test_quantiles_come_from_the_buckets() -> None:
    histogram = Histogram((1.0, 2.0, 4.0))
    assert histogram.quantile(0.5) == 0.0
    for value in (0.5, 0.5, 3.0, 50.0):
        histogram.observe(value)
    assert histogram.quantile(0.5) == 1.0
    assert histogram.quantile(0.75) == 4.0
    assert histogram.quantile(1.0) == 50.0


def test_what_somebody_else_counts_is_asked_at_each_scrape() -> None:
    counts = {"a": 1}
    times = Histogram((1.0,))
    registry = Registry()
    registry.asked("x_total", "Asked.", "counter", lambda: counts["a"])
    registry.asked("t_seconds", "Asked.", "histogram", lambda: times)
    registry.asked_by("y_total", "By name.", "counter", ("name",), lambda: (((n,), c) for n, c in counts.items()))
    assert parsed(registry)["x_total", ()] == 1
    counts |= {"a": 5, "b": 2}
    times.observe(0.5)
    found = parsed(registry)
    assert found["x_total", ()] == 5
    assert found["y_total", (("name", "b"),)] == 2
    assert found["t_seconds_count", ()] == 1


def test_one_that_fails_when_asked_has_no_sample_and_hides_no_other() -> None:
    registry = Registry()
    registry.asked("gone_seconds", "Fails.", "histogram", lambda: Histogram() if registry is None else 1 / 0)
    registry.counter("fine_total", "Works.").value += 1
    assert parsed(registry) == {("fine_total", ()): 1}


def test_what_is_asked_stays_within_its_limit() -> None:
    registry = Registry()
    registry.asked_by("y", "By name.", "gauge", ("n",), lambda: (((str(n),), n) for n in range(1000)), limit=10)
    assert len(parsed(registry)) == 10
