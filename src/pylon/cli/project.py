"""What every command needs to know of the app at hand: its entry, and the settings in force for it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pylon.cli import envfile
from pylon.cli.output import Output, failure, finding
from pylon.loading import Entry, EntryNotFoundError, LoadError, NoEntryError, find_entry
from pylon.model.findings import Diagnostic, Severity
from pylon.settings import Problem, Settings, SettingsError, unknown_variables

DEV_DEFAULTS = {"PYLON_DEV_MODE": "1", "PYLON_HOST": "127.0.0.1"}
"""What `pylon dev` assumes unless the environment says otherwise. In dev mode any page and anybody who reaches the port
can act as any user, so only this machine reaches it."""


@dataclass(frozen=True, slots=True)
class Project:
    """An app's entry, the environment with env files and options merged in, and the settings read from that."""

    entry: Entry
    environ: dict[str, str]
    settings: Settings


def add_serving_options(parser: argparse.ArgumentParser) -> None:
    """The options that `dev` and `start` share."""
    parser.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    parser.add_argument("-p", "--port", help="HTTP port (PYLON_PORT, default 4321; 0 takes a free one)")
    parser.add_argument("--host", help="address to listen on (PYLON_HOST)")
    add_data_dir(parser)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", help="folder of the database (PYLON_DATA_DIR, default .pylon beside the app)")


def open_project(options: argparse.Namespace, defaults: Mapping[str, str], *, folder: Path | None = None) -> Project:
    """Find the app and read its settings: options win over the environment, that over env files, those over
    `defaults`. Raises LoadError and SettingsError."""
    here = folder or Path.cwd()
    entry = find_entry(getattr(options, "app", None), here)
    return Project(entry, *settings_for(options, defaults, here, entry.folder))


def settings_for(
    options: argparse.Namespace, defaults: Mapping[str, str], here: Path, app_folder: Path
) -> tuple[dict[str, str], Settings]:
    """The merged environment and the settings in it. Env files are looked for from the app's folder upwards, or from
    `here` when there are none."""
    start = app_folder if envfile.find(app_folder) else here
    environ = envfile.merged(os.environ, start)
    for option, variable in (("port", "PYLON_PORT"), ("host", "PYLON_HOST"), ("data_dir", "PYLON_DATA_DIR")):
        given = getattr(options, option, None)
        if given is not None:
            environ[variable] = str(given)
    for name, value in defaults.items():
        if not environ.get(name):
            environ[name] = value
    if not environ.get("PYLON_DATA_DIR"):
        environ["PYLON_DATA_DIR"] = str(app_folder / ".pylon")
    return environ, Settings.load(environ)


def report_load_error(error: LoadError, prefix: str, output: Output) -> None:
    """Show why an app can't be loaded; `prefix` is the command's (`START`), as in START_NO_ENTRY."""
    if isinstance(error, (NoEntryError, EntryNotFoundError)):
        output.report([failure(f"{prefix}_{d.code}", d.message, d.hint) for d in error.diagnostics])
    else:
        output.report(error.diagnostics)


def report_settings_error(error: SettingsError, output: Output) -> None:
    """Show every malformed or unsafe variable."""
    output.report([_told(Severity.ERROR, "SETTINGS_INVALID", problem) for problem in error.problems])


def unknown_findings(environ: Mapping[str, str]) -> list[Diagnostic]:
    """A warning for each PYLON_ variable that has no effect."""
    return [_told(Severity.WARNING, "SETTING_UNKNOWN", problem) for problem in unknown_variables(environ)]


def _told(severity: Severity, code: str, problem: Problem) -> Diagnostic:
    return finding(severity, code, f"{problem.variable}: {problem.what}", f"{problem.mend}.")
