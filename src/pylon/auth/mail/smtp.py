"""Mail through an SMTP server, encrypted unless it is on this machine."""

from __future__ import annotations

import ssl
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, parseaddr
from pathlib import Path
from typing import Any

from pylon.auth.mail.transport import Letter, MailRefused, MailUnavailable

TIMEOUT_SECONDS = 15.0


class Smtp:
    """One server. `security` is `starttls` (which must succeed), `tls` or `off`; `ca_file` has the certificates of who
    signed the server's where that isn't a public authority."""

    name = "smtp"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: str = "starttls",
        user: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._user = user
        self._password = password
        self._context = None if security == "off" else ssl.create_default_context(cafile=ca_file)

    async def send(self, letter: Letter) -> None:
        """Hand it over."""
        import aiosmtplib

        message = compose(letter)
        try:
            await aiosmtplib.send(
                message,
                sender=parseaddr(letter.sender)[1],
                recipients=[letter.to],
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._security == "tls",
                start_tls=self._security == "starttls",
                tls_context=self._context,
                timeout=TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as problem:
            raise _sorted_out(problem.recipients[0].code, problem.recipients[0].message) from None
        except aiosmtplib.SMTPAuthenticationError as problem:
            raise MailUnavailable(f"SMTP {problem.code}: the server does not take the login") from None
        except aiosmtplib.SMTPResponseException as problem:
            raise _sorted_out(problem.code, problem.message) from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as problem:
            raise MailUnavailable(f"{type(problem).__name__}: {problem}"[:200]) from None

    async def close(self) -> None:
        """Every letter has a connection of its own."""


def compose(letter: Letter) -> EmailMessage:
    """The letter as a MIME message. Raises MailRefused for an address or subject that headers can't carry."""
    name, address = parseaddr(letter.sender)
    message = EmailMessage(policy=SMTP if letter.to.isascii() else SMTPUTF8)
    try:
        message["From"] = Address(display_name=name, addr_spec=address)
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = letter.subject
    except (ValueError, IndexError, HeaderParseError) as problem:  # the parser slips on odd addresses with IndexErrors
        raise MailRefused(f"no header takes it ({type(problem).__name__})") from None
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{letter.id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    if letter.html:
        message.add_alternative(letter.html, subtype="html")
    return message


def _sorted_out(code: int, message: Any) -> MailRefused | MailUnavailable:
    said = f"SMTP {code}: {message}"[:200]
    return MailRefused(said) if 500 <= code < 600 and code not in (530, 535, 538) else MailUnavailable(said)
