"""The page of controls names tests that exist: what it claims stays held when tests are renamed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security/asvs.md").read_text("utf-8")


def test_every_test_that_the_page_of_controls_names_exists() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"^ *(?:async )?def (test_\w+)", code, re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named - existing == set()


def test_every_control_has_a_test_beside_it() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []
