"""Taking the place of the server that uses a data folder: everything that can be done before is done while it serves,
and a version that could not start never stops it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

from pylon.cli.output import Output
from pylon.cli.project import Project
from pylon.listeners import ALONE, BESIDE, ListenError, Listeners, bind
from pylon.model.schema import AppSpec
from pylon.settings import Settings
from pylon.store.lock import folder_holder

WAIT_SECONDS = 60.0
"""How long the old server may take to leave."""

_POLL = 0.01
_LISTENING = "0A"


def take_over(project: Project, *, clock: Callable[[], float] = time.monotonic) -> Listeners:
    """Listen beside the server that holds the folder, or as soon as its ports are free, and ask it to stop: whoever
    connects then waits until this one serves. Raises ListenError."""
    folder = project.settings.data_dir
    holder = folder_holder(folder)
    if holder is not None:
        if not holder.isdigit() or not _has_open(int(holder), folder / "lock"):
            raise ListenError(f"the server that uses {folder} is not a process of this machine: stop it where it runs")
        gc.collect()
        gc.freeze()  # what is loaded by now stays: looking at it again would take time while nobody serves
        port, own = project.settings.port, _opened(int(holder))
        if _listening([port]) - own:
            raise ListenError(
                f"port {port} is in use, and not by the server that uses {folder}. Name that server's: --port."
            )
        # Another server of this user must not get to share its extra ports' connections either.
        listening = _listening(range(port, port + 3))
        beside = _bound(project.settings, BESIDE if listening and listening <= own else ALONE)
        with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
            os.kill(int(holder), signal.SIGTERM)
        if beside is not None:
            return beside
    until = clock() + WAIT_SECONDS
    while True:
        if (listeners := _bound(project.settings, ALONE)) is not None:
            return listeners
        if clock() > until or holder is None:
            return bind(project.settings)
        time.sleep(_POLL)


def prepare_beside(project: Project, spec: AppSpec, output: Output) -> None:
    """While the server that holds the folder serves: prepare what the new version's schema would keep it waiting for.
    Raises PylonError when the rows contradict, or there is no room."""
    from pylon.cli.backup import progress_bar
    from pylon.store.sqlite.database import SqliteStore

    if folder_holder(project.settings.data_dir) is None or not project.settings.database_path.is_file():
        return
    store = SqliteStore(project.settings.database_path, {})
    with progress_bar(output) as progress:
        rows = store.prepare(spec.entities, store.plan(spec.entities), progress)
    for entity, count in rows.items():
        output.note(f"  prepared {entity}: {count} rows")
    with contextlib.closing(store.checkpoints()) as checkpoints:
        checkpoints.run()  # else the old server does it when it closes, while nobody serves


def _bound(settings: Settings, options: tuple[int, ...]) -> Listeners | None:
    """All ports of the settings, or none."""
    try:
        listeners = bind(settings, options)
    except ListenError:
        return None
    if listeners.warnings:
        listeners.close()
        return None
    return listeners


def _listening(ports: Collection[int]) -> set[str]:
    """The sockets that listen on these ports, of whatever process, as far as the system tells."""
    found = set()
    with contextlib.suppress(OSError):
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) in ports:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _opened(process: int) -> set[str]:
    """What a process has open, sockets among it, as far as the system tells."""
    found = set()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(os.readlink(link))
    return found


def _has_open(process: int, path: Path) -> bool:
    """Whether that process has the file open. Its number may come from another container, where it means another one:
    nobody else is ever signalled. Where the system doesn't tell, the lock file is believed."""
    if process == os.getpid():
        return False
    opened = Path(f"/proc/{process}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    try:
        return any(link.resolve() == path.resolve() for link in opened.iterdir())
    except OSError:
        return False
