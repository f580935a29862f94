"""Reading `.env` files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.cli import envfile
from pylon.settings import SettingsError


def test_every_form_of_a_value() -> None:
    text = (
        "\ufeff# a comment\n\nPLAIN=a b # remark\nexport EXPORTED=x#y\n"
        'SINGLE=\'a $b \\n # c\'\nDOUBLE="line\\nnext \\"q\\"" # remark\nMULTI="one\ntwo"\nEMPTY=\n'
    )
    assert envfile.parse(text, ".env") == {
        "PLAIN": "a b",
        "EXPORTED": "x#y",
        "SINGLE": "a $b \\n # c",
        "DOUBLE": 'line\nnext "q"',
        "MULTI": "one\ntwo",
        "EMPTY": "",
    }


@pytest.mark.parametrize(("text", "place"), [("A=1\nnonsense", ".env:2"), ('A="never closed\nB=1', ".env:1")])
def test_what_can_not_be_read_is_named_by_line(text: str, place: str) -> None:
    with pytest.raises(SettingsError, match=place):
        envfile.parse(text, ".env")


def test_the_nearest_folder_with_a_file_is_taken(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".env").write_text("A=far\nB=far")
    (tmp_path / "a" / ".env.local").write_text("A=near")
    merged = envfile.merged({"C": "set"}, inner)
    assert merged == {"A": "near", "C": "set"}
