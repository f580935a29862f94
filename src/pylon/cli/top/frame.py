"""One frame of `pylon top`: figures and choices in, something for rich to draw out."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from pylon.cli.top.cells import cells_of
from pylon.cli.top.figures import BARS, PLAIN_BARS, clean, count, duration, milliseconds, sparkline
from pylon.cli.top.state import Document, State, Table, rows_of

SPARK_POINTS = 150
"""Of the history's points: the last five minutes."""

ROWS = 10
_WIDE = 110
_TITLES = {
    Table.USERS: "top users",
    Table.ADDRESSES: "top addresses",
    Table.ENTITIES: "top entities",
    Table.FUNCTIONS: "top functions",
    Table.SLOW: "slow queries",
    Table.READERS: "running reads",
}
_TOPS = (Table.USERS, Table.ADDRESSES, Table.ENTITIES, Table.FUNCTIONS)
_READS = (Table.SLOW, Table.READERS)
KEYS = "Tab/←→ table  ↑↓ row  t throttle  b block  k kick  u undo  p pause  ? help  q quit"
HELP = """\
Tab, ←, →     next or previous table
↑, ↓, i, j    choose a row
t             throttle: refuse the writes of the chosen user, address, entity or function for 10 minutes
b             block: refuse everything of it until it is undone
k             kick: disconnect the sockets of the chosen user or address
u             undo the last throttle or block
p             pause: the figures stand still, so that a row can be chosen
q             quit (Ctrl-C as well)

t, b and k ask before they do anything; only y does it. Everything that is done is in the audit log
(`pylon audit`). A row of slow queries or running reads stands for its user.

Any key goes back."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal can do."""

    width: int
    height: int
    bars: str = BARS
    is_live: bool = True


def draw(state: State, url: str, look: Look) -> RenderableType:
    """The whole screen."""
    document = state.document
    head, footer = _head(document, url, state, look), _footer(state)
    if state.is_helping:
        return Group(*head, Panel(Text(HELP), title="keys", box=box.ROUNDED), footer)
    figures = _figures(document, look)
    left = look.height - len(head) - _figure_rows(look) - 3
    top_rows = max(1, min(ROWS, (left - 3) // 2 if left >= 12 else left - 3))
    layout = Layout()
    parts = [
        Layout(Group(*head), size=len(head)),
        Layout(figures, size=_figure_rows(look) + 2),
        Layout(_tops(state, look, top_rows), size=top_rows + 2),
    ]
    bottom = left - top_rows - 2
    if bottom >= 4:
        parts.append(Layout(_bottoms(state, look, bottom - 2)))
    parts.append(Layout(footer, size=1))
    layout.split_column(*parts)
    return layout


def printed(document: Document, url: str) -> str:
    """One frame as text, for `--once`."""
    width = max(80, min(shutil.get_terminal_size((120, 40)).columns, 160))
    look = Look(width, 60, is_live=False)
    state = State(document=document)
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, highlight=False)
    console.print(
        Group(
            *_head(document, url, state, look),
            _figures(document, look),
            _tops(state, look, _most(document, _TOPS)),
            _bottoms(state, look, _most(document, _READS)),
        )
    )
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _most(document: Document, tables: Sequence[Table]) -> int:
    """How many rows the longest of these tables has, one at least."""
    return max(1, *(min(len(rows_of(document, table)), ROWS) for table in tables))


def bars_for(encoding: str) -> str:
    """The bars that a terminal of this encoding can show."""
    return BARS if encoding.lower().replace("-", "").startswith("utf") else PLAIN_BARS


def _head(document: Document, url: str, state: State, look: Look) -> list[RenderableType]:
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append("pylon top ", "bold")
    first.append(clean(url), "cyan")
    first.append(f"  {clean(document.get('version', '?'))}  up {duration(document.get('uptime_secs', 0))}  ")
    ready = document.get("ready")
    if state.lost:
        first.append(f"no answer: {clean(state.lost)}; trying again", "bold red reverse")
    elif ready is None:
        first.append("ready", "green")
    else:
        first.append(f"not ready: {clean(ready)}", "bold red")
    if state.is_paused:
        first.append("  paused", "bold yellow")
    first.append(time.strftime("  %H:%M:%S UTC", time.gmtime(document.get("at", 0))), "dim")
    lines: list[RenderableType] = [first]
    for alarm in document.get("alarms", [])[: _alarm_rows(look)]:
        colour = "bold white on red" if alarm.get("severity") == "critical" else "black on yellow"
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f" {clean(alarm.get('name'))} ", colour)
        line.append(f" {clean(alarm.get('text'), 400)} ")
        line.append(clean(alarm.get("runbook")), "dim")
        lines.append(line)
    switches = document.get("switches", [])
    if switches:
        line = Text(f"{len(switches)} switched off: ", "yellow", no_wrap=True, overflow="ellipsis")
        line.append(clean(", ".join(_switch(switch) for switch in switches), 400))
        lines.append(line)
    return lines


def _alarm_rows(look: Look) -> int:
    return 8 if not look.is_live else max(1, min(4, look.height // 8))


def _switch(switch: dict[str, Any]) -> str:
    target = f" {switch['target']}" if switch.get("target") else ""
    left = switch.get("expires_at") or 0
    until = f" for {duration(left - time.time())}" if left > time.time() else ""
    return f"{switch.get('scope')}{target} ({switch.get('blocks', 'all')}){until}"


def _figures(document: Document, look: Look) -> RenderableType:
    cells = cells_of(document)
    columns = 3 if look.width >= _WIDE else 2
    spark = max(4, (look.width - 4) // columns - 28)
    grid = Grid.grid(expand=True, padding=(0, 1))
    for _ in range(columns):
        grid.add_column(width=12, no_wrap=True)
        grid.add_column(width=11, justify="right", no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="crop")
    per_column = -(-len(cells) // columns)
    for row in range(per_column):
        line: list[RenderableType] = []
        for column in range(columns):
            at = column * per_column + row
            if at < len(cells):
                cell = cells[at]
                bars = sparkline(cell.history[-SPARK_POINTS:], spark, look.bars)
                line += [Text(cell.label, "dim"), Text(cell.value, cell.style), Text(bars, cell.style or "cyan")]
        grid.add_row(*line)
    return Panel(grid, title="last 10 s, and the last 5 min", title_align="left", box=box.ROUNDED, padding=(0, 1))


def _figure_rows(look: Look) -> int:
    return 4 if look.width >= _WIDE else 6


def _tops(state: State, look: Look, rows: int) -> RenderableType:
    return _side_by_side([_panel(state, table, look, rows) for table in _TOPS])


def _bottoms(state: State, look: Look, rows: int) -> RenderableType:
    return _side_by_side([_panel(state, table, look, rows) for table in _READS])


def _side_by_side(panels: list[RenderableType]) -> RenderableType:
    grid = Grid.grid(expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _panel(state: State, table: Table, look: Look, rows: int) -> RenderableType:
    found = rows_of(state.document, table)
    position = state.position(table) or 0
    first = max(0, min(position - rows + 1, len(found) - rows)) if look.is_live else 0
    is_focused = look.is_live and table is state.focus
    grid = Grid.grid(expand=True, padding=(0, 1))
    is_top = table in _TOPS
    if is_top:
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True)
    else:
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(found[first : first + rows], first):
        style = "reverse bold" if is_focused and number == position else ""
        grid.add_row(*(_top_row(row) if is_top else _read_row(row)), style=style)
    if not found:
        grid.add_row(Text("none", "dim"))
    for _ in range(rows - max(len(found), 1)):
        grid.add_row()
    unit = " (writes/s)" if is_top and look.width >= _WIDE else ""
    border = "bold cyan" if is_focused else "dim"
    return Panel(grid, title=_TITLES[table] + unit, title_align="left", box=box.ROUNDED, border_style=border, padding=0)


def _top_row(row: Any) -> list[Text]:
    return [Text(clean(row[0], 80)), Text(count(float(row[1])))]


def _read_row(row: dict[str, Any]) -> list[Text]:
    took = milliseconds(float(row["ms"])) if "ms" in row else f"{float(row.get('seconds', 0)):.1f} s"
    user = "-" if row.get("user") is None else clean(row["user"], 60)
    return [Text(took), Text(clean(row.get("what", ""), 80)), Text(user), Text(clean(row.get("request_id", "")), "dim")]


def _footer(state: State) -> Text:
    if state.asking is not None:
        return Text(
            f" {clean(state.asking.question())}? (y/n) ", "bold white on red", no_wrap=True, overflow="ellipsis"
        )
    if state.message:
        return Text(f" {clean(state.message)}", "bold", no_wrap=True, overflow="ellipsis")
    return Text(f" {KEYS}", "dim", no_wrap=True, overflow="ellipsis")
