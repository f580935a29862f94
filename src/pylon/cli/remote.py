"""A command's line to the running server: its admin API over HTTP, with the admin token of the environment.

`--url`, else PYLON_URL, else http://127.0.0.1:<PYLON_PORT>; the token is the first of PYLON_ADMIN_TOKEN. Env files
count, as for every command. The token is sent nowhere but there, and redirects are not followed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from pylon.cli import envfile
from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure

TIMEOUT_SECONDS = 15.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CHUNK = 65_536


class RemoteError(Exception):
    """The server refused: its code, message, hint and HTTP status."""

    def __init__(self, code: str, message: str, hint: str | None, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.status = status


class Unreachable(RemoteError):
    """Nothing answers at the address."""

    def __init__(self, url: str, why: str) -> None:
        hint = "Start it, or name its address with --url or PYLON_URL."
        super().__init__("SERVER_UNREACHABLE", f"no server answers at {url}: {why}", hint, 0)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the admin token to an address that nobody named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Remote:
    """The admin API of one server. Every call raises RemoteError, or Unreachable when nothing answers."""

    def __init__(self, url: str, token: str | None, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    @classmethod
    def from_options(cls, options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Remote:
        """The server that the options and the environment name. Raises SettingsError for a broken env file."""
        import os

        values = envfile.merged(os.environ if environ is None else environ, Path.cwd())
        url = getattr(options, "url", None) or values.get("PYLON_URL")
        if not url:
            url = f"http://127.0.0.1:{values.get('PYLON_PORT') or 4321}"
        token = next((t.strip() for t in values.get("PYLON_ADMIN_TOKEN", "").split(",") if t.strip()), None)
        return cls(url, token)

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return (urlsplit(self.url).hostname or "") in _LOOPBACK

    def get(self, path: str, **query: str | int | float | None) -> Any:
        """GET; query values that are None are left out."""
        return self.call("GET", path_with(path, query))

    def post(self, path: str, body: Any = None) -> Any:
        """POST a JSON body."""
        return self.call("POST", path, {} if body is None else body)

    def put(self, path: str, body: Any) -> Any:
        """PUT a JSON body."""
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        """DELETE."""
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; its decoded JSON answer, None for an empty one, text for any other."""
        with self._open(method, path, body) as answer:
            content: bytes = answer.read()
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError:
            return content.decode("utf-8", "replace")

    def stream(self, path: str, **query: str | int | float | None) -> Iterator[bytes]:
        """GET in pieces, for what is too large to hold."""
        with self._open("GET", path_with(path, query), None) as answer:
            while piece := answer.read(_CHUNK):
                yield piece

    def upload(self, path: str, source: Iterable[bytes], content_type: str, **query: str | int | float | None) -> Any:
        """POST what is too large to hold, in pieces, however long it takes; the decoded answer."""
        request = urllib.request.Request(self.url + path_with(path, query), data=source, method="POST")  # noqa: S310 - as below
        request.add_header("Content-Type", content_type)
        with self._send(request, timeout=None) as answer:
            return json.loads(answer.read())

    def _open(self, method: str, path: str, body: Any) -> IO[bytes]:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - the operator names the address
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        return self._send(request, timeout=self.timeout)

    def _send(self, request: urllib.request.Request, *, timeout: float | None) -> IO[bytes]:
        request.add_header("Accept", "application/json")
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            opened: IO[bytes] = self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code, error.read()) from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise Unreachable(self.url, str(getattr(error, "reason", error))) from None
        return opened


def path_with(path: str, query: Mapping[str, str | int | float | None]) -> str:
    """The path with the query's values that are not None."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def segment(text: str) -> str:
    """A value as one segment of a path."""
    return quote(text, safe="")


def add_remote_options(parser: argparse.ArgumentParser) -> None:
    """The option that every command against a running server takes."""
    parser.add_argument("--url", help="address of the server (PYLON_URL, default http://127.0.0.1:PYLON_PORT)")


def report_remote_error(error: RemoteError, output: Output) -> int:
    """Show why the server did not do it; the exit code."""
    hint = error.hint
    if error.status in (401, 403) and error.code in ("FORBIDDEN", "UNAUTHORIZED"):
        hint = "Set PYLON_ADMIN_TOKEN to an admin token of that server, in the environment or in .env."
    output.report([failure(error.code, error.message, hint)])
    return Exit.UNAVAILABLE if isinstance(error, Unreachable) else Exit.FAILED


def _refused(status: int, content: bytes) -> RemoteError:
    try:
        told = json.loads(content)["error"]
        return RemoteError(str(told["code"]), str(told["message"]), told.get("hint"), status)
    except (ValueError, KeyError, TypeError):
        return RemoteError("INTERNAL", f"the server answered {status}", "Is this address a Pylon server?", status)
