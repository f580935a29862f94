"""The shipped proxy configurations in real proxies: on free ports, with a certificate of their own, in front of a real
server. Only ports, paths and the operators' addresses are replaced; what is replaced must be there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from pylon.testing.process import ServerProcess, free_port
from tests.deploy.places import DEPLOY, certificate, eventually, need, write_app

HOST = "app.example.com"
OPERATOR, CLIENT = "127.0.0.1", "127.0.0.9"
"""Whom the proxy sees: loopback has many addresses, and the tests' operators have only the first."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Message
    body: bytes


class Proxied:
    """A server behind a proxy, and how clients at several addresses reach it."""

    def __init__(self, kind: str, server: ServerProcess, http: int, https: int, trusted: Path) -> None:
        self.kind = kind
        self.server = server
        self.http = http
        self.https = https
        self.tls = ssl.create_default_context(cafile=str(trusted))

    def connect(self, source: str = CLIENT, *, encrypted: bool = True) -> socket.socket:
        """A connection to the proxy from that address."""
        port = self.https if encrypted else self.http
        plain = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        return self.tls.wrap_socket(plain, server_hostname=HOST) if encrypted else plain

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        source: str = CLIENT,
        encrypted: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        """One request on a connection of its own; the answer with its body still to be read."""
        with self.connect(source, encrypted=encrypted) as opened:
            connection = HTTPConnection(HOST, timeout=10)
            connection.sock = opened
            with contextlib.suppress(OSError):  # refused while it was being sent: the answer says why
                connection.request(method, path, body, headers or {})
            with connection.getresponse() as answer:
                yield answer

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        source: str = CLIENT,
        encrypted: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request and its whole answer."""
        with self.stream(method, path, body, source=source, encrypted=encrypted, headers=headers) as answer:
            return Answer(answer.status, answer.headers, answer.read())


def replaced(text: str, replacements: dict[str, str]) -> str:
    """The text with each replacement made; each must change something."""
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not in the shipped file"
        text = text.replace(old, new)
    return text


def nginx_configuration(folder: Path, upstream: int, http: int, https: int) -> Path:
    """A main configuration that includes the shipped one."""
    crt, key = certificate(folder)
    shipped = replaced(
        (DEPLOY / "nginx" / "pylon.conf").read_text("utf-8"),
        {
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            "listen 80;": f"listen 127.0.0.1:{http};",
            "listen 443 ssl": f"listen 127.0.0.1:{https} ssl",
            "/etc/nginx/tls/pylon.crt": str(crt),
            "/etc/nginx/tls/pylon.key": str(key),
            "/var/www/acme": str(folder / "acme"),
            "127.0.0.1:4321": f"127.0.0.1:{upstream}",
            "127.0.0.0/8": OPERATOR,
        },
    )
    (folder / "pylon.conf").write_text(shipped)
    temporary = "".join(
        f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"{'user root;' if os.getuid() == 0 else ''}\n"
        f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{\n    access_log {folder}/access.log;\n{temporary}    include {folder}/pylon.conf;\n}}\n"
    )
    return main


def caddy_configuration(folder: Path, upstream: int, http: int, https: int) -> Path:
    """The shipped Caddyfile with ports and a certificate of the test's."""
    crt, key = certificate(folder)
    shipped = replaced(
        (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8"),
        {
            f"\n{HOST} {{\n": f"\n{HOST} {{\n\tbind 127.0.0.1\n\ttls {crt} {key}\n",
            "reverse_proxy 127.0.0.1:4321": f"reverse_proxy 127.0.0.1:{upstream}",
            "not remote_ip 127.0.0.0/8 ::1\n\t\t#": f"not remote_ip {OPERATOR}\n\t\t#",
        },
    )
    path = folder / "Caddyfile"
    path.write_text(f"{{\n\tadmin off\n\thttp_port {http}\n\thttps_port {https}\n}}\n{shipped}")
    return path


@contextlib.contextmanager
def nginx(folder: Path, upstream: int, http: int, https: int) -> Iterator[None]:
    """nginx, until the block ends."""
    main = nginx_configuration(folder, upstream, http, https)
    yield from _running([need("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(main)], folder)


@contextlib.contextmanager
def caddy(folder: Path, upstream: int, http: int, https: int) -> Iterator[None]:
    """Caddy, until the block ends."""
    path = caddy_configuration(folder, upstream, http, https)
    yield from _running([need("caddy"), "run", "--adapter", "caddyfile", "--config", str(path)], folder)


def _running(command: list[str], folder: Path) -> Iterator[None]:
    environ = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def proxied(kind: str, folder: Path) -> Iterator[Proxied]:
    """A server in production mode behind nginx or Caddy."""
    need(kind)
    http, https = free_port(), free_port()
    settings = {"PYLON_DEV_MODE": "", "PYLON_TRUST_PROXY_HOPS": "1", "PYLON_EXTRA_PORTS": "false"}
    start = {"nginx": nginx, "caddy": caddy}[kind]
    proxy_folder = folder / kind
    proxy_folder.mkdir()
    with (
        ServerProcess(write_app(folder / "app"), folder / "data", env=settings) as server,
        start(proxy_folder, server.port, http, https),
    ):
        made = Proxied(kind, server, http, https, proxy_folder / "pylon.crt")
        eventually(lambda: _answers(made), f"{kind} answers")
        yield made


def _answers(made: Proxied) -> bool:
    try:
        return made.send("GET", "/health").status == 200
    except OSError:
        return False
