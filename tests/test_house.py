"""The house's walls: imports point downwards only, and the pure rooms stay pure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_point_downwards_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_starts_without_what_it_does_not_need() -> None:
    script = "import sys, pylon.cli.start; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("asyncio", "uvicorn", "falcon", "apsw", "watchfiles", "logging", "pylon.cli.dev"):
        assert heavy not in loaded


def test_the_environment_is_read_by_the_command_line_only() -> None:
    rooms = [
        path for path in (ROOT / "src/pylon").rglob("*.py") if "cli" not in path.parts and "testing" not in path.parts
    ]
    for path in rooms:
        assert "os.environ" not in path.read_text("utf-8"), f"{path.relative_to(ROOT)} reads the environment"


def test_pinned_files_carry_hashes_and_no_address() -> None:
    for name in ("constraints.txt", "constraints-dev.txt"):
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text
        assert "--index-url" not in text
        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert packages
        assert all(line.endswith("\\") for line in packages)
