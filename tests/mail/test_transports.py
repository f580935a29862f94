"""Letters through real servers: SMTP with TLS, and HTTP as the providers speak it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.auth.mail.resend import Resend
from pylon.auth.mail.sendgrid import SendGrid
from pylon.auth.mail.smtp import Smtp
from pylon.auth.mail.transport import Letter, MailRefused, MailUnavailable
from pylon.auth.mail.webhook import SIGNATURE, Webhook, sign
from tests.mail.servers import PASSWORD, USER, certificate, provider, smtp_server

LETTER = Letter(
    id="mail_1",
    to="ann@example.com",
    sender="Notes <noreply@notes.example>",
    subject="Your code: ü",
    text="The code is 123456.\n",
    html="<p>The code is <b>123456</b>.</p>",
)


async def test_a_letter_arrives_by_smtp_as_text_and_html() -> None:
    with smtp_server() as (inbox, port):
        await Smtp("127.0.0.1", port, security="off").send(LETTER)
    [letter] = inbox.letters
    assert (letter["From"], letter["To"], letter["Subject"]) == (
        "Notes <noreply@notes.example>",
        "ann@example.com",
        "Your code: ü",
    )
    assert letter["Message-ID"] == "<mail_1@notes.example>"  # the same when it is sent again
    text, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == LETTER.text
    assert "<b>123456</b>" in html.get_content()
    assert inbox.envelopes[0].mail_from == "noreply@notes.example"


async def test_smtp_is_encrypted_before_it_logs_in(tmp_path: Path) -> None:
    ca, context = certificate(tmp_path)
    with smtp_server(context) as (inbox, port):
        await Smtp("127.0.0.1", port, user=USER, password=PASSWORD, ca_file=ca).send(LETTER)
        with pytest.raises(MailUnavailable, match="login"):
            await Smtp("127.0.0.1", port, user=USER, password="wrong", ca_file=ca).send(LETTER)
    assert inbox.was_encrypted == [True]


async def test_smtp_is_encrypted_from_the_first_byte_where_the_server_wants_that(tmp_path: Path) -> None:
    ca, context = certificate(tmp_path)
    with smtp_server(context, implicit=True) as (inbox, port):
        await Smtp("127.0.0.1", port, security="tls", ca_file=ca).send(LETTER)
    assert inbox.was_encrypted == [True]


async def test_a_mail_server_that_nobody_vouches_for_gets_no_letter(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    with smtp_server(context) as (inbox, port), pytest.raises(MailUnavailable):
        await Smtp("127.0.0.1", port, user=USER, password=PASSWORD).send(LETTER)
    assert not inbox.letters


async def test_a_mail_server_without_encryption_gets_no_letter_that_asks_for_it() -> None:
    with smtp_server() as (inbox, port), pytest.raises(MailUnavailable):
        await Smtp("127.0.0.1", port).send(LETTER)
    assert not inbox.letters


async def test_what_smtp_refuses_for_good_is_told_from_what_it_takes_later() -> None:
    with smtp_server() as (inbox, port):
        smtp = Smtp("127.0.0.1", port, security="off")
        inbox.answers = ["550 no such mailbox", "451 come again"]
        with pytest.raises(MailRefused, match="550"):
            await smtp.send(LETTER)
        with pytest.raises(MailUnavailable, match="451"):
            await smtp.send(LETTER)
    with pytest.raises(MailUnavailable):
        await smtp.send(LETTER)  # nobody there any more


@pytest.mark.parametrize("to", ["a,b@example.com", "a b@example.com", "<a@example.com", "a@example.com\r\nBcc: b@c.d"])
async def test_an_address_smuggles_no_second_recipient_in(to: str) -> None:
    with smtp_server() as (inbox, port), pytest.raises((MailRefused, MailUnavailable)):
        await Smtp("127.0.0.1", port, security="off").send(
            Letter(id="mail_2", to=to, sender=LETTER.sender, subject="x", text="x")
        )
    assert not inbox.letters


async def test_resend_gets_what_it_documents() -> None:
    with provider() as (got, url):
        resend = Resend("key-1", url)
        await resend.send(LETTER)
        await resend.close()
    [(_, headers, body, _)] = got.requests
    assert headers["Authorization"] == "Bearer key-1"
    assert headers["Idempotency-Key"] == "mail_1"
    assert body == {
        "from": LETTER.sender,
        "to": [LETTER.to],
        "subject": LETTER.subject,
        "text": LETTER.text,
        "html": LETTER.html,
    }


async def test_sendgrid_gets_what_it_documents_and_tracks_no_links() -> None:
    with provider() as (got, url):
        sendgrid = SendGrid("key-1", url)
        await sendgrid.send(LETTER)
        await sendgrid.close()
    [(_, headers, body, _)] = got.requests
    assert headers["Authorization"] == "Bearer key-1"
    assert body["personalizations"][0]["to"] == [{"email": LETTER.to}]
    assert body["from"] == {"email": "noreply@notes.example", "name": "Notes"}
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["tracking_settings"]["click_tracking"] == {"enable": False}


async def test_a_webhook_can_tell_who_posts() -> None:
    with provider() as (got, url):
        webhook = Webhook(url, "shared-secret", clock=lambda: 1_800_000_000.5)
        await webhook.send(LETTER)
        await webhook.close()
    [(_, headers, body, raw)] = got.requests
    assert headers[SIGNATURE] == sign(b"shared-secret", raw, 1_800_000_000)
    assert headers[SIGNATURE] != sign(b"another", raw, 1_800_000_000)
    assert (body["to"], body["from"], body["body"], body["id"]) == (
        LETTER.to,
        LETTER.sender,
        LETTER.text,
        LETTER.id,
    )


@pytest.mark.parametrize(("status", "kind"), [(422, MailRefused), (401, MailUnavailable), (500, MailUnavailable)])
async def test_what_a_provider_says_decides_whether_it_is_asked_again(status: int, kind: type[Exception]) -> None:
    with provider() as (got, url):
        got.answers.append((status, {}))
        resend = Resend("key-1", url)
        with pytest.raises(kind, match=str(status)):
            await resend.send(LETTER)
        await resend.close()


async def test_a_busy_provider_says_when_to_come_again_and_a_redirect_leads_nowhere() -> None:
    with provider() as (got, url):
        got.answers += [(429, {"Retry-After": "90"}), (307, {"Location": url})]
        resend = Resend("key-1", url)
        with pytest.raises(MailUnavailable) as busy:
            await resend.send(LETTER)
        assert busy.value.wait == 90
        with pytest.raises(MailUnavailable):
            await resend.send(LETTER)
        await resend.close()
    assert len(got.requests) == 2
