"""What happens to accounts and sessions, in the audit log (spec 03 §23): who did it to whom, from where, and whether it
succeeded. A user may ask for its own, an admin for all."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from pylon.auth.arrival import MAX_AGENT, Arrival
from pylon.auth.vault import new_id
from pylon.engine.audit.records import AUTH, AuditEntry, Detail, of_auth
from pylon.engine.audit.search import AuditFilter
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction

MAX_EVENTS = 1000


class Event(enum.StrEnum):
    """Every event there is."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    SIGN_UP = "sign_up"
    SESSION_REVOKE = "session_revoke"
    SESSION_REUSE = "session_reuse"
    PASSWORD_CHANGE = "password_change"  # noqa: S105 - names of events
    PASSWORD_RESET_REQUEST = "password_reset_request"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    EMAIL_VERIFY = "email_verify"
    EMAIL_CHANGE = "email_change"
    SECOND_FACTOR_ASK = "second_factor_ask"
    TOTP_ENROLL = "totp_enroll"
    TOTP_DISABLE = "totp_disable"
    TOTP_CHECK = "totp_check"
    TOTP_BACKUP_CODES = "totp_backup_codes_regenerate"
    TRUSTED_DEVICE_ADD = "trusted_device_add"
    TRUSTED_DEVICE_REVOKE = "trusted_device_revoke"
    PASSKEY_REGISTER = "passkey_register"
    PASSKEY_REVOKE = "passkey_revoke"
    API_KEY_CREATE = "api_key_create"
    API_KEY_REVOKE = "api_key_revoke"
    OAUTH_LINK = "oauth_link"
    OAUTH_UNLINK = "oauth_unlink"
    ORG_CREATE = "org_create"
    ORG_UPDATE = "org_update"
    ORG_DELETE = "org_delete"
    ORG_SELECT = "org_select"
    ORG_INVITE_SEND = "org_invite_send"
    ORG_INVITE_REVOKE = "org_invite_revoke"
    ORG_INVITE_ACCEPT = "org_invite_accept"
    ORG_MEMBER_REMOVE = "org_member_remove"
    ORG_ROLE_CHANGE = "org_role_change"
    ACCOUNT_DELETE = "account_delete"
    ACCOUNT_EXPORT = "account_export"
    ANONYMOUS_MERGE = "anonymous_merge"
    ADMIN_PROMOTE = "admin_promote"


def record(
    tx: Transaction,
    arrival: Arrival,
    event: Event,
    subject: str | None,
    *,
    failure: str = "",
    tenant: str | None = None,
    **details: Detail,
) -> None:
    """Record an event in the transaction of what happened. `subject` is whose account it is about; `failure` a short
    code of why it did not succeed. Never a secret, nor an address that nobody proved to own."""
    caller = arrival.caller
    tx.record_auth(
        of_auth(
            caller,
            event.value,
            subject,
            identifier=new_id("evt_"),
            tenant=tenant if tenant is not None else caller.identity.tenant_id,
            agent=(arrival.agent or "")[:MAX_AGENT],
            failure=failure,
            details=details,
        )
    )


class Events:
    """The events of one server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def record(
        self,
        arrival: Arrival,
        event: Event,
        subject: str | None,
        *,
        failure: str = "",
        tenant: str | None = None,
        **details: Detail,
    ) -> None:
        """Record an event by itself, such as a failure; durable when this returns."""
        await self._engine.run(
            arrival.caller,
            lambda tx: record(tx, arrival, event, subject, failure=failure, tenant=tenant, **details),
            authority=Authority.TRUSTED,
        )

    async def search(
        self, *, user: str | None = None, tenant: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The newest events by or about a user, of an organisation, or all, as spec 03 §23 shows them."""
        wanted = AuditFilter(kinds=frozenset({AUTH}), user=user, tenant=tenant, limit=max(1, min(limit, MAX_EVENTS)))
        return [_shown(entry) for entry in await self._engine.audit.search(wanted)]


def _shown(entry: AuditEntry) -> dict[str, Any]:
    details = dict(entry.details)
    shown = {
        "id": details.pop("id"),
        "created_at": int(entry.at),
        "action": entry.action,
        "user_id": details.pop("subject"),
        "actor_id": entry.user,
        "tenant_id": details.pop("tenant"),
        "ip": entry.ip,
        "user_agent": details.pop("user_agent") or None,
        "success": details.pop("success"),
        "reason": details.pop("reason"),
        "request_id": entry.request_id,
    }
    return shown | {"metadata": {key: _text(value) for key, value in details.items() if value is not None}}


def _text(value: Detail) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
