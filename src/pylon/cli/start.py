"""Serve an app in production. SIGTERM or Ctrl-C stops it gracefully, a second one at once."""

from __future__ import annotations

import argparse
import contextlib

from pylon.cli.check import examine
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure, finding
from pylon.cli.project import (
    Project,
    add_serving_options,
    open_project,
    report_load_error,
    report_settings_error,
    unknown_findings,
)
from pylon.cli.takeover import WAIT_SECONDS, prepare_beside, take_over
from pylon.listeners import ListenError, Listeners, bind
from pylon.loading import LoadError, NoEntryError, load
from pylon.model.errors import PylonError
from pylon.model.findings import Severity
from pylon.model.schema import AppSpec
from pylon.settings import SettingsError


def configure(parser: argparse.ArgumentParser) -> None:
    add_serving_options(parser)
    parser.add_argument("--replace", action="store_true", help="take the place of the server that uses the data")


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        project = open_project(options, {})
        output.report(unknown_findings(project.environ))
        if options.replace:
            spec, _ = examine(project)
            prepare_beside(project, spec, output)
            listeners = take_over(project)
        else:
            listeners = bind(project.settings)
            spec = load(project.entry)
    except SettingsError as error:
        report_settings_error(error, output)
        return Exit.FAILED
    except ListenError as error:
        output.report([failure("LISTEN_FAILED", str(error))])
        return Exit.FAILED
    except PylonError as error:
        output.report([failure(error.code, error.message, error.hint)])
        return Exit.FAILED
    except LoadError as error:
        report_load_error(error, "START", output)
        return Exit.USAGE if isinstance(error, NoEntryError) else Exit.FAILED
    output.report([finding(Severity.WARNING, "PORT_UNAVAILABLE", warning) for warning in listeners.warnings])
    report_pending(project, output)
    announcement = Announcement(spec, project, listeners, output)
    announcement.lock_wait = WAIT_SECONDS if options.replace else 0.0
    return serve(spec, project, listeners, announcement, output)


def report_pending(project: Project, output: Output) -> None:
    """Say which migrations wait: the app may count on them."""
    from pylon.ops.migrations.files import FOLDER

    if (project.entry.folder / FOLDER).is_dir():
        from pylon.cli.migrate import unapplied

        with contextlib.suppress(PylonError):  # a folder of that name may be somebody else's
            if waiting := unapplied(project):
                text = f"{', '.join(waiting)}: not applied to the data"
                hint = "Stop the server, then `pylon migrate apply`."
                output.report([finding(Severity.WARNING, "MIGRATIONS_PENDING", text, hint)])


class Announcement:
    """Says that the server is serving, once it is; the server calls `ready`."""

    def __init__(self, spec: AppSpec, project: Project, listeners: Listeners, output: Output) -> None:
        self.lock_wait = 0.0
        self._spec = spec
        self._project = project
        self._listeners = listeners
        self._output = output

    def ready(self) -> None:
        """Print the banner, or START_OK."""
        settings, spec = self._project.settings, self._spec
        database = "DATABASE_URL" if settings.database_url else str(settings.database_path)
        document = {
            "code": "START_OK",
            "name": spec.name,
            "version": spec.version,
            "entry": str(self._project.entry),
            "port": self._listeners.port,
            "db_path": database,
            "backend": settings.backend,
        }
        lines = [
            self._output.heading("pylon start"),
            f"  App:      {spec.name} {spec.version}",
            f"  Server:   http://{settings.host}:{self._listeners.port}",
            f"  Backend:  {settings.backend}",
            f"  Database: {database}",
        ]
        if settings.docs_page and (settings.dev_mode or settings.openapi_public):
            lines.insert(3, f"  API:      http://{settings.host}:{self._listeners.port}/docs")
        self._output.answer(document, "\n".join(lines))


def serve(spec: AppSpec, project: Project, listeners: Listeners, announcement: Announcement, output: Output) -> int:
    """Run the server until it is stopped; what keeps it from starting becomes a finding."""
    from pylon.server import run as run_server

    try:
        return int(run_server(spec, project.settings, listeners, reload_channel=announcement))
    except PylonError as error:
        output.report([failure(error.code, error.message, error.hint)])
        return Exit.FAILED
