"""Game days: the mail server is down, another system takes no webhooks, a background task fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from pylon.testing.process import ServerProcess, free_port
from tests.containment.test_switches import eventually
from tests.gamedays.conftest import APP, operator_of
from tests.gamedays.prometheus import watching
from tests.mail.servers import smtp_server

PEOPLE = """
from pylon import App, Entity, field

app = App("people")


class User(Entity, crdt=False):
    email: str | None = field(unique=True)

    class Policy:
        read = "auth.userId == data.id"
"""


def test_mail_that_is_stuck_is_seen_and_sent_once_the_mail_server_is_back(tmp_path: Path) -> None:
    port = free_port()
    env = {
        "PYLON_EMAIL_PROVIDER": "smtp",
        "PYLON_SMTP_HOST": "127.0.0.1",
        "PYLON_SMTP_PORT": str(port),
        "PYLON_SMTP_SECURITY": "off",
        "PYLON_EMAIL_FROM": "noreply@example.com",
    }
    (tmp_path / "app.py").write_text(PEOPLE)
    with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=env) as server:
        operator = operator_of(server, tmp_path)
        quick = {"pylon_mail_oldest_seconds > 120": "pylon_mail_oldest_seconds > 1"}
        with watching(server, tmp_path / "prometheus", quick) as prometheus:
            assert server.request("POST", "/api/auth/magic/send", {"email": "ann@example.org"})[0] == 200
            prometheus.wait_for("PylonMailStuck")
            assert "1 waiting" in operator.follow("mail", "Look")
            with smtp_server(port=port) as (inbox, _):
                operator.follow("mail", "Do")
                eventually(lambda: len(inbox.letters) >= 1)  # the test; the switch holds the other back
                operator.follow("mail", "Undo")
                eventually(lambda: {letter["To"] for letter in inbox.letters} == {"me@example.com", "ann@example.org"})
                assert "0 waiting" in operator.follow("mail", "Verify")
                prometheus.wait_until_quiet("PylonMailStuck")


class _Other(BaseHTTPRequestHandler):
    """Another system; it is down while `status` says so."""

    status: ClassVar[int] = 503
    taken: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.status == 200:
            self.taken.append(body)
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *told: object) -> None:
        """Not told."""


@contextmanager
def other_system() -> Iterator[str]:
    _Other.status, _Other.taken = 503, []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Other) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/in"
        finally:
            server.shutdown()


def test_a_system_that_takes_no_webhooks_is_seen_and_gets_all_of_them_when_it_is_back(tmp_path: Path) -> None:
    env = {"PYLON_OUTBOUND_ALLOW": "127.0.0.0/8"}
    quick = {"pylon_webhook_oldest_seconds > 900": "pylon_webhook_oldest_seconds > 1"}
    with other_system() as url, ServerProcess(APP, tmp_path / "data", env=env) as server:
        operator = operator_of(server, tmp_path)
        operator.run(f"pylon webhooks add crm {url} --entity Note")
        with watching(server, tmp_path / "prometheus", quick) as prometheus:
            for n in range(5):
                server.request("POST", "/api/entities/Note", {"title": f"n{n}"})
            prometheus.wait_for("PylonWebhookBacklog", webhook="crm")
            assert "503" in operator.follow("webhooks", "Look")
            _Other.status = 200
            operator.follow("webhooks", "Do")
            eventually(lambda: len(_Other.taken) == 5)
            operator.follow("webhooks", "Verify")
            prometheus.wait_until_quiet("PylonWebhookBacklog")


def test_a_background_task_that_fails_is_named_and_goes_on_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "archive").write_text("a file where the archive's folder should be")
    with ServerProcess(APP, data, env={"PYLON_ARCHIVE_SECS": "0.2"}) as server:
        operator = operator_of(server, tmp_path)
        with watching(server, tmp_path / "prometheus") as prometheus:
            server.request("POST", "/api/entities/Note", {"title": "x"})
            prometheus.wait_for("PylonTaskFailing", task="archive")
            looked = operator.follow("background-work", "Look")
            assert "archiving failed" in looked
            operator.follow("background-work", "Do")
            (data / "archive").unlink()
            prometheus.wait_until_quiet("PylonTaskFailing")
        operator.follow("background-work", "Verify")
        assert list((data / "archive").rglob("head.json"))
