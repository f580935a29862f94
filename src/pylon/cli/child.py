"""The server process behind `pylon dev`. It imports the server while nobody waits, then loads the app when it is told
to, says what is wrong with it or that it is fine, and serves when it is told to.

Its supervisor speaks to it over one socket, a JSON object per line:

    supervisor                         child
    {"command": "load", "options"} ->
                                    <- {"event": "loaded", ...} or {"event": "broken", "diagnostics"}
    {"command": "serve"}           ->
                                    <- {"event": "ready"} or {"event": "failed", "diagnostics"}

When the socket closes, the supervisor is gone and the child stops as on SIGTERM: no server is ever left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Final

from pylon.cli.check import examine, inventory
from pylon.cli.exits import Exit
from pylon.cli.output import as_json, failure
from pylon.cli.project import DEV_DEFAULTS, Project, open_project, unknown_findings
from pylon.listeners import inherited
from pylon.loading import LoadError
from pylon.model.errors import PylonError
from pylon.model.findings import Diagnostic
from pylon.model.schema import AppSpec
from pylon.settings import SettingsError

SUPERVISOR_FD: Final = "PYLON_SUPERVISOR_FD"


class Supervisor:
    """The child's end of the socket. The server is given it as its reload channel: it waits `lock_wait` seconds for
    the previous child to leave the data folder, and calls `ready` once it is listening."""

    lock_wait = 30.0

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def ready(self) -> None:
        self.tell({"event": "ready"})

    def tell(self, event: dict[str, Any]) -> None:
        """Send one event. A supervisor that is gone is noticed by `stop_when_gone`."""
        try:
            self._socket.sendall(json.dumps(event, default=str).encode() + b"\n")
        except OSError:
            return

    def next_command(self) -> dict[str, Any]:
        """Wait for one command. Ends the process when the supervisor is gone."""
        line = self._next_line()
        if not line:
            raise SystemExit(Exit.OK)
        command: dict[str, Any] = json.loads(line)
        return command

    def stop_when_gone(self) -> None:
        """From now on a closed socket means SIGTERM."""
        threading.Thread(target=self._wait_for_end, name="pylon-supervisor", daemon=True).start()

    def close(self) -> None:
        """Let go of the socket."""
        self._lines.close()
        self._socket.close()

    def _wait_for_end(self) -> None:
        while self._next_line():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _next_line(self) -> str:
        """One line; empty when the supervisor is gone. One that was killed before it read what we told it resets the
        socket instead of closing it."""
        try:
            return self._lines.readline()
        except ConnectionError:
            return ""


def main() -> int:
    """Serve one version of the app; the exit code."""
    supervisor = Supervisor(int(os.environ.pop(SUPERVISOR_FD)))
    from pylon.server import run as run_server

    # Python trusts a cached module whose source has the same size and second: two quick saves would run the first.
    sys.dont_write_bytecode = True
    options = supervisor.next_command()["options"]
    try:
        project, spec, warnings = _load(options)
    except (LoadError, SettingsError, PylonError) as error:
        supervisor.tell({"event": "broken", "diagnostics": [as_json(found) for found in findings_of(error)]})
        return Exit.FAILED
    loaded = {
        "event": "loaded",
        "warnings": [as_json(found) for found in warnings],
        "backend": project.settings.backend,
    }
    supervisor.tell(loaded | inventory(spec))
    supervisor.next_command()
    supervisor.stop_when_gone()
    listeners = inherited(os.environ)
    assert listeners is not None, "the supervisor hands over its sockets"
    try:
        return int(run_server(spec, project.settings, listeners, reload_channel=supervisor))
    except PylonError as error:
        supervisor.tell({"event": "failed", "diagnostics": [as_json(found) for found in findings_of(error)]})
        return Exit.FAILED


def findings_of(error: Exception) -> tuple[Diagnostic, ...]:
    """An error of loading or starting, as findings."""
    match error:
        case LoadError():
            return error.diagnostics
        case SettingsError():
            return tuple(
                failure("SETTINGS_INVALID", f"{problem.variable}: {problem.what}", f"{problem.mend}.")
                for problem in error.problems
            )
        case PylonError():
            return (failure(error.code, error.message, error.hint),)
    return (failure("START_FAILED", f"{type(error).__name__}: {error}"),)


def _load(options: dict[str, Any]) -> tuple[Project, AppSpec, list[Diagnostic]]:
    project = open_project(argparse.Namespace(**options), DEV_DEFAULTS, folder=Path.cwd())
    spec, warnings = examine(project)
    return project, spec, [*warnings, *unknown_findings(project.environ)]


if __name__ == "__main__":
    sys.exit(main())
