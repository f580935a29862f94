"""Serve an app on this machine and reload it on every save. A broken save never stops what is being served: the error
is shown here and in open browsers until the file is mended. Port, host and data folder are read once."""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure, finding
from pylon.cli.project import (
    DEV_DEFAULTS,
    Project,
    add_serving_options,
    open_project,
    report_load_error,
    report_settings_error,
)
from pylon.listeners import ListenError, bind
from pylon.loading import EntryNotFoundError, LoadError, NoEntryError
from pylon.model.findings import Severity
from pylon.settings import SettingsError


def configure(parser: argparse.ArgumentParser) -> None:
    add_serving_options(parser)
    parser.add_argument("--once", action="store_true", help="build and check the app, then exit")


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        project = open_project(options, DEV_DEFAULTS)
        if options.once:
            return _once(project, output)
        return _serve(options, project, output)
    except SettingsError as error:
        report_settings_error(error, output)
    except ListenError as error:
        output.report([failure("LISTEN_FAILED", str(error))])
    except LoadError as error:
        report_load_error(error, "DEV", output)
        if isinstance(error, NoEntryError):
            return Exit.USAGE
        if not isinstance(error, EntryNotFoundError):
            output.note("The app is broken; nothing was started.")
    return Exit.FAILED


def _once(project: Project, output: Output) -> int:
    from pylon.cli.check import counted, examine, inventory

    spec, warnings = examine(project)
    document = {"code": "DEV_OK", "entry": str(project.entry)} | inventory(spec)
    if warnings:
        output.note("\n".join(f"  warning[{w.code}] {w}" for w in warnings))
    output.answer(
        document | {"warnings": [w.message for w in warnings]},
        f"OK: {spec.name} v{spec.version}: {counted(spec)}",
    )
    return Exit.OK


def _serve(options: argparse.Namespace, project: Project, output: Output) -> int:
    import asyncio
    import signal

    from pylon.cli import envfile
    from pylon.cli.narration import Narration
    from pylon.cli.supervisor import DevSupervisor

    listeners = bind(project.settings)
    output.report([finding(Severity.WARNING, "PORT_UNAVAILABLE", warning) for warning in listeners.warnings])
    settings = project.settings
    child_options = {
        "app": options.app,
        "port": str(listeners.port),
        "host": settings.host,
        "data_dir": str(settings.data_dir.absolute()),
    }
    narration = Narration(output, listeners, settings.data_dir.absolute())

    async def supervise() -> int:
        folder = project.entry.folder
        env_files = envfile.find(folder)
        code = await DevSupervisor(folder, child_options, listeners, env_files, narration).run()
        # The loop gives up its handlers as it closes: the second signal of one wish would end the process by default.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        return code

    try:
        return asyncio.run(supervise())
    finally:
        listeners.close()
