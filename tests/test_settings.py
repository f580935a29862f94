"""Settings: defaults, what is refused and how it is said, and that secrets stay secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.settings import (
    VARIABLES,
    LogFormat,
    Settings,
    SettingsError,
    Synchronous,
    effective,
    unknown_variables,
)

TOKEN = "a-token-that-is-long-enough"


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return str(caught.value)


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.load({})
    assert (settings.port, settings.host, settings.dev_mode) == (4321, "0.0.0.0", False)
    assert settings.sqlite_synchronous is Synchronous.FULL
    assert settings.database_path == Path(".pylon/pylon.db")
    assert settings == Settings()


def test_an_empty_value_counts_as_unset() -> None:
    assert Settings.load({"PYLON_PORT": " ", "PYLON_ADMIN_TOKEN": ""}) == Settings()


def test_dev_mode_opens_origins_and_drains_fast() -> None:
    settings = Settings.load({"PYLON_DEV_MODE": "1"})
    assert settings.drain_secs == 1.0
    assert settings.cors_origins == settings.csrf_origins == ("*",)
    assert settings.cookie_secure is False


def test_an_explicit_value_wins_over_the_dev_default() -> None:
    assert Settings.load({"PYLON_DEV_MODE": "1", "PYLON_DRAIN_SECS": "7"}).drain_secs == 7


def test_csrf_origins_follow_cors_origins() -> None:
    settings = Settings.load({"PYLON_CORS_ORIGIN": "https://App.example.com, https://b.example"})
    assert settings.csrf_origins == ("https://app.example.com", "https://b.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYLON_PORT", "abc"),
        ("PYLON_PORT", "65536"),
        ("PYLON_PORT", "-1"),
        ("PYLON_FN_CALL_TIMEOUT", "nan"),
        ("PYLON_FN_CALL_TIMEOUT", "0"),
        ("PYLON_FN_CALL_TIMEOUT", "inf"),
        ("PYLON_DEV_MODE", "maybe"),
        ("PYLON_LOG_FORMAT", "xml"),
        ("PYLON_SQLITE_SYNCHRONOUS", "OFF"),
        ("PYLON_CORS_ORIGIN", "example.com"),
        ("PYLON_CORS_ORIGIN", "https://example.com/path"),
        ("PYLON_CORS_ORIGIN", "https://exa\nmple.com"),
        ("PYLON_COOKIE_NAME", "a b"),
        ("DATABASE_URL", "mysql://localhost/x"),
    ],
)
def test_a_malformed_value_is_refused_by_name(name: str, value: str) -> None:
    assert refusal(**{name: value}).startswith(f"{name}: ")


def test_every_malformed_variable_is_named_at_once() -> None:
    text = refusal(PYLON_PORT="x", PYLON_DRAIN_SECS="y")
    assert "PYLON_PORT" in text
    assert "PYLON_DRAIN_SECS" in text


def test_a_wildcard_origin_is_refused_outside_dev_mode() -> None:
    assert "PYLON_CORS_ORIGIN" in refusal(PYLON_CORS_ORIGIN="*")
    assert "PYLON_CSRF_ORIGINS" in refusal(PYLON_CSRF_ORIGINS="*")


def test_a_short_token_is_refused_outside_dev_mode_and_never_shown() -> None:
    text = refusal(PYLON_ADMIN_TOKEN=f"{TOKEN},short-one", PYLON_METRICS_TOKEN="tiny-one")
    assert "PYLON_ADMIN_TOKEN" in text
    assert "PYLON_METRICS_TOKEN" in text
    assert "short-one" not in text
    assert "tiny-one" not in text
    assert Settings.load({"PYLON_ADMIN_TOKEN": "short", "PYLON_DEV_MODE": "1"}).admin_tokens == ("short",)


def test_a_refused_database_url_does_not_show_its_password() -> None:
    assert "hunter2" not in refusal(DATABASE_URL="mysql://me:hunter2@host/db")


def test_several_admin_tokens_are_valid_at_once() -> None:
    assert Settings.load({"PYLON_ADMIN_TOKEN": f"{TOKEN}-1, {TOKEN}-2"}).admin_tokens == (f"{TOKEN}-1", f"{TOKEN}-2")


def test_choices_ignore_case() -> None:
    settings = Settings.load({"PYLON_LOG_FORMAT": "JSON", "PYLON_SQLITE_SYNCHRONOUS": "normal"})
    assert settings.log_format is LogFormat.JSON
    assert settings.sqlite_synchronous is Synchronous.NORMAL


def test_an_unknown_variable_is_told_with_the_nearest_name() -> None:
    (problem,) = unknown_variables({"PYLON_PROT": "1", "PYLON_PORT": "2", "PATH": "3"})
    assert problem.variable == "PYLON_PROT"
    assert "PYLON_PORT" in problem.mend


def test_a_retired_variable_names_what_replaced_it() -> None:
    (problem,) = unknown_variables({"PYLON_DB_PATH": "x"})
    assert "PYLON_DATA_DIR" in problem.mend


def test_secrets_are_masked_in_the_effective_values() -> None:
    settings = Settings.load({"PYLON_ADMIN_TOKEN": TOKEN, "DATABASE_URL": "postgres://me:pw@h/db"})
    shown = {variable.name: effective(settings, variable) for variable in VARIABLES}
    assert shown["PYLON_ADMIN_TOKEN"] == shown["DATABASE_URL"] == "***"
    assert shown["PYLON_METRICS_TOKEN"] is None
    assert shown["PYLON_PORT"] == "4321"


def test_every_default_reads_back_as_itself() -> None:
    settings = Settings()
    for variable in VARIABLES:
        value = effective(settings, variable)
        if value is not None and not variable.secret:
            assert Settings.load({variable.name: value}) == settings, variable.name


def test_networks_that_may_be_called_are_networks() -> None:
    assert Settings.load({"PYLON_OUTBOUND_ALLOW": "10.1.0.0/16, ::1"}).outbound_allow == ("10.1.0.0/16", "::1")
    assert "PYLON_OUTBOUND_ALLOW" in refusal(PYLON_OUTBOUND_ALLOW="internal.example.com")
