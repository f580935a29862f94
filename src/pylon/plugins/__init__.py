"""Plugins: what takes part in an app's declaration, in every write, in requests, or runs beside the server.

    app = App("notes", plugins=[Timestamps(), SoftDelete("Note", purge_days=30)])

The contract is `spec.py`; what comes with Pylon are plugins of the same kind, each a file of this folder.
"""

from pylon.plugins.cascade import Cascade
from pylon.plugins.computed import Computed
from pylon.plugins.feature_flags import FeatureFlags
from pylon.plugins.requests import PluginRequest, Response, Route
from pylon.plugins.slugify import Slugify
from pylon.plugins.soft_delete import SoftDelete
from pylon.plugins.spec import Plugin, hookimpl
from pylon.plugins.timestamps import Timestamps
from pylon.plugins.validation import Validation
from pylon.plugins.versioning import Versioning
from pylon.plugins.webhooks import Endpoint, Webhooks
from pylon.plugins.write import Write

__all__ = [
    "Cascade",
    "Computed",
    "Endpoint",
    "FeatureFlags",
    "Plugin",
    "PluginRequest",
    "Response",
    "Route",
    "Slugify",
    "SoftDelete",
    "Timestamps",
    "Validation",
    "Versioning",
    "Webhooks",
    "Write",
    "hookimpl",
]
