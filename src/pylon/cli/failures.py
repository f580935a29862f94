"""What a command did not catch, told as people read it. Imported with the first failure: a command pays nothing."""

from __future__ import annotations

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import report_load_error, report_settings_error
from pylon.cli.remote import RemoteError, report_remote_error
from pylon.loading import LoadError
from pylon.model.errors import PylonError
from pylon.settings import SettingsError


def tell_failure(error: Exception, output: Output) -> int:
    """Report malformed settings, an app that can't be loaded, a server that refuses or is away, and whatever else has a
    code; the exit code. Raises anything else again: it is a fault of ours."""
    match error:
        case RemoteError():
            return report_remote_error(error, output)
        case SettingsError():
            report_settings_error(error, output)
        case LoadError():
            report_load_error(error, "CHECK", output)
        case PylonError():
            output.report([failure(error.code, error.message, error.hint)])
        case _:
            raise error
    return Exit.FAILED
