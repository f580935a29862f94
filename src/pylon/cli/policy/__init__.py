"""Look at policies: what they decide and why, what is probably not meant, and whether they decide as you wrote down.

    pylon policy lint
    pylon policy test "auth.userId == data.author" --auth userId=ada --row '{"author":"ada"}'
    pylon policy test
    pylon policy explain Note --as ada --row 0000…01 --action update
    pylon policy coverage --min 80

`test` with an expression tries it on one row (exit 0 allow, 1 deny); without, it tries the cases that stand in
`policies.test.toml` or `policies.test.json` beside the app. `explain` asks a running server, as an admin.
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.remote import add_remote_options
from pylon.model.schema import Action

_ACTIONS = "lint|test|explain|coverage"
_APP = "app.py, a folder, module:attribute or pylon.manifest.json"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar=_ACTIONS)
    lint = actions.add_parser("lint", help="find what is probably not meant")
    lint.add_argument(
        "--ignore", action="append", default=[], metavar="ID", help="PYL007, or PYL007:Note for one entity"
    )
    test = actions.add_parser("test", help="try an expression on a row, or the cases that stand beside the app")
    test.add_argument("expression", nargs="?", help="without one: the cases of policies.test.toml or .json")
    test.add_argument(
        "--auth", default="", metavar="K=V,…", help="userId, isAdmin, isGuest, tenantId, email, roles=a|b"
    )
    test.add_argument("--row", metavar="JSON", help="the row that it is tried on")
    test.add_argument("--file", help="the cases (default: policies.test.toml or .json beside the app)")
    explain = actions.add_parser("explain", help="tell which part of a rule decided, and on what values")
    explain.add_argument("entity")
    explain.add_argument("--as", dest="user", metavar="USER", help="who asks (nobody without it)")
    explain.add_argument("--role", action="append", default=[], help="a role of theirs; more than once for more")
    explain.add_argument("--tenant", help="their active tenant")
    explain.add_argument("--email", help="their address")
    explain.add_argument("--guest", action="store_true", help="they are a guest")
    explain.add_argument("--row", metavar="ID", help="a stored row")
    explain.add_argument("--data", metavar="JSON", help="a row that needn't be stored")
    explain.add_argument("--new", default="{}", metavar="JSON", help="what an update would set")
    explain.add_argument("--action", dest="what", choices=[a.value for a in Action], default="read")
    add_remote_options(explain)
    coverage = actions.add_parser("coverage", help="run the app's tests and tell which rules they never asked")
    coverage.add_argument("words", nargs="*", metavar="PYTEST", help="what pytest is given")
    coverage.add_argument("--min", type=float, default=0.0, metavar="PERCENT", help="fail below this share of rules")
    for local in (lint, test, coverage):
        local.add_argument("--app", help=_APP)


def run(options: argparse.Namespace, output: Output) -> int:
    from pylon.cli.policy import covering, explaining, linting, trying
    from pylon.policy.rules import PolicyError

    commands = {"lint": linting.run, "test": trying.run, "explain": explaining.run, "coverage": covering.run}
    try:
        return commands[options.action](options, output)
    except PolicyError as error:
        output.report([failure("MANIFEST_INVALID", str(error), "The guide on policies lists what a rule may name.")])
        return Exit.FAILED
