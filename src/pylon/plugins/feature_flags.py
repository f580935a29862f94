"""Which feature flags are on for whoever asks, for clients to show what they may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pylon.plugins.requests import PluginRequest, Route
from pylon.plugins.server import PluginServer
from pylon.plugins.spec import Plugin


class FeatureFlags(Plugin):
    """`GET /api/flags` answers `{"flags": {"new-editor": true}}` for the caller, anonymous ones too, out of the flags
    that operators set (`pylon flag`). `prefix` shows only flags of such names, so that others stay unknown."""

    name = "feature-flags"

    def __init__(self, *, prefix: str = "") -> None:
        self._prefix = prefix
        self._server: PluginServer | None = None

    def start(self, server: PluginServer) -> None:
        self._server = server

    def routes(self) -> Sequence[Route]:
        return [Route("GET", "/api/flags", self.flags)]

    async def flags(self, request: PluginRequest) -> Any:
        """The flags as they stand for the caller."""
        assert self._server is not None
        flags, identity = self._server.engine.flags, request.identity
        shown = [flag.name for flag in flags.all() if flag.name.startswith(self._prefix)]
        return {"flags": {name: flags.is_on(name, identity) for name in sorted(shown)}}
