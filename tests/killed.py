"""Work on the database in a process that is killed in the middle of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import apsw


def ends_before(statement: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed (SIGKILL) before its SQL statement of this number; whether it got to the
    end."""
    child = os.fork()
    if child == 0:
        left = statement

        def count(_cursor: Any, _sql: str, _values: Any) -> bool:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return True

        def hook(connection: apsw.Connection) -> None:
            connection.exec_trace = count

        try:
            apsw.connection_hooks.append(hook)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
