"""What a finding about a declaration is, and the error that carries all of them (spec 05 §2).

PylonError
└── DeclarationError       the app is declared wrongly: every finding at once, code MANIFEST_INVALID
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from pylon.model.errors import PylonError


class Severity(enum.StrEnum):
    """An error keeps the server from starting; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where in a file a finding is; line and column count from 1."""

    file: str
    line: int | None = None
    column: int | None = None


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding. `message` says what is wrong and where, `hint` what to write instead."""

    severity: Severity
    code: str
    message: str
    span: Span | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message.rstrip('.')}. {self.hint}"


class DeclarationError(PylonError):
    """The app is declared wrongly. `diagnostics` holds every finding; the message lists the errors among them."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [d for d in self.diagnostics if d.severity is Severity.ERROR]
        lines = [str(d) for d in errors]
        text = lines[0] if len(lines) == 1 else "\n  - ".join([f"{len(lines)} errors in the declaration:", *lines])
        super().__init__("MANIFEST_INVALID", text)


def error(code: str, message: str, hint: str | None = None) -> Diagnostic:
    """A finding that keeps the server from starting."""
    return Diagnostic(severity=Severity.ERROR, code=code, message=message, hint=hint)


def warning(code: str, message: str, hint: str | None = None) -> Diagnostic:
    """A finding that the developer should know of."""
    return Diagnostic(severity=Severity.WARNING, code=code, message=message, hint=hint)
