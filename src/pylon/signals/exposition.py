"""A registry as Prometheus text (format 0.0.4). Written by hand: prometheus_client costs 41 ms at start and locks on
every increment."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pylon.signals.metrics import Counter, Gauge, Histogram, Registry, Series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def prometheus_text(registry: Registry) -> str:
    """Every series of the registry. A gauge whose read function fails reads NaN; the others are still told."""
    lines: list[str] = []
    for series in registry.series():
        lines.append(f"# HELP {series.name} {_help(series.help)}")
        lines.append(f"# TYPE {series.name} {series.kind}")
        lines.extend(_samples(series))
    lines.append("")
    return "\n".join(lines)


def _samples(series: Series) -> Iterator[str]:
    for labels, metric in series.samples():
        if isinstance(metric, Histogram):
            yield from _histogram(series.name, labels, metric)
            continue
        yield f"{series.name}{_labels(labels)} {_number(_reading(metric))}"


def _reading(metric: Counter | Gauge | float) -> float:
    if isinstance(metric, int | float):
        return metric
    try:
        return metric.value
    except Exception:  # a gauge asks foreign code; one that fails must not hide every other series (poison law)
        return math.nan


def _histogram(name: str, labels: dict[str, str], histogram: Histogram) -> Iterator[str]:
    counts = list(histogram.counts)  # one copy, so that the buckets and the count agree
    total = 0
    for bound, count in zip(histogram.bounds, counts, strict=False):
        total += count
        yield f"{name}_bucket{_labels(labels | {'le': _number(bound)})} {total}"
    total += counts[-1]
    yield f"{name}_bucket{_labels(labels | {'le': '+Inf'})} {total}"
    yield f"{name}_sum{_labels(labels)} {_number(histogram.sum)}"
    yield f"{name}_count{_labels(labels)} {total}"


def _number(value: float) -> str:
    """As short as it can be and exact: `1`, `0.0025`, `+Inf`, `NaN`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    whole = int(value)
    return str(whole) if whole == value else repr(float(value))


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_value(value)}"' for name, value in labels.items()) + "}"


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
