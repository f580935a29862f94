"""Writes the reference pages that come from code: `python -m pylon.cli.reference docs/reference`.

The commands, variables and codes are described once, where they are implemented; a test holds the pages equal to this.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pylon.cli.codes import CODES
from pylon.cli.commands import COMMANDS, Command, parser_of
from pylon.cli.exits import Exit
from pylon.model.errors import REGISTRY
from pylon.oauth_settings import BUILTIN, SUFFIXES
from pylon.settings import RETIRED, VARIABLES

_MADE = "<!-- Written by `make docs` from the code. Do not edit. -->"


def cli_page() -> str:
    """Every command with its options."""
    exits = [
        (Exit.OK, "It went well."),
        (Exit.FAILED, "Something was checked or tried and is not well."),
        (Exit.USAGE, "The command line is wrong."),
        (Exit.UNAVAILABLE, "No server answers."),
    ]
    parts = [
        _MADE,
        "# Commands",
        "`--json` works with every command: one JSON document per line on stdout; failures are an array of\n"
        '`{"severity", "code", "message", "hint"?, "file"?, "line"?}`. For people, errors go to stderr. `NO_COLOR`\n'
        "and `TERM=dumb` turn colour off. Every code is explained by `pylon explain CODE`.",
        _table(("exit code", "meaning"), [(str(int(code)), meaning) for code, meaning in exits]),
        *(_command(command) for command in COMMANDS),
    ]
    return "\n\n".join(parts) + "\n"


def env_page() -> str:
    """Every variable."""
    rows = []
    for variable in VARIABLES:
        default = _code(variable.default)
        if variable.dev_default != variable.default:
            default += f"; in dev mode {_code(variable.dev_default)}"
        text = variable.description + (" Secret: never shown or logged." if variable.secret else "")
        rows.append((f"`{variable.name}`", default, text))
    parts = [
        _MADE,
        "# Environment variables",
        "`pylon env` prints them with the values in force. A malformed or unsafe value refuses to start and names the\n"
        "variable; an unknown `PYLON_` name is a warning with the nearest real one. An empty value counts as unset.\n"
        "Switches take `1`, `true`, `yes`, `on` and `0`, `false`, `no`, `off`.",
        "Options of a command win over the environment, and that wins over `.env.local`, then `.env`, which are\n"
        "looked for beside the app and in the folders above; the first folder that has one of them is taken.",
        _table(("variable", "default", "meaning"), rows),
        "## Providers to sign in with",
        "Each provider has variables of its own name, one of "
        + ", ".join(f"`{name.upper()}`" for name in BUILTIN)
        + ",\nor another with an `OIDC_ISSUER`. See [signing in elsewhere](../guide/oauth.md).",
        _table(("variable", "meaning"), [(f"`PYLON_OAUTH_<NAME>_{name}`", text) for name, text in SUFFIXES.items()]),
        "## No longer used",
        _table(("variable", "instead"), [(f"`{name}`", f"{text}.") for name, text in RETIRED.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def errors_page() -> str:
    """Every code, of the server and of the command line."""
    served = [
        (f"`{code}`", str(entry.status), entry.summary, entry.fix)
        for code, entry in sorted(REGISTRY.items(), key=lambda item: (item[1].status, item[0]))
    ]
    own = [(f"`{code}`", entry.summary, entry.fix) for code, entry in sorted(CODES.items())]
    parts = [
        _MADE,
        "# Error codes",
        'Every error a server answers with is `{"error": {"code", "message", "hint"?}}`. Codes are stable: match on\n'
        "them, never on messages. `pylon explain CODE` prints an entry of this page.",
        "## Of the server",
        _table(("code", "status", "what happened", "what to do"), served),
        "## Of the command line",
        _table(("code", "what happened", "what to do"), own),
    ]
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "env.md": env_page, "errors.md": errors_page}


def _command(command: Command) -> str:
    module = importlib.import_module(command.module)
    parser = parser_of(command, module)
    rows = list(_options(parser, ""))
    return f"## pylon {command.name}\n\n{str(module.__doc__).strip()}\n\n{_table(('option', 'meaning'), rows)}"


def _options(parser: argparse.ArgumentParser, before: str) -> Iterator[tuple[str, str]]:
    """The options of a command, and those of its subcommands behind their names."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield f"`{before}{name}`", helps.get(name, "")
                yield from _options(inner, f"{before}{name} ")
        elif not isinstance(action, argparse._HelpAction):
            names = action.option_strings or [action.metavar if isinstance(action.metavar, str) else action.dest]
            yield ", ".join(f"`{before}{name}`" for name in names), action.help or ""


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    """A plain value as code; a description as it is."""
    return text if " " in text or text == "unset" else f"`{text}`"


def main(folder: Path) -> int:
    """Write every page that is not up to date; the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")
        print(folder / name)
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
