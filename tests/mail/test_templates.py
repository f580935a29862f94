"""Letters: in the app's name, in its own words and languages, and nothing in them that a stranger put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.auth.mail.kinds import SAMPLES, MailKind
from pylon.auth.mail.languages import languages_of
from pylon.auth.mail.templates import Templates
from pylon.model.errors import PylonError


@pytest.mark.parametrize("kind", list(MailKind))
def test_every_letter_says_who_writes_and_has_text_and_html(kind: MailKind) -> None:
    made = Templates("Notes").render(kind, SAMPLES[kind])
    assert "Notes" in made.subject + made.text
    assert made.html.startswith("<!doctype html>")
    assert "pylon" not in (made.subject + made.text + made.html).lower()  # the brand is the app's
    for value in SAMPLES[kind].values():
        assert value in made.subject + made.text


def test_what_others_wrote_is_escaped_in_html_and_breaks_no_subject() -> None:
    made = Templates("Notes").render(
        MailKind.ORG_INVITE, {"org_name": "<img src=x>\r\nBcc: b@c.d", "url": "https://x.example/?a=1&b='\""}
    )
    assert "<img" not in made.html
    assert "&lt;img" in made.html
    assert "\n" not in made.subject
    assert 'href="https://x.example/?a=1&amp;b=&#39;&#34;"' in made.html


def test_an_app_writes_its_own_letters_in_the_languages_it_has(tmp_path: Path) -> None:
    (tmp_path / "magic_code.txt").write_text("Subject: {{ code }} is your code\n\nHello!\n")
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "magic_code.txt").write_text("Subject: Dein Code\n\n{{ code }}\n", "utf-8")
    templates = Templates("Notes", tmp_path)
    templates.check()
    values = SAMPLES[MailKind.MAGIC_CODE]
    assert templates.render("magic_code", values).subject == "123456 is your code"
    assert templates.render("magic_code", values, languages_of("de-CH,en;q=0.5")).subject == "Dein Code"
    assert templates.render("magic_code", values, languages_of("fr")).subject == "123456 is your code"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Subject: x\n\n{{ cod }}", "cod"),
        ("Subject: x\n\n{% if %}", "line 3"),
        ("Hello {{ code }}", "Subject"),
    ],
)
def test_a_slip_in_a_template_refuses_to_start_and_names_it(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "magic_code.txt").write_text(text)
    with pytest.raises(PylonError, match=says) as refused:
        Templates("Notes", tmp_path).check()
    assert refused.value.code == "MAIL_TEMPLATE_INVALID"
    assert "mail/magic_code.txt" in str(refused.value)


def test_a_language_names_no_other_folder() -> None:
    assert languages_of("../../etc, de;q=1, a/b") == ["de"]
