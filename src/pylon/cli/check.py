"""Check what an app declares, without serving it: imports it, checks every entity, policy and function, and tries the
schema on a copy of the database where there is one."""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.project import Project, add_data_dir, open_project, report_load_error
from pylon.cli.rehearsal import rehearse
from pylon.loading import LoadError, load
from pylon.model.diagnostics import check
from pylon.model.errors import PylonError
from pylon.model.findings import DeclarationError, Diagnostic, Severity
from pylon.model.schema import AppSpec


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", help="app.py, a folder, module:attribute or pylon.manifest.json")
    add_data_dir(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    try:
        project = open_project(options, {})
        spec, warnings = examine(project)
    except LoadError as error:
        report_load_error(error, "CHECK", output)
        return exit_of(error)
    document = {"code": "SCHEMA_OK"} | inventory(spec) | {"warnings": [w.message for w in warnings]}
    if warnings:
        # In JSON the answer carries them; for people they come first.
        output.note("\n".join(f"  warning[{w.code}] {w}" for w in warnings))
    output.answer(document, f"  info[SCHEMA_OK] Schema valid: {counted(spec)}")
    return Exit.OK


def examine(project: Project) -> tuple[AppSpec, list[Diagnostic]]:
    """Load the app, check its policies, and rehearse its schema on the live database; the app and what to warn of.
    Raises LoadError."""
    spec, warnings = examine_app(project)
    try:
        rehearse(spec, project.settings)
    except PylonError as error:
        raise LoadError((failure(error.code, error.message, error.hint),)) from error
    return spec, warnings


def examine_app(project: Project) -> tuple[AppSpec, list[Diagnostic]]:
    """The same without a look at the database."""
    from pylon.server import compile_plans

    spec = load(project.entry)
    try:
        compile_plans(spec)
    except DeclarationError as error:
        raise LoadError(error.diagnostics) from error
    except PylonError as error:
        raise LoadError((failure(error.code, error.message, error.hint),)) from error
    return spec, [found for found in check(spec) if found.severity is Severity.WARNING]


def exit_of(error: LoadError) -> Exit:
    """64 when there was nothing to load, 1 when what there was is broken."""
    from pylon.loading import NoEntryError

    return Exit.USAGE if isinstance(error, NoEntryError) else Exit.FAILED


def inventory(spec: AppSpec) -> dict[str, object]:
    """What the app declares, by name."""
    functions = {kind: [f.name for f in spec.functions if f.kind == kind] for kind in ("query", "mutation", "action")}
    return {
        "name": spec.name,
        "version": spec.version,
        "entities": [entity.name for entity in spec.entities],
        "queries": [*(str(query["name"]) for query in spec.queries), *functions["query"]],
        "mutations": functions["mutation"],
        "actions": [*(str(action["name"]) for action in spec.actions), *functions["action"]],
        "policies": [policy.name for policy in spec.policies],
        "rooms": [room.pattern for room in spec.rooms],
        "routes": [str(route["path"]) for route in spec.routes],
    }


def counted(spec: AppSpec) -> str:
    """`3 entities, 1 query, 2 mutations, 0 actions, 3 policies`."""
    words = {
        "entities": "entity",
        "queries": "query",
        "mutations": "mutation",
        "actions": "action",
        "policies": "policy",
    }
    sizes = {plural: len(names) for plural, names in inventory(spec).items() if isinstance(names, list)}
    return ", ".join(f"{sizes[plural]} {one if sizes[plural] == 1 else plural}" for plural, one in words.items())
