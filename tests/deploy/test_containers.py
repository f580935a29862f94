"""The container image and the Compose file, as far as they can be tried without a container engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylon.settings import Settings
from pylon.testing.process import ServerProcess, free_port
from tests.deploy.places import DEPLOY, ROOT, write_app

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yml"
HEALTHCHECK = DEPLOY / "docker" / "healthcheck.py"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    name: str
    words: str


def instructions() -> list[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Instruction(*line.split(" ", 1)) for line in lines if line.strip()]


def named(name: str) -> list[str]:
    return [found.words for found in instructions() if found.name == name]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps this file out of the build: the last rule that matches it or a folder of it."""
    answer = False
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for line in (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        subjects = above + parts if "**/" in line else above
        if any(fnmatch.fnmatchcase(subject, pattern) for subject in subjects):
            answer = not line.startswith("!")
    return answer


def copied() -> list[str]:
    """What the build copies from the repository."""
    return [source for words in named("COPY") if "--from=" not in words for source in words.split()[:-1]]


def test_every_instruction_is_one_that_docker_knows() -> None:
    known = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN"}
    known |= {"STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
    assert {found.name for found in instructions()} <= known


@pytest.mark.parametrize("source", copied())
def test_every_file_that_is_copied_exists_and_is_in_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    assert not ignored(source)


def test_what_the_package_is_built_from_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    files = re.findall(r'^readme = "(.+)"', project, re.MULTILINE)
    files += re.findall(r'"(LICENSE[^"]*)"', project)
    assert set(files) <= set(copied())


@pytest.mark.parametrize(
    "path",
    [".env", ".env.local", "src/pylon/__pycache__/x.pyc", "src/.env", ".git/config", "examples/todo/.pylon/pylon.db"],
)
def test_no_secret_data_or_history_enters_the_build(path: str) -> None:
    assert ignored(path)


def test_only_pinned_and_hashed_packages_are_installed() -> None:
    installs = [words for run in named("RUN") for words in run.split("&&") if " install " in words and "pip" in words]
    assert len(installs) == 2
    assert all("--require-hashes -r constraints.txt" in one or "--no-deps" in one for one in installs)
    assert "--no-build-isolation" in installs[1]  # else the build tool comes unpinned


def test_the_image_runs_as_a_user_without_rights_and_keeps_its_data_in_a_volume() -> None:
    assert named("USER") == ["10001:10001"]
    assert named("VOLUME") == ["/data"]
    assert "PYLON_DATA_DIR=/data" in named("ENV")[0]
    assert any("install -d -o pylon -g pylon -m 0700 /data" in run for run in named("RUN"))


def test_the_image_is_never_in_dev_mode() -> None:
    text = DOCKERFILE.read_text("utf-8") + COMPOSE.read_text("utf-8")
    assert "PYLON_DEV_MODE" not in text
    assert json.loads(named("ENTRYPOINT")[0]) == ["/opt/pylon/bin/pylon"]
    assert json.loads(named("CMD")[0]) == ["start", "/app"]


def test_docker_stops_it_gracefully() -> None:
    assert named("STOPSIGNAL") == ["SIGTERM"]


def test_the_health_check_follows_the_server(tmp_path: Path) -> None:
    words = named("HEALTHCHECK")[0]
    assert "/opt/pylon/healthcheck.py" in words
    with ServerProcess(write_app(tmp_path / "app"), tmp_path / "data") as server:
        environ = {**os.environ, "PYLON_PORT": str(server.port), "http_proxy": "http://127.0.0.1:9"}
        assert _healthcheck(environ) == 0
        assert _healthcheck(environ, "/readyz") == 0
        assert _healthcheck(environ, "/api/nothing") == 1
    assert _healthcheck(environ) == 1


def _healthcheck(environ: dict[str, str], *words: str) -> int:
    command = [sys.executable, str(HEALTHCHECK), *words]
    return subprocess.run(command, env=environ, capture_output=True, timeout=20, check=False).returncode


def test_the_image_starts_with_its_own_settings(tmp_path: Path) -> None:
    """The ENV of the image, with /data elsewhere, over the server as it is here."""
    values = dict(word.split("=", 1) for word in named("ENV")[0].split() if word.startswith("PYLON_"))
    values |= {"PYLON_DATA_DIR": str(tmp_path / "data"), "PYLON_DEV_MODE": "", "PYLON_ADMIN_TOKEN": "x" * 32}
    assert not Settings.load(values).dev_mode
    with ServerProcess(write_app(tmp_path / "app"), tmp_path / "data", env=values) as server:
        assert server.request("GET", "/readyz")[0] == 200


@pytest.mark.skipif(not os.environ.get("PYLON_TEST_LONG"), reason="installs every dependency: PYLON_TEST_LONG=1")
@pytest.mark.timeout(600)
def test_the_build_steps_of_the_image_make_a_server_that_starts(tmp_path: Path) -> None:
    """The RUN lines of the build stage, in a folder that holds what COPY brings and nothing else."""
    source, prefix = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for name in copied():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str(source / name)], check=True)
    build = instructions()[: [i for i, found in enumerate(instructions()) if found.name == "FROM"][1]]
    for step in (found.words for found in build if found.name == "RUN"):
        there = step.replace("/opt/pylon", str(prefix)).replace("python -m venv", f"{sys.executable} -m venv")
        done = subprocess.run(there, shell=True, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"
    app, port = write_app(tmp_path / "app"), free_port()
    environ = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "PYLON_PORT": str(port), "PYLON_DATA_DIR": str(tmp_path / "data")}
    checked = subprocess.run(["pylon", "check", str(app)], env=environ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    server = subprocess.Popen(["pylon", "start", str(app.parent)], env=environ)
    try:
        subprocess.run(["curl", "-sf", "--retry", "30", "--retry-connrefused", "--retry-delay", "1",
                        f"http://127.0.0.1:{port}/readyz"], check=True)  # fmt: skip
    finally:
        server.terminate()
    assert server.wait(20) == 0


@pytest.fixture
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return document


def test_compose_builds_the_image_that_is_shipped(compose: dict[str, Any]) -> None:
    build = compose["services"]["app"]["build"]
    context = (COMPOSE.parent / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(DOCKERFILE)


def test_compose_gives_data_a_volume_and_a_stop_its_time(compose: dict[str, Any]) -> None:
    app = compose["services"]["app"]
    assert "data:/data" in app["volumes"]
    assert "data" in compose["volumes"]
    assert int(app["stop_grace_period"].removesuffix("s")) >= Settings().drain_secs + 30


def test_compose_opens_the_port_to_this_machine_only_and_trusts_its_one_proxy(compose: dict[str, Any]) -> None:
    app = compose["services"]["app"]
    assert app["ports"] == ["127.0.0.1:4321:4321"]
    assert app["environment"]["PYLON_TRUST_PROXY_HOPS"] == "1"
    assert app["cap_drop"] == ["ALL"]
    assert app["read_only"] is True


def test_compose_asks_for_readiness(compose: dict[str, Any]) -> None:
    assert compose["services"]["app"]["healthcheck"]["test"][-2:] == ["/opt/pylon/healthcheck.py", "/readyz"]


def test_compose_holds_postgres_as_a_comment_only(compose: dict[str, Any]) -> None:
    """This release refuses DATABASE_URL; the commented lines must be right all the same when they are needed."""
    text = COMPOSE.read_text("utf-8")
    assert list(compose["services"]) == ["app"]
    assert "DATABASE_URL" not in compose["services"]["app"]["environment"]
    later = yaml.safe_load(re.sub(r"^(  )# (postgres:|  )", r"\1\2", text, flags=re.MULTILINE))
    assert later["services"]["postgres"]["image"].startswith("postgres:")


def test_compose_refuses_to_start_without_an_admin_token(compose: dict[str, Any]) -> None:
    assert compose["services"]["app"]["environment"]["PYLON_ADMIN_TOKEN"].startswith("${PYLON_ADMIN_TOKEN:?")


def test_the_compose_client_accepts_the_file() -> None:
    probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False) if _docker() else None
    if probe is None or probe.returncode != 0:
        pytest.skip("docker compose is not installed")
    checked = subprocess.run(
        ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"],
        env={**os.environ, "PYLON_ADMIN_TOKEN": "x" * 32},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def _docker() -> bool:
    import shutil

    return shutil.which("docker") is not None
