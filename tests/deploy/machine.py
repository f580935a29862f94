"""A machine in a folder, on which the commands of docs/ops run as they are written: `sudo`, `systemctl` and
`systemd-run` are this program, paths of an installation lie below the folder, and port 4321 is a free one.

`python machine.py NAME ARGUMENTS...` is one of those commands; ROOT and PORT come from the environment.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT, PORT = "MACHINE_ROOT", "MACHINE_PORT"
SHIMS = ("sudo", "systemctl", "systemd-run")
_PLACES = re.compile(r"(?<![\w./-])/(?=(?:opt/pylon|etc|var/lib|usr/local/sbin)(?:/|\b))")
_STOP_SECONDS = 20.0


def placed(text: str, root: str) -> str:
    """The text with the paths of an installation below the root."""
    return _PLACES.sub(f"{root}/", text)


class Machine:
    """The folder with the shims and what is installed; the service runs until `close`."""

    def __init__(self, root: Path, checkout: Path, port: int) -> None:
        self.root = root
        self.port = port
        self._checkout = checkout
        for name in ("bin", "run", "home", "opt/pylon/venv/bin", "var/lib", "usr/local/sbin", "etc/systemd/system"):
            (root / name).mkdir(parents=True)
        for shim in SHIMS:
            _program(root / "bin" / shim, [sys.executable, str(Path(__file__)), shim])
        _program(root / "opt/pylon/venv/bin/pylon", [sys.executable, "-m", "pylon"])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
        path = f"{root}/bin:{root}/usr/local/sbin:{kept.get('PATH', '')}:/usr/sbin:/sbin"
        self._environ = {**kept, "PATH": path, "HOME": str(root / "home"), ROOT: str(root), PORT: str(port)}

    def run(self, commands: list[str]) -> subprocess.CompletedProcess[str]:
        """Run commands as one shell would; it ends at the first that fails."""
        script = placed("\n".join(commands), str(self.root)).replace("127.0.0.1:4321", f"127.0.0.1:{self.port}")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._checkout,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def settings(self) -> dict[str, str]:
        """What the installed settings file says."""
        return _assignments(self.root / "etc/pylon/pylon.env")

    def log(self) -> str:
        """What the service has written."""
        path = self.root / "run/pylon.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def close(self) -> None:
        """End the service."""
        (self.root / "var/lib").chmod(0o755)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.root / "run/pylon.pid").read_text()), signal.SIGKILL)


def _program(path: Path, command: list[str]) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)


def _assignments(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


# -- the shims ---------------------------------------------------------------------------------------------------------


def sudo(words: list[str]) -> int:
    """The command that follows; it is ourselves who may."""
    while words and "=" in words[0]:
        name, value = words.pop(0).split("=", 1)
        os.environ[name] = value
    os.execvp(words[0], words)


def systemd_run(words: list[str]) -> int:
    """The command, with the environment that the properties give it and no other."""
    environ: dict[str, str] = {}
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option not in ("-p", "-E"):
            continue
        name, value = words.pop(0).split("=", 1)
        if option == "-E":
            environ[name] = placed(value, os.environ[ROOT])
        elif name == "EnvironmentFile":
            environ |= _assignments(Path(placed(value, os.environ[ROOT])))
        elif name == "StateDirectory":
            _state(value)
        elif name == "UMask":
            os.umask(int(value, 8))
    program = placed(words[0], os.environ[ROOT])
    os.execve(program, [program, *words[1:]], _of_the_service(environ))


def systemctl(words: list[str]) -> int:
    """What the installed unit says, for the one service that there is."""
    action, *rest = [word for word in words if not word.startswith("-")]
    if action == "daemon-reload":
        return 0
    if rest != ["pylon"]:
        return 5
    acts: dict[str, Callable[[], int]] = {
        "start": _start,
        "enable": _start if "--now" in words else lambda: 0,
        "stop": _stop,
        "restart": lambda: _stop() or _start(),
        "reload": _reload,
        "status": lambda: 0 if _pid() else 3,
    }
    return acts[action]()


def _unit() -> dict[str, str]:
    return _assignments(Path(os.environ[ROOT]) / "etc/systemd/system/pylon.service")


def _state(names: str) -> None:
    """Make the state directories; what is around them is not the service's to change."""
    around = Path(os.environ[ROOT], "var/lib")
    around.chmod(0o755)
    for name in names.split():
        (around / name).mkdir(mode=0o700, exist_ok=True)
    around.chmod(0o555)


def _of_the_service(environ: dict[str, str]) -> dict[str, str]:
    path, python = os.environ["PATH"], os.environ.get("PYTHONPATH", "")
    return {**environ, "PATH": path, "PYTHONPATH": python, "PYLON_PORT": os.environ[PORT]}


def _start() -> int:
    if _pid():
        return 0
    root, unit = Path(os.environ[ROOT]), _unit()
    _state(unit["StateDirectory"])
    environ = dict(word.split("=", 1) for word in unit["Environment"].split())
    environ = {name: placed(value, str(root)) for name, value in environ.items()}
    environ |= _assignments(Path(placed(unit["EnvironmentFile"], str(root))))
    os.umask(int(unit["UMask"], 8))
    with (root / "run/pylon.log").open("ab") as log:
        service = subprocess.Popen(
            shlex.split(placed(unit["ExecStart"], str(root))),
            cwd=placed(unit["WorkingDirectory"], str(root)),
            env=_of_the_service(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (root / "run/pylon.pid").write_text(str(service.pid))
    return 0


def _stop() -> int:
    pid = _pid()
    if not pid:
        return 0
    os.kill(pid, signal.Signals[_unit()["KillSignal"]])
    until = time.monotonic() + _STOP_SECONDS
    while _pid():
        if time.monotonic() > until:
            return 1
        time.sleep(0.02)
    return 0


def _reload() -> int:
    """SIGHUP, to a server that has a handler for it; any other would end."""
    import pylon.server

    pid = _pid()
    if pid and "SIGHUP" in inspect.getsource(pylon.server):
        os.kill(pid, signal.SIGHUP)
    return 0 if pid else 1


def _pid() -> int:
    """The process of the service, 0 when it has ended, also while nobody has asked for its exit code."""
    try:
        pid = int(Path(os.environ[ROOT], "run/pylon.pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return 0
    return 0 if state in ("Z", "X") else pid


if __name__ == "__main__":
    sys.exit({"sudo": sudo, "systemctl": systemctl, "systemd-run": systemd_run}[sys.argv[1]](sys.argv[2:]))
