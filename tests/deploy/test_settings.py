"""Whatever is shipped for deploying speaks of settings, commands and routes that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylon.cli.commands import find
from pylon.settings import VARIABLES, Settings
from tests.deploy.places import DEPLOY, ROOT

SHIPPED = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_in_a_shipped_file_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bPYLON_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8")))
    assert named <= {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_command_in_a_shipped_file_exists(path: Path) -> None:
    for name in re.findall(r"(?:bin/|`)pylon ([a-z-]+)", path.read_text("utf-8")):
        assert find(name) is not None, name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_shipped_file_holds_a_secret(path: Path) -> None:
    for value in re.findall(r"(?:TOKEN|PASSWORD|SECRET)[=:][ ]?(\S+)", path.read_text("utf-8")):
        assert value.startswith(("${", "$")), value


def test_the_proxies_and_the_server_have_one_limit_for_bodies() -> None:
    megabytes = Settings().http_body_max_bytes / 2**20
    assert f"client_max_body_size {megabytes:.0f}m;" in (DEPLOY / "nginx" / "pylon.conf").read_text("utf-8")
    caddy = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")
    assert f"max_size {megabytes:.0f}MiB" in caddy
    assert f"> {Settings().http_body_max_bytes}`" in caddy


def test_the_proxies_give_up_an_idle_connection_before_the_server_does() -> None:
    from pylon.web.uvicorn_server import KEEP_ALIVE_SECONDS

    for name in ("nginx/pylon.conf", "caddy/Caddyfile"):
        text = (DEPLOY / name).read_text("utf-8")
        (seconds,) = re.findall(r"^\s*(?:keepalive|keepalive_timeout) (\d+)s", text, re.MULTILINE)
        assert int(seconds) < KEEP_ALIVE_SECONDS
        assert f"after {KEEP_ALIVE_SECONDS} s" in text


def test_the_errors_that_the_proxies_answer_have_codes_of_ours() -> None:
    from pylon.model.errors import REGISTRY

    for name in ("nginx/pylon.conf", "caddy/Caddyfile"):
        codes = re.findall(r'"code":"(\w+)"', (DEPLOY / name).read_text("utf-8"))
        assert set(codes) == {"PAYLOAD_TOO_LARGE", "SHUTTING_DOWN"}
        assert set(codes) <= set(REGISTRY)


def test_ci_installs_what_these_tests_drive() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    for package in ("nginx-light", "caddy", "systemd"):
        assert f"({package})" in script
