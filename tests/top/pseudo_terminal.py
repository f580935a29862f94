"""A program on a terminal of its own, as a person uses it: keys in, the last frame out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

_STYLES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]")
HOME = "\x1b[H"
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
"""A test runner may set a size of its own, which would win over the terminal's."""


class OnTerminal:
    """A Python command line (`-m pylon …`) with a pseudo-terminal as its stdin, stdout, stderr and controlling
    terminal."""

    def __init__(self, *words: str, env: dict[str, str], folder: Path, columns: int = 120, lines: int = 40) -> None:
        self._master, self._slave = pty.openpty()
        self._written = ""
        self._lock = threading.Lock()
        self.resize(columns, lines, notify=False)
        self.modes_before = self.modes()
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=folder,
            env={**_ENVIRONMENT, "TERM": "xterm-256color", **env},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)
        self._reader.join(5)
        os.close(self._master)

    def modes(self) -> list[Any]:
        """How the terminal is set: echo, line mode, and so on."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, lines: int, *, notify: bool = True) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if notify:
            self.process.send_signal(signal.SIGWINCH)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    @property
    def written(self) -> str:
        """Everything so far."""
        with self._lock:
            return self._written

    @property
    def frame(self) -> str:
        """What the screen shows: the last frame, without styles."""
        return _STYLES.sub("", self.written.rpartition(HOME)[2]).replace("\r\n", "\n")

    def wait_for(self, text: str, seconds: float = 15.0) -> str:
        """The frame, once it shows this text."""
        return self.wait_until(lambda: text in self.frame, text, seconds)

    def wait_without(self, text: str, seconds: float = 15.0) -> str:
        """The frame, once it shows this text no more."""
        return self.wait_until(lambda: text not in self.frame, f"no {text}", seconds)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 15.0) -> str:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return self.frame
            time.sleep(0.02)
        raise AssertionError(f"the terminal never showed {what!r}; it shows:\n{self.frame}")

    def ended(self, seconds: float = 10.0) -> int:
        """The exit code, once the program has ended and all it wrote is here."""
        code = self.process.wait(seconds)
        size = -1
        while size != len(self.written):
            size = len(self.written)
            time.sleep(0.05)
        return code

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its modes, the normal screen, a cursor that shows."""
        text = self.written
        on_normal_screen = text.rfind(LEAVE_SCREEN) > text.rfind(ENTER_SCREEN)
        shows_cursor = text.rfind(SHOW_CURSOR) > text.rfind(HIDE_CURSOR)
        return self.modes() == self.modes_before and on_normal_screen and shows_cursor

    def _read(self) -> None:
        pending = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self._master, 65_536):
                pending += data
                text = pending.decode("utf-8", "ignore")
                pending = pending[len(text.encode()) :]
                with self._lock:
                    self._written += text


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
