"""A readable, unique name for each row, made of another field when the row is inserted."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from typing import Any

from pylon.model.schema import AppSpec
from pylon.plugins.declaring import EntityName, check_field, entity_name
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write
from pylon.store.filters import Scope, compile_filter

MAX_LENGTH = 80
MAX_COUNTED = 50
"""Suffixes that are tried in turn, `-2` to `-50`, before a random one is taken."""

_GAPS = re.compile(r"[\s_-]+")


class Slugify(Plugin):
    """`Slugify("Post", "title")` fills the post's `slug` from its `title` where the client gives none. It is unique
    among the entity's rows, or among those that share the fields of `within`, such as `("tenantId",)`."""

    name = "slugify"

    def __init__(
        self, entity: EntityName, source: str, target: str = "slug", *, within: Sequence[str] = (), name: str = ""
    ) -> None:
        self._entity = entity
        self._source = source
        self._target = target
        self._within = tuple(within)
        shown = entity if isinstance(entity, str) else entity.__name__
        self.name = name or f"slugify:{shown}.{target}"

    def declare(self, app: AppSpec) -> AppSpec:
        entity = entity_name(app, self._entity, self.name)
        for field in (self._source, self._target, *self._within):
            check_field(app, entity, field, self.name)
        self.entities = (entity,)
        return app

    def before_insert(self, write: Write) -> None:
        given = write[self._target]
        if isinstance(given, str) and given.strip():
            return
        slug = slug_of(str(write[self._source] or "")) or "row"
        write[self._target] = self._free(write, slug)

    def _free(self, write: Write, slug: str) -> str:
        where: dict[str, Any] = {name: write[name] for name in self._within}
        candidates = [slug, *(f"{slug}-{number}" for number in range(2, MAX_COUNTED + 1))]
        selection = compile_filter(write.plan.types, {**where, self._target: {"$in": candidates}}, Scope.SERVER)
        taken = {getattr(row, self._target) for row in write.transaction.select(write.plan, selection)}
        return next((name for name in candidates if name not in taken), f"{slug}-{secrets.token_hex(5)}")


def slug_of(text: str) -> str:
    """Letters and digits in small type, without accents, a dash for each gap: `Café Résumé!` is `cafe-resume`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    dashed = _GAPS.sub("-", "".join(c for c in plain if c.isalnum() or c in " \t\n-_"))
    return dashed[:MAX_LENGTH].strip("-")
