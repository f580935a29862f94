"""The loop of `pylon top`: figures and keys in, frames out, until somebody leaves."""

from __future__ import annotations

import io
import sys

from rich.console import Console
from rich.live import Live

from pylon.cli.exits import Exit
from pylon.cli.remote import Remote
from pylon.cli.top.frame import Look, bars_for, draw
from pylon.cli.top.keys import keys_of
from pylon.cli.top.state import Document, State
from pylon.cli.top.terminal import Stopped, Terminal
from pylon.cli.top.worker import Done, Event, Fresh, Lost, Refused, Worker

_REDRAW_SECONDS = 5.0
"""A frame is drawn at least this often, also when nothing happens."""

_SIGNALLED = 128


def watch(remote: Remote, document: Document, interval: float) -> int:
    """Show the server until q, Ctrl-C or a signal; the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow that this terminal lacks must not end the view
    try:
        with Terminal(sys.stdin.fileno()) as terminal:
            worker = Worker(remote, interval, terminal.wake)
            worker.start()
            _show(terminal, worker, remote.url, State(document=document))
    except KeyboardInterrupt:
        return Exit.OK
    except EOFError:  # the terminal is gone
        return Exit.OK
    except Stopped as stopped:
        return _SIGNALLED + stopped.number
    return Exit.OK


def _show(terminal: Terminal, worker: Worker, url: str, state: State) -> None:
    console = Console(highlight=False)
    bars = bars_for(console.encoding)
    while not state.is_over:
        with Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as live:
            while not state.is_over and not terminal.wants_pause:
                look = Look(console.width, console.height, bars)
                live.update(draw(state, url, look), refresh=True)
                for key in keys_of(terminal.keys(_REDRAW_SECONDS)):
                    action = state.press(key)
                    if action is not None:
                        worker.do(action)
                for event in worker.events():
                    _take(event, state)
        if terminal.wants_pause:
            terminal.pause()


def _take(event: Event, state: State) -> None:
    match event:
        case Fresh(document):
            state.show(document)
        case Lost(why):
            state.lost = why
        case Done(action, switch):
            state.done(action, switch)
        case Refused(action, why):
            state.failed(action, why)
