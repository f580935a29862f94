"""The letters that Pylon writes, and what each says of itself to its template."""

from __future__ import annotations

import enum


class MailKind(enum.StrEnum):
    """One kind of letter; the value is the name of its template."""

    MAGIC_CODE = "magic_code"
    MAGIC_LINK = "magic_link"
    VERIFY_EMAIL = "verify_email"
    ACCOUNT_EXISTS = "account_exists"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - names of letters
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    ORG_INVITE = "org_invite"
    TEST = "test"


SAMPLES: dict[MailKind, dict[str, str]] = {
    MailKind.MAGIC_CODE: {"code": "123456", "minutes": "10"},
    MailKind.MAGIC_LINK: {"url": "https://example.com/x", "minutes": "15"},
    MailKind.VERIFY_EMAIL: {"code": "123456", "minutes": "10"},
    MailKind.ACCOUNT_EXISTS: {},
    MailKind.PASSWORD_RESET: {"url": "https://example.com/x", "minutes": "30"},
    MailKind.PASSWORD_CHANGED: {},
    MailKind.EMAIL_CHANGE: {"url": "https://example.com/x", "hours": "24"},
    MailKind.EMAIL_CHANGED: {"email": "new@example.com"},
    MailKind.ORG_INVITE: {"org_name": "Example", "url": "https://example.com/x"},
    MailKind.TEST: {},
}
"""The values that each template gets beside `app`, as they are when the templates are tried at start."""
