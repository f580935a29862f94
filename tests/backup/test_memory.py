"""A backup needs little memory, however large the data is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backup.conftest import Command

MEGABYTES = 150


@pytest.mark.parametrize("sealed", [False, True])
def test_memory_is_bounded_while_a_large_file_goes_in_and_out(
    pylon: Command, data: Path, tmp_path: Path, sealed: bool
) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    block = os.urandom(2**20)
    with (data / "uploads" / "large").open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(block)
    to = ["--recipient", str(identity.to_public())] if sealed else []
    for words in (
        ["backup", "--tar", "copy.tar", "--data-dir", "data", *to],
        ["backup", "verify", "copy.tar", "--identity", "key"],
        ["restore", "copy.tar", "--data-dir", "new", "--yes", "--identity", "key"],
    ):
        assert _peak_megabytes(pylon, *words) < 100, words
    assert (tmp_path / "new" / "uploads" / "large").stat().st_size == MEGABYTES * 2**20


_MEASURE = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "pylon", *sys.argv[1:]]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def _peak_megabytes(pylon: Command, *words: str) -> float:
    """Measured by a small process between: one that is forked from this one begins with this one's memory."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *words], cwd=pylon.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1]) / 1024
