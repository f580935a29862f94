"""The page of what clients depend on names tests and decisions that exist, and leaves no line without."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/sync-acceptance.md").read_text("utf-8")


def test_every_test_and_decision_that_the_page_names_exists() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"^ *(?:async )?def (test_\w+)", code, re.MULTILINE))
    decisions = set(re.findall(r"^## (.+)", (ROOT / "docs/decisions.md").read_text("utf-8"), re.MULTILINE))
    tests, decided = set(re.findall(r"`(test_\w+)`", PAGE)), set(re.findall(r"\*([^*|]+)\*", PAGE))
    assert tests
    assert decided
    assert tests - existing == set()
    assert decided - {decision.strip() for decision in decisions} == set()


def test_every_line_of_the_page_has_a_test_beside_it() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (?!Line|Point)", line)]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []
