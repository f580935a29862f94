"""The runbook is whole: every alert leads to a section, every command in it is run by a game day."""

from __future__ import annotations

import re
from pathlib import Path

from tests.gamedays.prometheus import RULES
from tests.gamedays.runbook import commands, sections

HERE = Path(__file__).parent


def test_every_alert_leads_to_a_section() -> None:
    anchors = set(re.findall(r"INCIDENT\.md#([a-z-]+)", RULES.read_text("utf-8")))
    assert anchors
    assert anchors <= set(sections("INCIDENT.md"))


def test_every_section_names_alerts_that_exist() -> None:
    known = set(re.findall(r"- alert: (\w+)", RULES.read_text("utf-8")))
    for anchor, text in sections("INCIDENT.md").items():
        assert set(re.findall(r"`(Pylon[A-Z]\w+)`", text)) <= known, anchor


def test_every_command_is_run_by_a_game_day() -> None:
    days = "\n".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    followed = re.findall(r'follow\(\s*"([a-z-]*)"((?:,\s*"[A-Za-z ]*")+)\)', days)
    run = {(anchor, label) for anchor, labels in followed for label in re.findall(r'"([A-Za-z ]*)"', labels)}
    for anchor, text in sections("INCIDENT.md").items():
        for label, command in commands(text):
            assert (anchor, label) in run, f"#{anchor}, {label}: $ {command}"
