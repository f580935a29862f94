"""The runbook as its reader has it: the commands of a section of docs/ops, run as they stand, in order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

OPS = Path(__file__).parents[2] / "docs" / "ops"
FIVE_MINUTES = 300.0

_BLOCK = re.compile(r"^```console gameday\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LABEL = re.compile(r"^\*\*([A-Z][a-z ]+)\.\*\*", re.MULTILINE)


def anchor_of(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).strip().replace(" ", "-")


def sections(page: str) -> dict[str, str]:
    """The text of each `##` section by its anchor; what stands before the first one under ""."""
    text = (OPS / page).read_text("utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {"": parts[0]} | {anchor_of(head): body for head, body in zip(parts[1::2], parts[2::2], strict=True)}


def commands(text: str) -> list[tuple[str, str]]:
    """(label, command) of each `$ ` line of the section's blocks; the label is the bold word that stands before."""
    labels = [(match.start(), match[1]) for match in _LABEL.finditer(text)]
    found = []
    for block in _BLOCK.finditer(text):
        label = next((name for at, name in reversed(labels) if at < block.start()), "")
        found += [(label, line[2:]) for line in block[1].splitlines() if line.startswith("$ ")]
    return found


@dataclass
class Operator:
    """Somebody with the runbook, the token and a shell beside the server. `seconds` adds up what commands took."""

    server: ServerProcess
    folder: Path
    token: str = ADMIN_TOKEN
    page: str = "INCIDENT.md"
    seconds: float = 0.0
    done: list[str] = field(default_factory=list)

    def follow(self, anchor: str, *labels: str) -> str:
        """Run the commands under these labels of a section, each of which must succeed; what they printed."""
        wanted = [(label, command) for label, command in commands(sections(self.page)[anchor]) if label in labels]
        assert wanted, f"#{anchor} has no commands under {labels}"
        return "\n".join(self.run(command) for _, command in wanted)

    def run(self, command: str, *, expect: int = 0) -> str:
        """One command line, as its reader types it."""
        words = shlex.split(command)
        if words[0] == "pylon":
            words[:1] = [sys.executable, "-m", "pylon"]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
        environ |= {
            "PYLON_URL": self.server.url,
            "PYLON_ADMIN_TOKEN": self.token,
            "PYLON_DATA_DIR": str(self.server.data),
            "PYLON_PORT": "0",
            "COLUMNS": "160",
        }
        began = time.monotonic()
        done = subprocess.run(
            words, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        self.seconds += time.monotonic() - began
        self.done.append(command)
        assert done.returncode == expect, f"$ {command}\n{done.stdout}\n{done.stderr}"
        assert self.seconds < FIVE_MINUTES
        return done.stdout
