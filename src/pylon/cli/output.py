"""What commands print: findings and answers, for people or as JSON.

`--json` prints one JSON document per line on stdout and nothing else there. For people, errors go to stderr, the rest
to stdout. A closed pipe (`pylon env | head -1`) silences what follows; it never ends a command, least of all a server.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from pylon.model.findings import Diagnostic, Severity

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


class Output(Protocol):
    """Where a command speaks."""

    def report(self, findings: Sequence[Diagnostic]) -> None:
        """Show findings: the whole result of a command that failed, or warnings beside an answer."""

    def answer(self, document: Any, text: str) -> None:
        """Show a result: `document` as JSON, or `text` to people."""

    def note(self, text: str) -> None:
        """Show something that only people need."""

    def heading(self, text: str) -> str:
        """The text as it is emphasised here."""

    def close(self) -> None:
        """Write out what is buffered."""


class _Stream:
    """A stdout or stderr that may be closed at any time."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except BrokenPipeError:
            self._silence()
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "replace").decode("ascii") + "\n")

    def close(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except BrokenPipeError:
                self._silence()

    def _silence(self) -> None:
        """Nobody reads any more: point the descriptor at nothing, so that Python's exit does not complain either."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)
        self._stream = None


class HumanOutput:
    """Lines for people, coloured where the terminal takes colour."""

    def __init__(self, stdout: TextIO | None, stderr: TextIO | None, environ: Mapping[str, str]) -> None:
        self._out = _Stream(stdout)
        self._err = _Stream(stderr)
        self._coloured = (
            not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stdout is not None and stdout.isatty()
        )

    def report(self, findings: Sequence[Diagnostic]) -> None:
        for finding in findings:
            stream = self._err if finding.severity is Severity.ERROR else self._out
            label = self._paint(_COLOURS[finding.severity], f"{finding.severity.value}[{finding.code}]")
            stream.line(f"  {label} {place(finding)}{finding.message}")
            if finding.hint:
                stream.line(f"    hint: {finding.hint}")

    def answer(self, document: Any, text: str) -> None:
        if text:
            self._out.line(text)

    def note(self, text: str) -> None:
        self._out.line(text)

    def heading(self, text: str) -> str:
        return self._paint("1", text)

    def close(self) -> None:
        self._out.close()
        self._err.close()

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text


class JsonOutput:
    """One JSON document per line on stdout."""

    def __init__(self, stdout: TextIO | None) -> None:
        self._out = _Stream(stdout)

    def report(self, findings: Sequence[Diagnostic]) -> None:
        if findings:
            self._out.line(json.dumps([as_json(finding) for finding in findings]))

    def answer(self, document: Any, text: str) -> None:
        self._out.line(json.dumps(document, default=str))

    def note(self, text: str) -> None:
        return

    def heading(self, text: str) -> str:
        return text

    def close(self) -> None:
        self._out.close()


def choose_output(words: Sequence[str], environ: Mapping[str, str]) -> Output:
    """JSON when `--json` stands anywhere in the command line."""
    if "--json" in words:
        return JsonOutput(sys.stdout)
    return HumanOutput(sys.stdout, sys.stderr, environ)


def finding(severity: Severity, code: str, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(severity=severity, code=code, message=message, hint=hint)


def failure(code: str, message: str, hint: str | None = None) -> Diagnostic:
    """An error of the command line's own."""
    return finding(Severity.ERROR, code, message, hint)


def place(found: Diagnostic) -> str:
    """`app.py:3: ` where the finding knows its place."""
    if found.span is None:
        return ""
    line = f":{found.span.line}" if found.span.line else ""
    return f"{found.span.file}{line}: "


def as_json(found: Diagnostic) -> dict[str, Any]:
    """The wire form of spec 07 §1; `file` and `line` are added where they are known."""
    document: dict[str, Any] = {"severity": found.severity.value, "code": found.code, "message": found.message}
    if found.hint:
        document["hint"] = found.hint
    if found.span is not None:
        document["file"] = found.span.file
        if found.span.line:
            document["line"] = found.span.line
    return document
