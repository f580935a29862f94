"""The plugins that come with Pylon, by the name that a manifest calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon.plugins.cascade import Cascade
from pylon.plugins.feature_flags import FeatureFlags
from pylon.plugins.slugify import Slugify
from pylon.plugins.soft_delete import SoftDelete
from pylon.plugins.timestamps import Timestamps
from pylon.plugins.validation import Validation
from pylon.plugins.versioning import Versioning
from pylon.plugins.webhooks import Webhooks

SHIPPED: dict[str, Callable[..., Any]] = {
    "timestamps": Timestamps,
    "soft-delete": SoftDelete,
    "slugify": Slugify,
    "validation": Validation,
    "versioning": Versioning,
    "cascade": Cascade,
    "feature-flags": FeatureFlags,
    "webhooks": Webhooks,
}
"""Computed fields are Python functions, which no manifest holds."""
