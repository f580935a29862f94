"""What a saved file means to `pylon dev`: the app must be built again, or only browsers must load their page again."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from pathlib import Path

from pylon.cli import envfile

_APP_SUFFIXES = frozenset({".py", ".json", ".toml", ".sql"})
_IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "dist", "build"})
_DEBOUNCE_MS = 400
_QUIET_MS = 30
"""Changes that follow each other within this time are one save."""


class Change(enum.Enum):
    APP = "app"
    PAGE = "page"


def meaning(path: Path, folder: Path) -> Change | None:
    """What a change of `path` means for the app in `folder`; None where it means nothing."""
    if path.name in envfile.NAMES:
        return Change.APP
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        return None
    if not parts or any(part.startswith(".") or part in _IGNORED_FOLDERS for part in parts):
        return None
    if parts[0] == "web":
        return Change.PAGE
    return Change.APP if path.suffix in _APP_SUFFIXES else None


async def changes(folder: Path, *, recursive: bool, polling: bool) -> AsyncIterator[set[Change]]:
    """The meanings of each burst of saves under `folder`, without end. Raises OSError where it can't be watched."""
    from watchfiles import awatch

    found = awatch(
        folder,
        watch_filter=lambda _, path: meaning(Path(path), folder) is not None,
        debounce=_DEBOUNCE_MS,
        step=_QUIET_MS,
        recursive=recursive,
        force_polling=polling,
        poll_delay_ms=300,
    )
    async for burst in found:
        yield {meant for _, path in burst if (meant := meaning(Path(path), folder)) is not None}
