"""A server whose mail can't work, or would show codes, does not start and says which variable it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon import App, Entity
from pylon.model.errors import PylonError
from pylon.settings import EmailProvider, Settings, SettingsError
from pylon.testing.identity import open_foundation

WORKING = {
    "PYLON_EMAIL_PROVIDER": "smtp",
    "PYLON_SMTP_HOST": "mail.example.com",
    "PYLON_EMAIL_FROM": "Notes <noreply@example.com>",
    "PYLON_PUBLIC_URL": "https://app.example.com",
}


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        Settings.load(environ)
    return str(refused.value)


def test_mail_is_off_in_production_until_it_is_set_up_and_on_the_console_in_dev_mode() -> None:
    assert Settings.load({}).email_provider is EmailProvider.OFF
    assert Settings.load({"PYLON_DEV_MODE": "1"}).email_provider is EmailProvider.CONSOLE
    assert Settings.load(WORKING).email_provider is EmailProvider.SMTP


def test_codes_are_never_shown_in_the_log_of_a_server_in_production() -> None:
    assert "PYLON_EMAIL_PROVIDER" in refusal(PYLON_EMAIL_PROVIDER="console")


@pytest.mark.parametrize("missing", ["PYLON_SMTP_HOST", "PYLON_EMAIL_FROM", "PYLON_PUBLIC_URL"])
def test_what_mail_needs_is_named(missing: str) -> None:
    assert missing in refusal(**{name: value for name, value in WORKING.items() if name != missing})


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("resend", "PYLON_EMAIL_API_KEY"),
        ("sendgrid", "PYLON_EMAIL_API_KEY"),
        ("webhook", "PYLON_EMAIL_WEBHOOK_SECRET"),
        ("webhook", "PYLON_EMAIL_ENDPOINT"),
    ],
)
def test_each_provider_names_what_it_lacks(provider: str, missing: str) -> None:
    assert missing in refusal(**WORKING | {"PYLON_EMAIL_PROVIDER": provider})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYLON_SMTP_SECURITY", "off"),
        ("PYLON_SMTP_USER", "alone"),
        ("PYLON_SMTP_CA_FILE", "/there/is/no/such.pem"),
        ("PYLON_EMAIL_FROM", "nobody"),
        ("PYLON_DASHBOARD_URL", "//evil.example"),
        ("PYLON_PUBLIC_URL", "app.example.com"),
    ],
)
def test_what_would_be_unsafe_or_senseless_is_refused(name: str, value: str) -> None:
    assert name in refusal(**WORKING | {name: value})


def test_addresses_are_proved_by_mail_only() -> None:
    assert "PYLON_REQUIRE_EMAIL_VERIFICATION" in refusal(PYLON_REQUIRE_EMAIL_VERIFICATION="1")


async def test_proving_addresses_needs_a_place_to_note_it(tmp_path: Path) -> None:
    class User(Entity, crdt=False):
        email: str | None = None

        class Policy:
            read = "auth.userId == data.id"

    app = App("plain", entities=[User]).spec()
    with pytest.raises(PylonError, match="emailVerified") as refused:
        async with open_foundation(app, tmp_path, require_email_verification=True):
            pass
    assert refused.value.code == "CONFIG_INVALID"
