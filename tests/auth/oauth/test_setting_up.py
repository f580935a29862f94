"""What an operator writes, what of it refuses to start, and what never shows a secret."""

from __future__ import annotations

import pytest

from pylon.auth.methods.oauth.exchange import masked
from pylon.ops.incident.mask import Mask
from pylon.settings import Settings, SettingsError, unknown_variables


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load({f"PYLON_OAUTH_{name}": value for name, value in variables.items()})
    return str(caught.value)


def test_providers_are_read_by_name() -> None:
    settings = Settings.load(
        {
            "PYLON_OAUTH_GITHUB_CLIENT_ID": "id",
            "PYLON_OAUTH_GITHUB_CLIENT_SECRET": "the-secret",
            "PYLON_OAUTH_GITHUB_SCOPES": "user:email  read:org",
            "PYLON_OAUTH_MY_CORP_OIDC_ISSUER": "https://id.corp.example",
            "PYLON_OAUTH_MY_CORP_CLIENT_ID": "id",
            "PYLON_OAUTH_MY_CORP_EMAIL_DOMAINS": "Corp.example, @corp.test",
        }
    )
    github, corp = settings.oauth
    assert (github.name, github.scopes) == ("github", ("user:email", "read:org"))
    assert (corp.name, corp.email_domains) == ("my_corp", ("corp.example", "corp.test"))
    assert "the-secret" not in repr(settings)
    assert "the-secret" not in Mask.of(settings).text("x the-secret y")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"FRIENDSTER_CLIENT_ID": "x"}, "PYLON_OAUTH_FRIENDSTER_OIDC_ISSUER"),
        ({"GITHUB_CLIENT_ID": "x"}, "PYLON_OAUTH_GITHUB_CLIENT_SECRET"),
        ({"GITHUB_CLIENT_SECRET": "x"}, "PYLON_OAUTH_GITHUB_CLIENT_ID"),
        ({"GOOGLE_OIDC_ISSUER": "https://x.example"}, "PYLON_OAUTH_GOOGLE_OIDC_ISSUER"),
        ({"CORP_OIDC_ISSUER": "http://id.corp.example", "CORP_CLIENT_ID": "x"}, "PYLON_OAUTH_CORP_OIDC_ISSUER"),
        ({"CORP_OIDC_ISSUER": "http://127.0.0.1:9", "CORP_CLIENT_ID": "x"}, "PYLON_OAUTH_CORP_OIDC_ISSUER"),
        ({"CORP_OIDC_ISSUER": "https://u:p@x.example", "CORP_CLIENT_ID": "x"}, "PYLON_OAUTH_CORP_OIDC_ISSUER"),
        ({"APPLE_CLIENT_ID": "x"}, "PYLON_OAUTH_APPLE_PRIVATE_KEY"),
        (
            {"MICROSOFT_CLIENT_ID": "x", "MICROSOFT_CLIENT_SECRET": "y", "MICROSOFT_TENANT": "corp.example"},
            "PYLON_OAUTH_MICROSOFT_TENANT",
        ),
    ],
)
def test_a_provider_that_is_half_set_up_refuses_to_start(variables: dict[str, str], named: str) -> None:
    assert named in refusal(**variables)


def test_a_variable_of_the_family_is_known_and_a_slip_of_it_is_not() -> None:
    assert not unknown_variables({"PYLON_OAUTH_CORP_CLIENT_ID": "x"})
    assert unknown_variables({"PYLON_OAUTH_CORP_CLIENTID": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "code=SECRETS&x=1",
        "a=1&client_secret=SECRETS",
        '{"access_token": "SECRETS"}',
        '{"id_token":"SEC\\"RETS", "x": 1}',
        '{"refresh_token":"SECRETS',
        "it was SECRETS that failed",
    ],
)
def test_what_is_told_of_a_failure_has_no_secrets(text: str) -> None:
    assert "RETS" not in masked(text, ["SECRETS"])
    assert "***" in masked(text, ["SECRETS"])
