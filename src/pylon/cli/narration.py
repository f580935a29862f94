"""What `pylon dev` tells: to the terminal, and through `dev-diagnostics.json` in the data folder to open browsers.

The file holds `{"build", "page", "errors"}`: `build` counts versions of the app that were tried, `page` counts changes
of the `web/` folder, `errors` is what keeps the last version from being served (`code`, `message`, `file`, `line`).
It is replaced as a whole, so a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pylon.cli.output import Output, finding
from pylon.listeners import Listeners
from pylon.model.findings import Severity

FILE_NAME = "dev-diagnostics.json"
_COUNTED = (("entity", "entities"), ("query", "queries"), ("mutation", "mutations"), ("action", "actions"))


class Narration:
    """Counts builds and tells how each went."""

    def __init__(self, output: Output, listeners: Listeners, data_dir: Path) -> None:
        self._output = output
        self._listeners = listeners
        self._file = data_dir / FILE_NAME
        self._builds = 0
        self._pages = 0
        self._errors: list[dict[str, Any]] = []

    def serving(self, loaded: dict[str, Any], seconds: float) -> None:
        """A version of the app is being served."""
        self._builds += 1
        self._errors = []
        self._write()
        name, version = loaded["name"], loaded["version"]
        sizes = {words: len(loaded[words[1]]) for words in _COUNTED}
        counts = ", ".join(f"{size} {one if size == 1 else many}" for (one, many), size in sizes.items() if size)
        document = {
            "code": "DEV_OK",
            "rebuild": self._builds,
            "name": name,
            "version": version,
            "port": self._listeners.port,
            "seconds": round(seconds, 3),
            "diagnostics": loaded["warnings"],
        }
        line = f"[{self._builds}] OK: {name} v{version}: {counts or 'nothing declared'} ({seconds:.2f} s)"
        if self._builds == 1:
            url = self._listeners.url
            places = f"{self._output.heading(url)}\n  {url}/docs has the API, {url}/studio the operator's pages."
            line = f"{line}\n\n  {places}\n  Saving a file reloads. Ctrl-C stops.\n"
        self._warn(loaded["warnings"])
        self._output.answer(document, line)

    def broken(self, diagnostics: list[dict[str, Any]]) -> None:
        """The saved version can't be served; the previous one, if any, goes on."""
        self._builds += 1
        self._errors = [found for found in diagnostics if found["severity"] == "error"]
        self._write()
        document = {
            "code": "DEV_ERROR",
            "rebuild": self._builds,
            "error": diagnostics[0]["message"],
            "diagnostics": diagnostics,
        }
        lines = [f"[{self._builds}] Error: the app is broken; what served before goes on."]
        for found in diagnostics:
            where = f"{found['file']}:{found.get('line', '')}: " if found.get("file") else ""
            lines.append(f"  {found['severity']}[{found['code']}] {where}{found['message']}")
            if found.get("hint"):
                lines.append(f"    hint: {found['hint']}")
        self._output.answer(document, "\n".join(lines))

    def page_changed(self) -> None:
        """A file of the app's `web/` folder was saved: browsers load their page again."""
        self._pages += 1
        self._write()
        self._output.note("web: reloading browsers")

    def stopped(self, code: int) -> None:
        """The child that served ended without being asked to."""
        self._output.report([finding(Severity.WARNING, "DEV_STOPPED", f"The server ended with code {code}")])

    def polling(self, error: OSError) -> None:
        """The system can't watch the folder."""
        self._output.report(
            [finding(Severity.WARNING, "DEV_WATCH_FAILED", f"Watching fails ({error}); the folder is polled instead")]
        )

    def _warn(self, warnings: list[dict[str, Any]]) -> None:
        for found in warnings:
            told = f"  warning[{found['code']}] {found['message']}"
            self._output.note(told if not found.get("hint") else f"{told}\n    hint: {found['hint']}")

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        document = {"build": self._builds, "page": self._pages, "errors": self._errors}
        fresh = self._file.with_suffix(".tmp")
        fresh.write_text(json.dumps(document), "utf-8")
        os.replace(fresh, self._file)
