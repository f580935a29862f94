"""What a saved file means."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.cli.watching import Change, meaning

FOLDER = Path("/project")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("app.py", Change.APP),
        ("functions/deep/mail.py", Change.APP),
        ("data.json", Change.APP),
        (".env", Change.APP),
        (".env.local", Change.APP),
        ("web/index.html", Change.PAGE),
        ("web/deep/app.js", Change.PAGE),
        ("README.md", None),
        (".pylon/dev-diagnostics.json", None),
        (".git/config.py", None),
        ("__pycache__/app.py", None),
        ("node_modules/x/package.json", None),
        (".venv/lib/site.py", None),
        ("app.py~", None),
        (".app.py.swp", None),
    ],
)
def test_the_meaning_of_a_path(path: str, change: Change | None) -> None:
    assert meaning(FOLDER / path, FOLDER) is change


def test_a_file_outside_means_nothing_unless_it_is_an_env_file() -> None:
    assert meaning(Path("/other/app.py"), FOLDER) is None
    assert meaning(Path("/.env"), FOLDER) is Change.APP
