"""docs/ops/SIGNALS.md lists every series of a server, as it is registered, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.listeners import Listeners, bind
from pylon.model.schema import AppSpec
from pylon.server import Server
from pylon.settings import Settings
from pylon.signals.metrics import Family, Probe, Series

PAGE = Path(__file__).parents[2] / "docs" / "ops" / "SIGNALS.md"


def row(series: Series) -> str:
    """The line of a series in the page's table."""
    labels = series.source.labels if isinstance(series.source, Family | Probe) else ()
    return f"| `{series.name}` | {series.kind} | {', '.join(f'`{name}`' for name in labels)} | {series.help} |"


@pytest.fixture
def registered(tmp_path: Path, notes: AppSpec) -> list[Series]:
    settings = Settings.load(
        {"PYLON_DEV_MODE": "1", "PYLON_PORT": "0", "PYLON_EXTRA_PORTS": "0", "PYLON_DATA_DIR": str(tmp_path)}
    )
    listeners: Listeners = bind(settings)
    try:
        return Server(notes, settings, listeners).registry.series()
    finally:
        listeners.close()


def test_every_series_is_documented_as_it_is(registered: list[Series]) -> None:
    page = PAGE.read_text()
    missing = [row(series) for series in registered if row(series) not in page]
    assert not missing, "put these rows into docs/ops/SIGNALS.md:\n" + "\n".join(missing)


def test_no_series_is_documented_that_is_not_there(registered: list[Series]) -> None:
    known = {series.name for series in registered}
    written = re.findall(r"^\| `(pylon_\w+)` \| (?:counter|gauge|histogram) ", PAGE.read_text(), re.MULTILINE)
    assert set(written) <= known, set(written) - known
    assert len(written) == len(set(written))


def test_names_keep_to_the_convention(registered: list[Series]) -> None:
    for series in registered:
        assert re.fullmatch(r"pylon_[a-z][a-z0-9_]*", series.name)
        if series.kind == "counter" and series.name != "pylon_http_requests_by_method":  # spec 07 §15.2 names it
            assert series.name.endswith("_total"), series.name
        if series.kind == "gauge":
            assert not series.name.endswith("_total"), series.name
        assert series.help.endswith("."), series.name
