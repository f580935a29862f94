"""The backup that is taken before something destructive: beside the data folder, and verified before anything goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pylon.model.errors import PylonError
from pylon.ops.backup import shelf
from pylon.ops.backup.bundle import FolderBundle
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.take import Progress, Subject, silent, take
from pylon.ops.backup.verify import verify
from pylon.store.sqlite.snapshot import Pace

_AT_ONCE = Pace(pages=4096, rest=0.0, hurried=0.0, least=0.0)
"""Nobody else uses the data: no need to copy gently."""


def folder_of(data_dir: Path) -> Path:
    """Where such backups are: `.pylon-backups` beside `.pylon`."""
    return data_dir.with_name(f"{data_dir.name}-backups")


def back_up_before(
    subject: Subject,
    what: str,
    keys: Keyring,
    *,
    progress: Progress = silent,
    clock: Callable[[], float] = time.time,
) -> Path:
    """Back up and verify; the backup's folder, whose name says before what it was taken. A backup that is sealed to
    somebody else's key can't be opened here and isn't verified. Raises BACKUP_*."""
    name = f"{shelf.backup_name(clock())}-before-{what}"
    folder = folder_of(subject.data_dir)
    target = next(path for n in range(1000) if not (path := folder / (f"{name}-{n}" if n else name)).exists())
    staged = shelf.partial(target)
    try:
        take(subject, staged, seal=keys.seal(), pace=_AT_ONCE, progress=progress, clock=clock)
        shelf.publish_folder(staged, target)
    except BaseException:
        shelf.discard(staged)
        raise
    try:
        verify(FolderBundle(target), keys, clock=clock, progress=progress)
    except PylonError as error:
        if error.code != "BACKUP_KEY_REFUSED":
            raise
    return target
