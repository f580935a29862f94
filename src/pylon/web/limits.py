"""The limits that every request meets at the edge: how many at once, how many in a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylon.engine.limits.requests import Allowance, RequestRates, Requests
from pylon.model.errors import PylonError
from pylon.model.identity import ANONYMOUS
from pylon.settings import Settings
from pylon.web.admission import Admission, Caps

if TYPE_CHECKING:
    from pylon.web.request import Request

_HELD = "pylon.held"
_PULL = "/api/sync/pull"


class EdgeLimits:
    """The edge limits of one server. A request that streams its answer counts among the streams instead, and pulls
    count by themselves: a crowd that comes back and catches up must not be why a write is turned away."""

    def __init__(self, settings: Settings) -> None:
        self.answers = Admission(Caps(settings.http_inflight_max, settings.http_per_ip_max), "OVERLOADED")
        self.pulls = Admission(Caps(settings.http_inflight_max, settings.http_per_ip_max), "OVERLOADED")
        self.streams = Admission(Caps(settings.stream_inflight_max, settings.stream_per_ip_max), "STREAM_OVERLOADED")
        self.requests = Requests(
            RequestRates(settings.rate_limit_max, settings.rate_limit_max_authed, settings.rate_limit_window)
        )

    def enter(self, req: Request) -> Allowance | None:
        """Let a request in; what it has left. Raises OVERLOADED, RATE_LIMITED."""
        ip = req.ip
        admission = self.pulls if req.path == _PULL else self.answers
        admission.enter(ip)
        req.scope[_HELD] = (admission, ip)
        if self.requests.is_on and req.path.startswith("/api/"):
            try:
                identity = req.session.identity
            except PylonError:  # a bad key: counted as anybody of this address, so that trying keys is limited too
                self.requests.take(ANONYMOUS, ip)
                raise
            return self.requests.take(identity, ip)
        return None

    def become_stream(self, req: Request) -> None:
        """This request's answer will go on and on. Raises STREAM_OVERLOADED."""
        leave(req.scope)
        self.streams.enter(req.ip)
        req.scope[_HELD] = (self.streams, req.ip)


def leave(scope: dict[str, Any]) -> None:
    """The answer is sent, or was given up; a no-op the second time."""
    held = scope.pop(_HELD, None)
    if held is not None:
        admission, ip = held
        admission.leave(ip)
