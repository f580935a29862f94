"""What `/metrics` tells of signing in: counted where it happens, asked at each scrape."""

from __future__ import annotations

from pylon.auth.foundation import Foundation
from pylon.signals.metrics import Registry


def watch_identity(registry: Registry, foundation: Foundation) -> None:
    """Register the series of identity."""
    hashing, limiter, sessions, sign_in = (
        foundation.hashing,
        foundation.limiter,
        foundation.sessions,
        foundation.sign_in,
    )
    registry.asked_by(
        "pylon_auth_sign_ins_total",
        "Sessions granted for a proof, by method.",
        "counter",
        ("method",),
        lambda: [((name,), count) for name, count in sign_in.granted.items()],
    )
    registry.asked_by(
        "pylon_auth_sign_in_failures_total",
        "Sign-ins that failed, by method.",
        "counter",
        ("method",),
        lambda: [((name,), count) for name, count in sign_in.failures.items()],
    )
    registry.asked_by(
        "pylon_auth_limited_total",
        "Steps of signing in that a limit refused.",
        "counter",
        ("step",),
        lambda: [((step,), count) for step, count in limiter.refusals.items()],
    )
    registry.asked("pylon_auth_hashes_waiting", "Passwords being hashed or waiting.", "gauge", lambda: hashing.running)
    registry.asked("pylon_auth_hashes_total", "Passwords hashed.", "counter", lambda: hashing.done)
    registry.asked(
        "pylon_auth_hashes_refused_total",
        "Passwords that were not hashed because too many waited.",
        "counter",
        lambda: hashing.refused,
    )
    registry.asked(
        "pylon_auth_sessions_cached", "Tokens whose sessions are remembered.", "gauge", lambda: sessions.cached
    )
    registry.asked(
        "pylon_auth_token_reuse_total",
        "Sessions ended because an old token came back.",
        "counter",
        lambda: sessions.reuses,
    )
