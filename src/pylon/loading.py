"""Finds and loads an app: `app.py`, any other file, `module:attribute`, or a `pylon.manifest.json`, as an AppSpec.

Whatever goes wrong becomes one LoadError whose diagnostics name the file and the line in the developer's own code; our
frames and a traceback are never what they see first.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from pylon.discovery import with_discovered
from pylon.model.findings import DeclarationError, Diagnostic, Severity, Span

if TYPE_CHECKING:
    from pylon.model.schema import AppSpec

CANDIDATES: Final = ("app.py", "pylon.manifest.json")
"""What a folder is searched for, in this order."""


class LoadError(Exception):
    """The app can't be loaded. `diagnostics` holds every finding; the first one is the reason."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(str(finding) for finding in diagnostics))
        self.diagnostics = diagnostics


class NoEntryError(LoadError):
    """No file was named and the folder holds none."""


class EntryNotFoundError(LoadError):
    """The named file does not exist."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an app is declared: a file, or a module found on the path; `attribute` names the App in it."""

    folder: Path
    file: Path | None = None
    module: str | None = None
    attribute: str | None = None

    @property
    def is_manifest(self) -> bool:
        return self.file is not None and self.file.suffix == ".json"

    def __str__(self) -> str:
        named = str(self.file) if self.file is not None else str(self.module)
        return f"{named}:{self.attribute}" if self.attribute else named


def find_entry(target: str | None, folder: Path) -> Entry:
    """The entry that `target` names, relative to `folder`; without a target, the first of CANDIDATES there. A folder as
    target is searched the same way. Raises NoEntryError or EntryNotFoundError."""
    if target is None:
        return _search(folder)
    file, attribute = _split(target)
    path = (folder / file).absolute()
    if path.is_dir():
        return _search(path)
    if path.is_file():
        return Entry(folder=path.parent, file=path, attribute=attribute)
    if attribute is not None and not file.endswith((".py", ".json")) and "/" not in file:
        return Entry(folder=folder.absolute(), module=file, attribute=attribute)
    raise EntryNotFoundError(
        (_error("ENTRY_NOT_FOUND", f"There is no {target}", f"Paths are relative to {folder.absolute()}."),)
    )


def load(entry: Entry) -> AppSpec:
    """Import or read the app, with the plugins that its manifest or the installed packages add, and check what it
    declares. Raises LoadError."""
    try:
        spec = _read_manifest(entry) if entry.is_manifest else _app_of(_import(entry), entry).spec()
        return with_discovered(spec)
    except LoadError:
        raise
    except DeclarationError as error:
        raise LoadError(_located(error, entry)) from error
    except SyntaxError as error:
        raise LoadError((_syntax(error, entry),)) from error
    except (Exception, SystemExit) as error:  # the developer's module may raise anything at all while it is imported
        raise LoadError((_import_failed(error, entry),)) from error


def _search(folder: Path) -> Entry:
    for name in CANDIDATES:
        path = (folder / name).absolute()
        if path.is_file():
            return Entry(folder=path.parent, file=path)
    raise NoEntryError(
        (
            _error(
                "NO_ENTRY",
                f"No {' or '.join(CANDIDATES)} in {folder.absolute()}",
                "Name the file (`pylon dev path/to/app.py`), or make a new app with `pylon init my-app`.",
            ),
        )
    )


def _split(target: str) -> tuple[str, str | None]:
    """`app.py:other` and `package.module:app` in two parts; a plain path has no second one."""
    before, colon, after = target.rpartition(":")
    return (before, after) if colon and after.isidentifier() else (target, None)


def _import(entry: Entry) -> ModuleType:
    """Run the module as a script's folder would see it: beside its neighbours, under its own name."""
    folder = str(entry.folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if entry.file is None:
        return importlib.import_module(str(entry.module))
    name = entry.file.stem if entry.file.stem.isidentifier() else "pylon_app"
    taken = sys.modules.get(name)
    if taken is not None and getattr(taken, "__file__", None) != str(entry.file):
        name = f"pylon_app_{name}"  # the file is named like a module that is loaded already: leave that one alone
    spec = importlib.util.spec_from_file_location(name, entry.file)
    if spec is None or spec.loader is None:
        raise LoadError((_error("APP_NOT_PYTHON", f"{entry.file.name} is not a Python file", "Name a .py file."),))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: annotations are looked up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _app_of(module: ModuleType, entry: Entry) -> Any:
    """The App that the module holds: the named one, `app`, or the only one."""
    from pylon.model.app import App

    apps = {name: value for name, value in vars(module).items() if isinstance(value, App)}
    wanted = entry.attribute or ("app" if "app" in apps else None)
    if wanted is not None and wanted in apps:
        return apps[wanted]
    if wanted is None and len({id(value) for value in apps.values()}) == 1:
        return next(iter(apps.values()))
    where = entry.file.name if entry.file is not None else str(entry.module)
    if wanted is not None:
        names = ", ".join(apps) or "none"
        raise LoadError((_error("APP_NOT_FOUND", f"{where} holds no App named {wanted!r}", f"Apps in it: {names}."),))
    if not apps:
        raise LoadError((_error("APP_NOT_FOUND", f"{where} makes no App", 'Write `app = App("my-app")` in it.'),))
    raise LoadError(
        (_error("APP_AMBIGUOUS", f"{where} holds several Apps: {', '.join(apps)}", f"Name one: {where}:{min(apps)}."),)
    )


def _read_manifest(entry: Entry) -> AppSpec:
    from pylon.model.manifest import from_manifest

    assert entry.file is not None
    try:
        data = entry.file.read_bytes()
    except OSError as error:
        reason = f"{entry.file.name} can't be read: {error.strerror}"
        raise LoadError((_error("MANIFEST_READ_FAILED", reason, "Check its permissions."),)) from error
    return from_manifest(data)


def _located(error: DeclarationError, entry: Entry) -> tuple[Diagnostic, ...]:
    """The findings, errors first, each with the line of the developer's file that raised them where that is known."""
    found = sorted(error.diagnostics, key=lambda finding: finding.severity is not Severity.ERROR)
    where = _own_line(error, entry)
    return tuple(
        finding
        if finding.span is not None or where is None
        else Diagnostic(
            severity=finding.severity, code=finding.code, message=finding.message, hint=finding.hint, span=where
        )
        for finding in found
    )


def _syntax(error: SyntaxError, entry: Entry) -> Diagnostic:
    file = _short(error.filename or str(entry), entry)
    source = f": {error.text.strip()}" if error.text else ""
    return Diagnostic(
        severity=Severity.ERROR,
        code="APP_SYNTAX_ERROR",
        message=f"{error.msg}{source}",
        span=Span(file=file, line=error.lineno, column=error.offset),
    )


def _import_failed(error: BaseException, entry: Entry) -> Diagnostic:
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"Install it (`pip install {error.name.partition('.')[0]}`), or check the spelling."
    elif isinstance(error, SystemExit):
        hint = "An app is imported: call sys.exit() under `if __name__ == '__main__':` only."
    text = str(error)
    return Diagnostic(
        severity=Severity.ERROR,
        code="APP_IMPORT_FAILED",
        message=f"{type(error).__name__}: {text}" if text else type(error).__name__,
        span=_own_line(error, entry),
        hint=hint,
    )


def _own_line(error: BaseException, entry: Entry) -> Span | None:
    """The innermost frame in the developer's folder."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(entry.folder) and "site-packages" not in frame.filename
    ]
    return Span(file=_short(own[-1].filename, entry), line=own[-1].lineno) if own else None


def _short(filename: str, entry: Entry) -> str:
    path = Path(filename)
    return str(path.relative_to(entry.folder)) if path.is_relative_to(entry.folder) else filename


def _error(code: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, code=code, message=message, hint=hint)
