"""Letters from templates: the packaged ones, or the app's own in its folder `mail/`.

`KIND.txt` is the text, its first line `Subject: …`; `KIND.html` the same as HTML, which may be left out.
`LANGUAGE/KIND.txt` is the letter in another language, for who asked for it in `Accept-Language`. Values are escaped in
HTML; a name that a letter doesn't have refuses to start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pylon.auth.mail.kinds import SAMPLES, MailKind
from pylon.auth.mail.languages import LANGUAGE
from pylon.model.errors import PylonError

_PACKAGED = Path(__file__).parent / "templates"
_SUBJECT = "Subject:"


class Rendered(msgspec.Struct, frozen=True):
    """A letter's parts."""

    subject: str
    text: str
    html: str = ""


class Templates:
    """The letters of one app. `folder` is the app's own, which need not exist."""

    def __init__(self, app: str, folder: Path | None = None) -> None:
        self._app = app
        self._folder = folder if folder is not None and folder.is_dir() else None
        self._loaded: Any = None

    @property
    def _environment(self) -> Any:
        if self._loaded is None:  # most starts send no mail
            from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

            folders = [self._folder, _PACKAGED] if self._folder is not None else [_PACKAGED]
            self._loaded = Environment(
                loader=FileSystemLoader(folders),
                autoescape=select_autoescape(("html",)),
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
        return self._loaded

    def render(self, kind: str, values: Mapping[str, str], languages: Iterable[str] = ()) -> Rendered:
        """The letter, in the first of the languages that there is one in. Raises MAIL_TEMPLATE_INVALID."""
        import jinja2

        values = {"app": self._app, **values}
        try:
            text = self._first(f"{kind}.txt", languages).render(values)
        except (jinja2.TemplateError, UnicodeDecodeError) as problem:
            raise _broken(f"{kind}.txt", problem) from None
        head, _, body = text.partition("\n")
        if not head.startswith(_SUBJECT):
            raise _broken(f"{kind}.txt", ValueError("the first line is not `Subject: …`"))
        subject = " ".join(head.removeprefix(_SUBJECT).split())
        try:
            html = self._first(f"{kind}.html", languages).render({**values, "subject": subject})
        except jinja2.TemplateNotFound:
            html = ""
        except (jinja2.TemplateError, UnicodeDecodeError) as problem:
            raise _broken(f"{kind}.html", problem) from None
        return Rendered(subject, body.strip() + "\n", html)

    def check(self) -> None:
        """Try every template of the app's own, so that a slip shows at start and not when somebody waits for a code.
        Raises MAIL_TEMPLATE_INVALID."""
        if self._folder is None:
            return
        languages = ["", *sorted(d.name for d in self._folder.iterdir() if d.is_dir() and LANGUAGE.match(d.name))]
        for language in languages:
            for kind in MailKind:
                self.render(kind, SAMPLES[kind], [language] if language else [])

    def _first(self, name: str, languages: Iterable[str]) -> Any:
        names = [f"{language}/{name}" for language in languages if LANGUAGE.match(language)]
        return self._environment.select_template([*names, name])


def _broken(name: str, problem: Exception) -> PylonError:
    line = getattr(problem, "lineno", None)
    where = f"mail/{name}" + (f", line {line}" if line else "")
    return PylonError("MAIL_TEMPLATE_INVALID", f"{where}: {problem}")
