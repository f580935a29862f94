"""The terminal while `pylon top` owns it: keys unbuffered and unseen, and as it was afterwards, however it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import tty
from types import FrameType, TracebackType
from typing import Any

_READ_BYTES = 4096
_STOPS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal ends the program. Not an Exception, so that nothing on the way takes it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Terminal:
    """Use as a context manager, on the main thread. `wake` may be called from any thread and ends a wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)
        self._old_waker = -1
        self.wants_pause = False

    def __enter__(self) -> Terminal:
        self._saved = termios.tcgetattr(self._descriptor)
        for number in _STOPS:
            self._handlers[number] = signal.signal(number, _stop)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._pause)
        # A handler that only sets something would leave the wait waiting: resizes and pauses end it through the pipe.
        self._handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
        self._old_waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._old_waker)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._restore()
        os.close(self._woken)
        os.close(self._waker)

    def wake(self) -> None:
        """End the wait for keys."""
        with contextlib.suppress(OSError):  # the pipe is full, so it wakes anyway; or closed, so nobody waits
            os.write(self._waker, b"\0")

    def keys(self, seconds: float) -> bytes:
        """What was typed, after at most `seconds`; nothing when the time is up or somebody woke us. Raises EOFError
        when the terminal is gone."""
        ready, _, _ = select.select([self._descriptor, self._woken], [], [], seconds)
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, _READ_BYTES)
        if self._descriptor not in ready:
            return b""
        try:
            typed = os.read(self._descriptor, _READ_BYTES)
        except OSError as error:
            raise EOFError from error
        if not typed:
            raise EOFError
        return typed

    def pause(self) -> None:
        """Stop as Ctrl-Z does, with the terminal as it was; returns when the shell lets us go on."""
        self.wants_pause = False
        self._restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._pause)
        tty.setcbreak(self._descriptor)

    def _pause(self, number: int, frame: FrameType | None) -> None:
        self.wants_pause = True

    def _restore(self) -> None:
        if self._saved is not None:
            with contextlib.suppress(termios.error):  # a terminal that is gone needs no restoring
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)


def _stop(number: int, frame: FrameType | None) -> None:
    for other in _STOPS:  # a second one must not cut the restoring short
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)
