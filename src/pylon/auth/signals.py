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
    outbox = foundation.outbox
    registry.asked(
        "pylon_auth_unfinished",
        "Erasures of users and removals of organisations that are under way.",
        "gauge",
        lambda: foundation.unfinished.count,
    )
    registry.asked("pylon_mail_waiting", "Letters that wait to be sent.", "gauge", lambda: outbox.counts()["waiting"])
    registry.asked("pylon_mail_dead", "Letters that were given up.", "gauge", lambda: outbox.counts()["dead"])
    registry.asked(
        "pylon_mail_oldest_seconds",
        "How long the oldest waiting letter has waited.",
        "gauge",
        lambda: outbox.counts()["oldest_secs"],
    )
    registry.asked_by(
        "pylon_mail_sent_total",
        "Letters that the transport took.",
        "counter",
        ("kind",),
        lambda: [((kind,), count) for kind, count in outbox.sent.items()],
    )
    registry.asked_by(
        "pylon_mail_failures_total",
        "Tries to send a letter that failed: unavailable is tried again, refused is not.",
        "counter",
        ("reason",),
        lambda: [((reason,), count) for reason, count in outbox.failures.items()],
    )
    registry.asked_by(
        "pylon_auth_bearers_refused_total",
        "API keys and JWTs that opened nothing.",
        "counter",
        ("kind",),
        lambda: [((kind,), count) for kind, count in sessions.refusals.items()],
    )
