"""Real servers that take mail: SMTP with and without encryption, and HTTP as providers speak it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "mailer", "smtp-password-of-the-tests"


class Inbox:
    """What an SMTP server got. `answers` are given in turn instead of taking a letter."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Any] = []
        self.was_encrypted: list[bool] = []
        self.answers: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        letter = message_from_bytes(envelope.content, policy=default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.envelopes.append(envelope)
        self.was_encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, and a server's context with it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "mail.pem", folder / "mail.key"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=False)


@contextlib.contextmanager
def smtp_server(context: ssl.SSLContext | None = None, *, implicit: bool = False) -> Iterator[tuple[Inbox, int]]:
    """(what it got, its port). With a context it asks for STARTTLS and a login; `implicit` encrypts from the
    start instead, and asks for none."""
    inbox = Inbox()
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
    if implicit:
        options["ssl_context"] = context
    elif context is not None:
        options |= {"tls_context": context, "require_starttls": True, "authenticator": _login, "auth_required": True}
    controller = _AnyPort(inbox, **options)
    controller.start()
    try:
        assert controller.server is not None
        yield inbox, controller.server.sockets[0].getsockname()[1]
    finally:
        controller.stop()


class _AnyPort(Controller):
    """A controller on a port of the system's choice: it looks for its server there, to see it start. It leaves no
    connection open."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sessions: list[Any] = []

    def factory(self) -> Any:
        made = super().factory()
        self._sessions.append(made)
        return made

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def stop(self, no_assert: bool = False) -> None:
        async def hang_up() -> None:
            for session in self._sessions:
                for transport in (session.transport, session._original_transport):
                    if transport is not None:
                        transport.abort()
            await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(hang_up(), self.loop).result(5)
        super().stop(no_assert)


class Provider(BaseHTTPRequestHandler):
    """Takes what is posted. `answers` are (status, headers) given in turn, then 200."""

    requests: ClassVar[list[tuple[str, dict[str, str], Any, bytes]]] = []
    answers: ClassVar[list[tuple[int, dict[str, str]]]] = []

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, dict(self.headers), json.loads(raw), raw))
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def provider() -> Iterator[tuple[type[Provider], str]]:
    """(what it got and answers, its address)."""
    kind = type("OneProvider", (Provider,), {"requests": [], "answers": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kind, f"http://127.0.0.1:{server.server_port}/send"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
