"""Which rules a test run has asked, and what they said: written down by each test app when it closes, for
`pylon policy coverage`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pylon.engine.plan import EntityPlan
from pylon.engine.reads import Reads
from pylon.model.schema import Action

FILE = "PYLON_POLICY_COVERAGE_FILE"
"""Names the file that test apps add their lines to; set by the command for the tests that it runs."""

Counts = Counter[tuple[str, str, str]]
"""How often an entity's rule for an action was `asked`, `allowed` or `denied`."""


class Coverage:
    """Watches the rules of one server. A read rule that is part of a query is asked, and what it says of each row is
    the database's to know."""

    def __init__(self, plans: Mapping[str, EntityPlan], reads: Reads) -> None:
        self.counts: Counts = Counter()
        for plan in plans.values():
            for action in Action:
                plan.policy.rule(action).observe(self._teller(plan.name, action.value))
        reads.on_condition = lambda plan: self._asked(plan.name)

    def _teller(self, entity: str, action: str) -> Callable[[bool], None]:
        def tell(allowed: bool) -> None:
            self.counts[entity, action, "asked"] += 1
            self.counts[entity, action, "allowed" if allowed else "denied"] += 1

        return tell

    def _asked(self, entity: str) -> None:
        self.counts[entity, Action.READ.value, "asked"] += 1

    def save(self, path: Path) -> None:
        """Add a line to the file."""
        told = [[entity, action, what, count] for (entity, action, what), count in self.counts.items()]
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")


def wanted() -> Path | None:
    """Where to write, if anybody asked for it."""
    named = os.environ.get(FILE)
    return None if not named else Path(named)


def read(path: Path) -> Counts:
    """All lines of a file, added up."""
    counts: Counts = Counter()
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for line in lines:
        entries: list[Any] = json.loads(line)
        for entity, action, what, count in entries:
            counts[entity, action, what] += count
    return counts
