"""Turning templates into answers: escaped, under a policy that allows this server's own scripts and styles alone."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import falcon.asgi

from pylon.web.pages.words import Words, translator
from pylon.web.request import Request

if TYPE_CHECKING:
    import jinja2

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'{forms}; base-uri 'none'; frame-ancestors 'none'"
)
OWN_FOLDER = "auth"
"""The folder beside an app's `web/` that overrides templates, words and style."""


class Renderer:
    """The pages of one server. Templates, `words.json` and `style.css` in the app's own folder come first."""

    def __init__(self, app_name: str, own: Path | None) -> None:
        self._app_name = app_name
        self._own = own
        self.style = self._read_style()
        self._languages = self._read_words()

    @functools.cached_property
    def _environment(self) -> jinja2.Environment:
        import jinja2  # with the first page: a server starts without it

        loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("pylon.web.pages")]
        if self._own is not None and self._own.is_dir():
            loaders.insert(0, jinja2.FileSystemLoader(self._own))
        return jinja2.Environment(
            loader=jinja2.ChoiceLoader(loaders), autoescape=True, undefined=jinja2.StrictUndefined, auto_reload=False
        )

    def _read_style(self) -> bytes | None:
        path = None if self._own is None else self._own / "style.css"
        return path.read_bytes() if path is not None and path.is_file() else None

    def _read_words(self) -> dict[str, Words]:
        path = None if self._own is None else self._own / "words.json"
        own: dict[str, Any] = json.loads(path.read_text("utf-8")) if path is not None and path.is_file() else {}
        plain = {key: text for key, text in own.items() if isinstance(text, str)}
        languages = {name: words for name, words in own.items() if isinstance(words, dict)}
        return {"": translator(plain)} | {name: translator({**plain, **words}) for name, words in languages.items()}

    def words(self, req: Request) -> Words:
        """The words of the language that the browser asks for first, among those that the app has."""
        for part in (req.get_header("Accept-Language") or "").split(","):
            language = part.partition(";")[0].strip().lower()
            for name in (language, language.partition("-")[0]):
                if name and name in self._languages:
                    return self._languages[name]
        return self._languages[""]

    def show(
        self, req: Request, resp: falcon.asgi.Response, template: str, *, status: int = 200, **values: Any
    ) -> None:
        """Answer with a page."""
        words = self.words(req)
        page = self._environment.get_template(f"{template}.html")
        leads_to = "".join(f" {origin}" for origin in values.pop("leads_to", ()))
        resp.status = status
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header("Content-Security-Policy", _POLICY.format(forms=leads_to))
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Referrer-Policy", "same-origin")
        resp.text = page.render(t=words, app=self._app_name, has_style=self.style is not None, **values)
