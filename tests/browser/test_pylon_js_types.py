"""The types of pylon.js: what `pylon codegen client` writes, the declarations, and the modules themselves, by tsc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JS = HERE / "js"
TSC = JS / "node_modules" / "typescript" / "bin" / "tsc"


def codegen(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pylon", "codegen", "client", str(HERE / "app"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_generated_types_are_what_the_app_declares(tmp_path: Path) -> None:
    kept = JS / "types" / "pylon.types.ts"
    done = codegen("--out", str(kept), "--check")
    assert done.returncode == 0, f"run `pylon codegen client`: {done.stdout}{done.stderr}"
    stale = tmp_path / "types.ts"
    stale.write_text(kept.read_text().replace("title: string", "titel: string"))
    done = codegen("--out", str(stale), "--check")
    assert (done.returncode, "CODEGEN_STALE" in done.stdout + done.stderr) == (1, True)
    assert codegen("--out", str(stale), "--declarations").returncode == 0
    assert stale.read_text() == kept.read_text()
    assert (tmp_path / "pylon.d.ts").exists()
    assert codegen("--out", "-").stdout.strip() == kept.read_text().strip()


@pytest.mark.timeout(180)
def test_typescript_accepts_what_is_right_and_refuses_what_is_wrong(node: str) -> None:
    if not TSC.exists():
        pytest.skip("TypeScript is missing: npm ci --prefix tests/browser/js")
    projects = [JS / "types"]
    if os.environ.get("PYLON_TEST_LONG"):
        projects.append(JS)  # the modules themselves
    for project in projects:
        done = subprocess.run(
            [node, str(TSC), "-p", str(project), "--pretty", "false"],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        errors = [line for line in done.stdout.splitlines() if ": error " in line and "/vendor/" not in line]
        assert errors == []
