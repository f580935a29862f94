"""The page on switches, flags and the audit log: each of its commands works."""

from __future__ import annotations

from pylon.testing.process import ServerProcess
from tests.gamedays.runbook import Operator, commands, sections


def test_its_commands_work(server: ServerProcess, operator: Operator) -> None:
    server.request("POST", "/api/entities/Invoice", {"text": "x"}, token=server.token_of("alice"))
    for text in sections("AUDIT.md").values():
        for _, command in commands(text):
            operator.run(command)
