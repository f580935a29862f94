"""Putting a restored folder in the place of a data folder, with the old one kept, so that at every moment one whole
folder stands there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pylon.model.errors import PylonError
from pylon.ops.backup.shelf import sync_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
INSIDE = "before-restore-"
MARKER = "restore-unfinished"
"""In a data folder that can't be renamed, while its entries are being exchanged: a server must not start on it."""


def can_rename(data_dir: Path) -> bool:
    """Whether the folder can be renamed: it is no mount point, and its parent is writable."""
    if not data_dir.exists():
        return True
    return not data_dir.is_mount() and os.access(data_dir.parent, os.W_OK)


def exchange(staged: Path, data_dir: Path, aside: Path) -> Path | None:
    """Put `staged` in the place of `data_dir`; where the old folder is now, None when there was none. In a folder that
    can't be renamed its entries are moved instead. When this raises, `staged` may hold the old data: never delete it.
    """
    if not data_dir.exists():
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(data_dir)
        sync_folder(data_dir.parent)
        return None
    if not can_rename(data_dir):
        return _exchange_entries(staged, data_dir, _free(data_dir / (INSIDE + aside.name.rsplit(INSIDE, 1)[1])))
    aside = _free(aside)
    if _swap(staged, data_dir):
        try:
            staged.rename(aside)
        except OSError:
            _swap(staged, data_dir)
            raise
    else:
        data_dir.rename(aside)
        try:
            staged.rename(data_dir)
        except OSError:
            aside.rename(data_dir)
            raise
    sync_folder(data_dir.parent)
    return aside


def unfinished(data_dir: Path) -> PylonError | None:
    """Why a server must not start on this folder, if a restore stopped half-way in it."""
    if not (data_dir / MARKER).exists():
        return None
    return PylonError(
        "RESTORE_UNFINISHED",
        f"A restore into {data_dir} was interrupted; the data of before is in its {INSIDE}… folder.",
        hint="Run the same `pylon restore … --replace` again.",
    )


def _free(path: Path) -> Path:
    """A name that nothing has: two restores may fall into one second."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _exchange_entries(staged: Path, data_dir: Path, aside: Path) -> Path:
    marker = data_dir / MARKER
    marker.touch()
    sync_folder(data_dir)
    aside.mkdir(mode=0o700)
    keep = {aside.name, staged.name, marker.name, "lock"}
    for entry in sorted(data_dir.iterdir()):
        if entry.name not in keep and not entry.name.startswith(INSIDE):
            entry.rename(aside / entry.name)
    for entry in sorted(staged.iterdir()):
        if entry.name != "lock":
            entry.rename(data_dir / entry.name)
    for folder in (aside, data_dir):
        sync_folder(folder)
    marker.unlink()
    sync_folder(data_dir)
    with contextlib.suppress(OSError):
        (staged / "lock").unlink(missing_ok=True)
        staged.rmdir()
    return aside


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names in one step, where the system can (Linux)."""
    import ctypes  # felt at cold start, and needed for a restore only

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0
