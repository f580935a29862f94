"""The checks on an entity: names, types, defaults, indexes, relations and search."""

from __future__ import annotations
