"""The codes that the command line itself reports. Codes that a server answers with are in `pylon.model.errors`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandCode:
    """What happened, and what to do next."""

    summary: str
    fix: str


_NAME_IT = "Name the file (`pylon dev path/to/app.py`), or make an app with `pylon init my-app`."
_PATHS = "Paths are relative to the folder that the command runs in."

CODES: dict[str, CommandCode] = {
    "USAGE": CommandCode("The command line is wrong.", "`pylon <command> --help` lists the options."),
    "UNKNOWN_COMMAND": CommandCode("There is no such command.", "`pylon --help` lists the commands."),
    "SERVER_UNREACHABLE": CommandCode(
        "No server answers where the command looked.", "Start it, or name its address with --url or PYLON_URL."
    ),
    "AUDIT_BROKEN": CommandCode(
        "The audit log is not what was written: something was changed, removed or cut off.",
        "Keep the database as it is, compare it with a backup from before, and treat it as an incident.",
    ),
    "REENCRYPT_FAILED": CommandCode(
        "Sealing encrypted fields anew stopped before its end.",
        "Mend what the message says, often a key that is missing, and run `pylon keys reencrypt` again: it goes on.",
    ),
    "START_OK": CommandCode("The server is serving.", "Nothing."),
    "START_NO_ENTRY": CommandCode("`pylon start` found no app in this folder.", _NAME_IT),
    "START_ENTRY_NOT_FOUND": CommandCode("The file given to `pylon start` does not exist.", _PATHS),
    "START_FAILED": CommandCode("The server stopped while it started.", "The message says why."),
    "OPENAPI_OK": CommandCode("The description of the API was written.", "Nothing."),
    "OPENAPI_NO_ENTRY": CommandCode("`pylon openapi` found no app in this folder.", _NAME_IT),
    "OPENAPI_ENTRY_NOT_FOUND": CommandCode("The file given to `pylon openapi` does not exist.", _PATHS),
    "CODEGEN_CLIENT": CommandCode("What clients know of the app was written.", "Nothing."),
    "CODEGEN_OPTION": CommandCode("An option of `pylon codegen` that the language has no use for.", "Leave it out."),
    "CODEGEN_STALE": CommandCode(
        "The written file is not what the app declares now.", "Run `pylon codegen client` and commit what it writes."
    ),
    "CODEGEN_NO_ENTRY": CommandCode("`pylon codegen` found no app in this folder.", _NAME_IT),
    "CODEGEN_ENTRY_NOT_FOUND": CommandCode("The file given to `pylon codegen` does not exist.", _PATHS),
    "DEV_OK": CommandCode("The app was built and is being served.", "Nothing."),
    "DEV_ERROR": CommandCode(
        "The saved app is broken; the previous one goes on serving.", "Fix the finding that the message names and save."
    ),
    "DEV_NO_ENTRY": CommandCode("`pylon dev` found no app in this folder.", _NAME_IT),
    "DEV_ENTRY_NOT_FOUND": CommandCode("The file given to `pylon dev` does not exist.", _PATHS),
    "DEV_STOPPED": CommandCode(
        "The server ended by itself; it is started again.", "Look at the log lines above the message."
    ),
    "DEV_WATCH_FAILED": CommandCode(
        "The system can't watch this folder for changes; it is polled instead.",
        "Raise the system's limit of file watches (on Linux fs.inotify.max_user_watches).",
    ),
    "CHECK_NO_ENTRY": CommandCode("`pylon check` found no app in this folder.", _NAME_IT),
    "CHECK_ENTRY_NOT_FOUND": CommandCode("The file given to `pylon check` does not exist.", _PATHS),
    "SCHEMA_OK": CommandCode("What the app declares is valid.", "Nothing."),
    "SCHEMA_DIFF": CommandCode("What a start of the app would change in the database.", "`pylon schema push` does it."),
    "PUSH_DRY_RUN": CommandCode("What `pylon schema push` would change.", "Leave --dry-run out to do it."),
    "PUSH_APPLIED": CommandCode("The database holds what the app declares.", "Nothing."),
    "PURGE_REFUSED": CommandCode("A user would be erased for good, and nobody agreed.", "Agree, or add --yes."),
    "PUSH_PREPARED": CommandCode(
        "A server uses the data, so what takes long was prepared beside it.",
        "Start the new version: the rest is short.",
    ),
    "PUSH_BLOCKED": CommandCode(
        "Something would be dropped with what it holds, and nobody agreed.",
        "Agree, or add --yes; a backup comes first.",
    ),
    "MIGRATION_CREATED": CommandCode("A file for a migration was made.", "Write its steps."),
    "MIGRATIONS_APPLIED": CommandCode("The migrations that were pending are applied.", "Nothing."),
    "MIGRATIONS_PENDING": CommandCode(
        "Migrations beside the app are not applied to its data.", "Stop the server, `pylon migrate apply`, start it."
    ),
    "MIGRATION_ROLLED_BACK": CommandCode("The last migration was undone.", "Nothing."),
    "MIGRATION_NONE": CommandCode("There is no migration to undo.", "`pylon migrate status` lists them."),
    "HISTORY_INVALID_LIMIT": CommandCode("--limit is not a number of entries.", "Give a number from 1 on."),
    "HISTORY_ENTRY_NOT_FOUND": CommandCode(
        "There is no such entry in the record of schema changes.", "`pylon schema history` lists them."
    ),
    "APP_SYNTAX_ERROR": CommandCode("Python can't read the app's file.", "Look at the named line and the one above."),
    "APP_IMPORT_FAILED": CommandCode(
        "The app's file raised an exception while it was imported.", "Run it with `python app.py` for the traceback."
    ),
    "APP_NOT_FOUND": CommandCode("The file makes no App, or none of that name.", 'Write `app = App("my-app")` in it.'),
    "APP_AMBIGUOUS": CommandCode("The file makes several Apps.", "Name one: `pylon start app.py:app`."),
    "APP_NOT_PYTHON": CommandCode("The file is neither Python nor a manifest.", "Name a .py or .json file."),
    "MANIFEST_READ_FAILED": CommandCode("The manifest file can't be read.", "Check its permissions."),
    "SETTINGS_INVALID": CommandCode(
        "An environment variable is malformed, or unsafe outside dev mode.",
        "The message names it and its mend; `pylon env` lists all of them.",
    ),
    "SETTING_UNKNOWN": CommandCode(
        "A PYLON_ variable is set that Pylon does not read.", "Correct its name or remove it; `pylon env` lists them."
    ),
    "LISTEN_FAILED": CommandCode("The HTTP port can't be bound.", "Choose another with --port, or free it."),
    "PORT_UNAVAILABLE": CommandCode(
        "An extra port for older clients can't be bound; the server runs without it.",
        "Free it, or turn the extra ports off with PYLON_EXTRA_PORTS=0.",
    ),
    "INIT_OK": CommandCode("The app was made.", "Nothing."),
    "INIT_NO_PATH": CommandCode("`pylon init` was given no path.", "Write `pylon init my-app`."),
    "INIT_INVALID_NAME": CommandCode(
        "The last part of the path is no name for an app.",
        "Start with a letter; use letters, digits, '-' and '_'.",
    ),
    "INIT_DIR_EXISTS": CommandCode("The folder is not empty.", "Choose another path."),
    "INIT_WRITE_FAILED": CommandCode("The files can't be written.", "Check the folder's permissions and the disk."),
    "INIT_UNKNOWN_TEMPLATE": CommandCode("There is no such template.", "`pylon init --help` lists them."),
    "CAPTURE_FAILED": CommandCode(
        "The bundle of an incident is not whole.", "Capture again; what arrived is kept, each file for itself."
    ),
    "DATA_UNREADABLE": CommandCode(
        "No server answers, and the data folder has no database that can be read.",
        "Name the folder with --data-dir, or the server with --url.",
    ),
    "FILE_FAILED": CommandCode("A file can't be read or written.", "Check the path, its permissions and the disk."),
    "INTERRUPTED": CommandCode(
        "A playbook was stopped before its end.", "Run it again: it goes on with the step that it stopped at."
    ),
    "STEP_FAILED": CommandCode(
        "A step of a playbook did not do what it is for; the others go on.",
        "The message says why. Run the playbook again: it tries the step again.",
    ),
    "IMPORT_OK": CommandCode("The rows were imported.", "Nothing; what was refused is listed, if anything was."),
    "EXPORT_OK": CommandCode("The rows were exported.", "Nothing."),
    "SEED_OK": CommandCode("The rows of the file were inserted.", "Nothing."),
    "SEED_PARTIAL": CommandCode("Some rows of the file were refused.", "Each is listed with its reason."),
    "SEED_INSERT_FAILED": CommandCode("A row of the file was refused.", "The message names the row and the reason."),
    "SEED_FILE_INVALID": CommandCode(
        "The seed file can't be read or has another form.", 'It holds {"Entity": [{row}, …]}; name it with --file.'
    ),
    "LINT_OK": CommandCode("The policies have no findings.", "Nothing."),
    "LINT_FOUND": CommandCode("Policies are probably not what is meant.", "Each finding names its fix."),
    "POLICY_CASES_OK": CommandCode("Every case of the file passes.", "Nothing."),
    "POLICY_CASE_FAILED": CommandCode(
        "A policy decides otherwise than the case expects.", "The message says why; mend the policy, or the case."
    ),
    "POLICY_CASES_INVALID": CommandCode("The file of cases can't be read.", "The message names what is wrong in it."),
    "LEAKS_NONE": CommandCode("No row showed to somebody who may not read it.", "Nothing."),
    "LEAK_FOUND": CommandCode(
        "A row, a value or a number showed to somebody who may not read it, or a readable row did not show.",
        "Run it again with the seed that is told; if it is the app's policy, mend that, else report it.",
    ),
    "TESTS_FAILED": CommandCode("The app's tests failed.", "Mend them, and ask again."),
    "TESTS_NONE": CommandCode("The app has no tests.", "Write some, as docs/guide/testing.md shows."),
    "COVERAGE_LOW": CommandCode("Tests ask fewer rules than --min demands.", "The list names the rules never asked."),
    "TESTS_MISSING": CommandCode(
        "pytest is not installed.", "`pip install pytest`, or run `pylon test --leaks` alone."
    ),
    "BACKUP_OK": CommandCode("The backup was taken.", "Nothing; `pylon backup verify` checks it again."),
    "BACKUP_VERIFIED": CommandCode("The backup is whole.", "Nothing."),
    "RESTORE_OK": CommandCode("The backup was restored.", "Start the server; the data of before is kept aside."),
    "RESTORE_PASSED_OVER": CommandCode(
        "A newer backup does not verify; an older one is restored.", "Find out what damaged it."
    ),
    "RESTORE_ENDS_EARLIER": CommandCode(
        "The archive ends before the time that was asked for.", "Changes after its end are not in the restored data."
    ),
    "RESTORE_UNKNOWN_ENTITY": CommandCode(
        "Archived changes are of entities that the app does not declare; their rows were left out.",
        "Name the app's version of that time with --app.",
    ),
    "EXPLAIN_UNKNOWN": CommandCode("There is no such code.", "`pylon explain` lists them."),
}
"""Every code of the command line, with what `pylon explain` says about it."""
