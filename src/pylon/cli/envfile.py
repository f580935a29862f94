"""`.env.local` and `.env`: found by walking up, read without ever overriding what the environment already says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pylon.settings import Problem, SettingsError

NAMES = (".env.local", ".env")
"""In order of precedence."""

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def find(start: Path) -> list[Path]:
    """The env files of the nearest folder, from `start` upwards, that has any."""
    for folder in (start.absolute(), *start.absolute().parents):
        found = [folder / name for name in NAMES if (folder / name).is_file()]
        if found:
            return found
    return []


def merged(environ: Mapping[str, str], start: Path) -> dict[str, str]:
    """The environment with what the env files add. Raises SettingsError for a line that can't be read."""
    result = dict(environ)
    for path in find(start):
        for name, value in parse(path.read_text("utf-8"), path.name).items():
            result.setdefault(name, value)
    return result


def parse(text: str, file: str) -> dict[str, str]:
    """`NAME=value` lines: comments, `export`, single quotes (literal) and double quotes (escapes, several lines)."""
    values: dict[str, str] = {}
    lines = iter(enumerate(text.removeprefix("\ufeff").splitlines(), 1))
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        matched = _LINE.match(line)
        if matched is None:
            raise _unreadable(file, number, "the line is not NAME=value")
        name, value = matched.groups()
        if value[:1] in ("'", '"'):
            while _closing(value) is None:
                following = next(lines, None)
                if following is None:
                    raise _unreadable(file, number, f"the quote of {name} is never closed")
                value += "\n" + following[1]
            end = _closing(value) or 0
            inner = value[1:end]
            values[name] = inner if value[0] == "'" else _unescape(inner)
        else:
            values[name] = re.split(r"\s#", value, maxsplit=1)[0].strip()
    return values


def _closing(value: str) -> int | None:
    """Where the quote that opens `value` closes."""
    position = 1
    while position < len(value):
        if value[position] == "\\" and value[0] == '"':
            position += 2
            continue
        if value[position] == value[0]:
            return position
        position += 1
    return None


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text, flags=re.DOTALL)


def _unreadable(file: str, number: int, what: str) -> SettingsError:
    return SettingsError((Problem(f"{file}:{number}", what, "Correct the line, or comment it out with #"),))
