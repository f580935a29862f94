"""A function's return value as JSON: rows leave as clients know them, without serverOnly fields."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.compute.database import Codecs
from pylon.compute.related import Included
from pylon.model.entity import Entity

_encode = msgspec.json.Encoder().encode


class Results:
    """Encodes what functions return."""

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs

    def encode(self, value: Any) -> bytes:
        """JSON of a result. Raises TypeError for what JSON can't hold."""
        return _encode(self.plain(value))

    def plain(self, value: Any) -> Any:
        """The value with every row in it replaced by its public fields."""
        if isinstance(value, Entity):
            _, codec = self._codecs.of(type(value))
            return codec.public(value)
        if isinstance(value, Included):
            return self.plain(value.row) | {name: self.plain(item) for name, item in value.related.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        return value
