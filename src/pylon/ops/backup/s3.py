"""Backups in an S3-compatible bucket, through obstore (`pip install pylon[s3]`).

Credentials and region are the usual AWS_* variables; PYLON_S3_ENDPOINT names a server other than Amazon's. The manifest
is uploaded last and deleted first, so what has none is no backup.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon.model.errors import PylonError
from pylon.ops.backup import manifest
from pylon.ops.backup.bundle import Bundle, not_found
from pylon.ops.backup.keys import Reader
from pylon.ops.backup.manifest import Manifest

if TYPE_CHECKING:
    from obstore.store import S3Store

    from pylon.ops.backup.shelf import Shelf

_PARALLEL = 2
_BUFFER = 2**20


class S3Shelf:
    """Backups under a prefix of a bucket."""

    def __init__(self, store: S3Store, label: str) -> None:
        self.label = label.rstrip("/")
        self._store = store

    @classmethod
    def of(cls, address: str, endpoint: str | None = None) -> S3Shelf:
        """The shelf at `s3://bucket/prefix`, of Amazon or of the server at `endpoint`. Raises EXTRA_MISSING,
        BACKUP_TARGET_INVALID."""
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise PylonError(
                "EXTRA_MISSING", "s3:// needs the package obstore.", hint="Install it: pip install 'pylon[s3]'"
            ) from error
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise PylonError("BACKUP_TARGET_INVALID", f"{address} names no bucket.", hint="Write s3://bucket/prefix.")
        options: dict[str, Any] = {}
        if endpoint is not None:
            options["endpoint"] = endpoint
            options["client_options"] = {"allow_http": endpoint.startswith("http://")}
        return cls(S3Store(bucket, prefix=prefix.strip("/") or None, **options), address)

    def names(self) -> list[str]:
        found = self._ask(lambda obstore: obstore.list_with_delimiter(self._store))
        candidates = sorted(str(path).rstrip("/") for path in found["common_prefixes"])
        return [name for name in candidates if self._has(f"{name}/{manifest.NAME}")]

    def bundle(self, name: str) -> Bundle:
        if manifest.is_unsafe(name):
            raise not_found(name)
        return S3Bundle(self, name)

    def stage(self, name: str, work: Path) -> Path:
        from pylon.ops.backup.shelf import partial

        return partial(work / name)

    def publish(self, staged: Path, name: str) -> None:
        from pylon.ops.backup.shelf import target_exists

        if self.keys(f"{name}/" if name else ""):
            raise target_exists(f"{self.label}/{name}" if name else self.label)
        files = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
        files.remove(manifest.NAME)
        for file in [*files, manifest.NAME]:
            key, path = f"{name}/{file}" if name else file, staged / file
            self._ask(lambda obstore, k=key, p=path: obstore.put(self._store, k, p, max_concurrency=_PARALLEL))

    def remove(self, name: str) -> None:
        self.delete(f"{name}/{manifest.NAME}")
        for key in self.keys(f"{name}/"):
            self.delete(key)

    def keys(self, prefix: str) -> list[str]:
        def every(obstore: Any) -> list[str]:
            return [str(item["path"]) for page in obstore.list(self._store, prefix or None) for item in page]

        return sorted(self._ask(every))

    def read(self, key: str) -> bytes | None:
        try:
            return bytes(self._ask(lambda obstore: obstore.get(self._store, key).bytes()))
        except FileNotFoundError:
            return None

    def write(self, key: str, data: bytes) -> None:
        self._ask(lambda obstore: obstore.put(self._store, key, data, max_concurrency=_PARALLEL))

    def delete(self, key: str) -> None:
        try:
            self._ask(lambda obstore: obstore.delete(self._store, key))
        except FileNotFoundError:
            return

    @contextmanager
    def open(self, key: str) -> Iterator[Reader]:
        """An object's bytes, in pieces. Raises FileNotFoundError."""
        yield _Stream(self._ask(lambda obstore: obstore.open_reader(self._store, key, buffer_size=_BUFFER)))

    def _has(self, key: str) -> bool:
        try:
            self._ask(lambda obstore: obstore.head(self._store, key))
        except FileNotFoundError:
            return False
        return True

    def _ask(self, question: Any) -> Any:
        """Run one operation; the store's failures become ours. Absence stays FileNotFoundError."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return question(obstore)
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise PylonError(
                "BACKUP_TARGET_UNREACHABLE",
                f"{self.label}: {first}",
                hint="Check the AWS_* variables, PYLON_S3_ENDPOINT and the bucket's name.",
            ) from error


class S3Bundle:
    """One backup in a bucket."""

    def __init__(self, shelf: S3Shelf, name: str) -> None:
        self._shelf = shelf
        self._prefix = f"{name}/" if name else ""
        self.label = f"{shelf.label}/{name}" if name else shelf.label

    def manifest(self) -> Manifest:
        text = self._shelf.read(self._prefix + manifest.NAME)
        if text is None:
            raise not_found(self.label)
        return manifest.decode(text, self.label)

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        try:
            with self._shelf.open(self._prefix + name) as stream:
                yield stream
        except FileNotFoundError as error:
            raise manifest.invalid(self.label, f"{name} is missing") from error

    def local(self, name: str) -> Path | None:
        return None

    def note(self, name: str) -> bytes | None:
        return self._shelf.read(self._prefix + name)

    def put_note(self, name: str, text: bytes) -> None:
        self._shelf.write(self._prefix + name, text)


class _Stream:
    """obstore's reader, with plain bytes."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int = -1, /) -> bytes:
        return bytes(self._reader.read(size if size >= 0 else _BUFFER))


def open_s3(address: str, endpoint: str | None = None) -> Bundle | Shelf:
    """One backup, where the prefix holds a manifest; else the shelf."""
    shelf = S3Shelf.of(address, endpoint)
    return S3Bundle(shelf, "") if shelf._has(manifest.NAME) else shelf
