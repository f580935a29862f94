"""The alarms of mail: people wait for a code that doesn't come, and nobody but the operator can see why."""

from __future__ import annotations

from pylon.auth.mail.outbox import Outbox
from pylon.ops.alarm_rules import RUNBOOK, PerMinute
from pylon.ops.alarms import Alarm

WAITING_SECONDS = 120.0
GIVEN_UP_PER_MINUTE = 5


def mail_alarms(outbox: Outbox) -> list[Alarm]:
    """None where no mail is sent."""
    if not outbox.is_on:
        return []
    return [
        Alarm(
            name="mail-queue",
            read=lambda: outbox.counts()["oldest_secs"],
            raise_at=WAITING_SECONDS,
            clear_at=WAITING_SECONDS / 4,
            unit="seconds",
            text="Mail has waited for {value} (limit {threshold}): people can't sign in by code or link. `pylon mail "
            "list` says why.",
            runbook=f"{RUNBOOK}#mail",
        ),
        Alarm(
            name="mail-refused",
            read=PerMinute(lambda: outbox.given_up),
            raise_at=GIVEN_UP_PER_MINUTE,
            clear_at=0,
            unit="letters",
            text="{value} were given up in the last minute (limit {threshold}). `pylon mail list dead` says why.",
            runbook=f"{RUNBOOK}#mail",
        ),
    ]
