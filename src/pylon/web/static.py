"""Files: `pylon.js` with its modules, and an app's `web/` folder at `/`, with ETags and a fallback to index.html for
client-side routes.

Small files are kept in memory; the disk is asked off the loop. Nothing outside the folder, and no dotfile, is served.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import falcon.asgi

from pylon.web.errors import no_route
from pylon.web.request import Request, Resource

_CACHE_FILES = 500
_CACHE_BYTES = 2**20
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and headers, as of one modification time."""

    content: bytes
    etag: str
    modified: str
    content_type: str
    stamp: tuple[int, int]


class Folder:
    """The files below one folder; those of at most `largest` bytes are kept in memory."""

    def __init__(self, root: Path, *, largest: int = _CACHE_BYTES) -> None:
        self._root = root.resolve()
        self._largest = largest
        self._cache: dict[str, File] = {}

    async def find(self, path: str) -> File | None:
        """The file of a URL path, None where there is none."""
        parts = [part for part in path.split("/") if part]
        if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            return None
        return await asyncio.to_thread(self._load, "/".join(parts) or "index.html")

    def _load(self, name: str) -> File | None:
        target = self._root / name
        try:
            if target.is_dir():
                target /= "index.html"
            resolved = target.resolve(strict=True)
            if not resolved.is_relative_to(self._root) or not resolved.is_file():
                return None
            stat = resolved.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            cached = self._cache.get(name)
            if cached is not None and cached.stamp == stamp:
                return cached
            content = resolved.read_bytes()
        except (OSError, ValueError):
            return None
        file = File(
            content,
            f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            formatdate(stat.st_mtime, usegmt=True),
            _content_type(resolved),
            stamp,
        )
        if len(content) <= self._largest and (len(self._cache) < _CACHE_FILES or name in self._cache):
            self._cache[name] = file
        return file


def _content_type(path: Path) -> str:
    suffix = path.suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def send(req: Request, resp: falcon.asgi.Response, file: File) -> None:
    """Answer with a file, or with 304 to a client that has it."""
    resp.set_header("ETag", file.etag)
    resp.set_header("Last-Modified", file.modified)
    resp.set_header("Cache-Control", "no-cache")
    sent = req.get_header("If-None-Match")
    if sent is not None and file.etag in [tag.strip().removeprefix("W/") for tag in sent.split(",")]:
        resp.status = 304
        return
    resp.content_type = file.content_type
    resp.data = file.content


class PackagedFile(Resource):
    """One file that ships with Pylon."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The file."""
        file = await self._folder.find(self._name)
        assert file is not None, self._name
        send(req, resp, file)


class PackagedFolder(Resource):
    """The files of a folder that ships with Pylon."""

    def __init__(self, folder: Folder, below: str) -> None:
        self._folder = folder
        self._below = below

    async def on_get(self, req: Request, resp: falcon.asgi.Response, path: str) -> None:
        """The file. Raises NOT_FOUND."""
        file = await self._folder.find(f"{self._below}/{path}") if path else None
        if file is None:
            raise no_route(req.path, hint=req.doors.dev)
        send(req, resp, file)


class Site:
    """Everything that no route answers: the app's files, else 404."""

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder

    async def has(self, path: str) -> bool:
        """Whether the app brings a file for this path, or a folder with a page."""
        return self._folder is not None and await self._folder.find(path) is not None

    async def __call__(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The file of the path; index.html for a page that client-side code routes."""
        path = req.path
        if self._folder is None or req.method not in ("GET", "HEAD") or path.startswith(("/api/", "/_pylon/")):
            raise no_route(path, hint=req.doors.dev)
        file = await self._folder.find(path)
        if file is None and "." not in path.rsplit("/", 1)[-1] and "text/html" in (req.get_header("Accept") or ""):
            file = await self._folder.find("index.html")
        if file is None:
            raise no_route(path, hint=req.doors.dev)
        send(req, resp, file)
