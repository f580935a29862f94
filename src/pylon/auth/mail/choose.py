"""From the settings to the transport that they name."""

from __future__ import annotations

from pylon.auth.mail.console import Console
from pylon.auth.mail.resend import Resend
from pylon.auth.mail.sendgrid import SendGrid
from pylon.auth.mail.smtp import Smtp
from pylon.auth.mail.transport import Transport
from pylon.auth.mail.webhook import Webhook
from pylon.settings import EmailProvider, Settings


def transport(settings: Settings) -> Transport | None:
    """What carries letters; None for nothing. `settings` were found complete when they were loaded."""
    endpoint, key = settings.email_endpoint, settings.email_api_key or ""
    match settings.email_provider:
        case EmailProvider.SMTP:
            return Smtp(
                settings.smtp_host or "127.0.0.1",
                settings.smtp_port,
                security=settings.smtp_security.value,
                user=settings.smtp_user,
                password=settings.smtp_password,
                ca_file=settings.smtp_ca_file,
            )
        case EmailProvider.RESEND:
            return Resend(key, endpoint)
        case EmailProvider.SENDGRID:
            return SendGrid(key, endpoint)
        case EmailProvider.WEBHOOK:
            return Webhook(endpoint or "", settings.email_webhook_secret or "", settings.email_api_key)
        case EmailProvider.CONSOLE:
            return Console()
        case EmailProvider.OFF:
            return None
