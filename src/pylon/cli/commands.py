"""The table of commands, and how a command line is matched to one of them."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it is called, the module that does it, and one line about it."""

    name: str
    module: str
    summary: str


COMMANDS: tuple[Command, ...] = (
    Command("init", "pylon.cli.init", "Make a new app in a new folder"),
    Command("dev", "pylon.cli.dev", "Serve an app and reload it on every save"),
    Command("start", "pylon.cli.start", "Serve an app in production"),
    Command("check", "pylon.cli.check", "Check what an app declares, without serving it"),
    Command("schema", "pylon.cli.schema", "Compare what is declared with the database, and change it"),
    Command("migrate", "pylon.cli.migrate", "Apply, follow and undo an app's own migrations"),
    Command("codegen", "pylon.cli.codegen", "Write an app's rows and functions as types for clients"),
    Command("openapi", "pylon.cli.openapi", "Write an app's API as OpenAPI 3.1"),
    Command("backup", "pylon.cli.backup", "Take a backup, verify one, or list those there are"),
    Command("restore", "pylon.cli.restore", "Restore a backup, as it was or at a point in time"),
    Command("import", "pylon.cli.importing", "Import rows from NDJSON, CSV or JSON, and go on where it stopped"),
    Command("export", "pylon.cli.exporting", "Export rows as NDJSON, CSV or JSON"),
    Command("seed", "pylon.cli.seed", "Fill a server with the rows of seed.json"),
    Command("policy", "pylon.cli.policy", "Try, explain and check policies"),
    Command("test", "pylon.cli.testing", "Run an app's tests, or look for rows that leak"),
    Command("doctor", "pylon.cli.doctor", "Look for what would go wrong on this machine"),
    Command("maintenance", "pylon.cli.maintenance", "Answer 503 to everybody but admins, or stop"),
    Command("switch", "pylon.cli.switch", "Stop one entity, function, user, address or door"),
    Command("flag", "pylon.cli.flag", "Turn features on for some users or all"),
    Command("webhooks", "pylon.cli.webhooks", "List, add and retry webhooks"),
    Command("admin", "pylon.cli.admin", "Make, rotate and revoke admin tokens; end sessions"),
    Command("keys", "pylon.cli.keys", "See, make and change the keys of encrypted fields"),
    Command("audit", "pylon.cli.audit", "Ask who wrote what and who was shown what"),
    Command("mail", "pylon.cli.mail", "See what mail waits and why, send it again, or send a test"),
    Command("user", "pylon.cli.user", "Export everything of a user, or erase it"),
    Command("tasks", "pylon.cli.tasks", "Tell how the background tasks do"),
    Command("usage", "pylon.cli.usage", "Tell what was used, and who used most"),
    Command("budget", "pylon.cli.budget", "Limit what may be used per day or month"),
    Command("incident", "pylon.cli.incident", "Note, capture and report what went wrong"),
    Command("logs", "pylon.cli.logs", "Show what a running server logged lately"),
    Command("log-level", "pylon.cli.log_level", "Show or change the level that a running server logs from"),
    Command("env", "pylon.cli.env", "List every environment variable and its effective value"),
    Command("top", "pylon.cli.top", "Watch a running server live, and throttle who is too loud"),
    Command("fanout", "pylon.cli.fanout", "See what is broadcast, and slow an entity down"),
    Command("sockets", "pylon.cli.sockets", "List, bounce or kick live connections"),
    Command("checkpoint", "pylon.cli.checkpoint", "Move the write-ahead log into the database"),
    Command("explain", "pylon.cli.explain", "Tell what an error code means and what to do"),
    Command("version", "pylon.cli.version", "Print the version"),
)

_ALIASES = {"schema check": "check", "help": ""}
_NEAR = 3

GROUP = "pylon.commands"


class UsageError(Exception):
    """The command line is wrong: exit 64."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors as exceptions instead of an exit of its own."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].lower()}{message[1:]}\n{self.format_usage().strip()}")


def split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command's name, the first word that is not an option, and everything else. A name may be two words."""
    for position, word in enumerate(words):
        if not word.startswith("-"):
            pair = " ".join(words[position : position + 2])
            taken = 2 if pair in _ALIASES else 1
            name = pair if taken == 2 else word
            return name, [*words[:position], *words[position + taken :]]
    return None, list(words)


def find(name: str) -> Command | None:
    """The command of that name or alias."""
    name = _ALIASES.get(name, name)
    return next((command for command in COMMANDS if command.name == name), None)


def installed(name: str) -> Command | None:
    """A command that an installed package offers: an entry point of this name in the group `pylon.commands` that leads
    to a module like those here. Looked for only when no command of ours has the name, which always win."""
    import importlib.metadata

    points = list(importlib.metadata.entry_points(group=GROUP, name=name))
    return Command(name, points[0].module, "") if points else None


def without_name(words: Sequence[str], output: Output) -> int:
    """`pylon`, `pylon --help`, `pylon --version`; other options need a command."""
    if "--version" in words or "-V" in words:
        return call(cast("Command", find("version")), [], output)
    strange = [word for word in words if word not in ("--help", "-h")]
    if strange:
        output.report([failure("USAGE", f"{strange[0]} needs a command", "`pylon --help` lists them.")])
        return Exit.USAGE
    output.answer({"commands": [{"name": c.name, "summary": c.summary} for c in COMMANDS]}, help_text(output))
    return Exit.OK


def unknown(name: str, output: Output) -> int:
    """Say so, and name the nearest command."""
    if name == "help":
        return without_name([], output)
    near = min(COMMANDS, key=lambda command: distance(name, command.name))
    hint = f"Did you mean: {near.name}?" if distance(name, near.name) <= _NEAR else None
    output.report([failure("UNKNOWN_COMMAND", f'unknown command: "{name}"', hint)])
    output.note("\n" + help_text(output))
    return Exit.USAGE


def call(command: Command, words: Sequence[str], output: Output) -> int:
    """Import the command, parse its options and run it; failures become findings."""
    module = importlib.import_module(command.module)
    parser = parser_of(command, module)
    try:
        options = parser.parse_args(_json_first(words))
    except UsageError as error:
        output.report([failure("USAGE", str(error), f"`pylon {command.name} --help` lists the options.")])
        return Exit.USAGE
    except SystemExit:  # argparse has printed the help
        return Exit.OK
    run = cast("Callable[[argparse.Namespace, Output], int]", module.run)
    try:
        return int(run(options, output))
    except Exception as error:
        from pylon.cli.failures import tell_failure

        return tell_failure(error, output)


def _json_first(words: Sequence[str]) -> list[str]:
    """`--json` is the command's own option, also where it stands behind a subcommand."""
    rest = [word for word in words if word != "--json"]
    return ["--json", *rest] if len(rest) < len(words) else rest


def parser_of(command: Command, module: Any) -> Parser:
    """The parser of a command, as its module configures it."""
    parser = Parser(
        prog=f"pylon {command.name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.configure(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one document per line")
    return parser


def help_text(output: Output) -> str:
    """What `pylon --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name.ljust(width)}  {command.summary}" for command in COMMANDS]
    return "\n".join(
        [
            output.heading("pylon: a realtime backend in one process"),
            "",
            "usage: pylon <command> [options]",
            "",
            *lines,
            "",
            "`pylon <command> --help` lists the options of one. `--json` works with every command.",
        ]
    )


def distance(one: str, other: str) -> int:
    """Edit distance (insert, delete, replace)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
