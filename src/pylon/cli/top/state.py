"""What the person in front of `pylon top` has chosen, and what a key does to that. No terminal and no network here."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pylon.cli.top import keys

THROTTLE_SECONDS = 600
UNDOS_KEPT = 50

Document = dict[str, Any]


class Table(enum.StrEnum):
    """What can be selected from, in the order of Tab."""

    USERS = "users"
    ADDRESSES = "addresses"
    ENTITIES = "entities"
    FUNCTIONS = "functions"
    SLOW = "slow_queries"
    READERS = "readers"


SCOPES = {Table.USERS: "user", Table.ADDRESSES: "ip", Table.ENTITIES: "entity", Table.FUNCTIONS: "function"}
"""A row of these tables is what a switch of this scope is for; a row of the others stands for its user."""


class Act(enum.StrEnum):
    THROTTLE = "throttle"
    BLOCK = "block"
    KICK = "kick"
    UNDO = "undo"


_ACTS = {"t": Act.THROTTLE, "b": Act.BLOCK, "k": Act.KICK}
_MOVES = {keys.DOWN: 1, "j": 1, keys.UP: -1, "i": -1}
_OURSELVES = frozenset({"__admin__", "system"})
"""Names that reads and writes of admins and of Pylon itself go by: nobody to be blocked."""

_ANONYMOUS = "anonymous"
"""What the top users call everybody without a session; a scope of its own."""

_TABS = {keys.TAB: 1, keys.RIGHT: 1, keys.BACK_TAB: -1, keys.LEFT: -1}


@dataclass(frozen=True, slots=True)
class Target:
    """Whom an action is for: a switch's scope and target."""

    scope: str
    name: str

    def __str__(self) -> str:
        return f"{self.scope} {self.name}" if self.name else f"{self.scope} callers"


@dataclass(frozen=True, slots=True)
class Action:
    """Something to be done on the server. `switch` is the one that an undo turns off."""

    act: Act
    target: Target
    switch: str = ""

    def question(self) -> str:
        """What is asked before it is done."""
        minutes = THROTTLE_SECONDS // 60
        told = {
            Act.THROTTLE: f"refuse writes of {self.target} for {minutes} minutes",
            Act.BLOCK: f"refuse everything of {self.target} until it is undone",
            Act.KICK: f"disconnect the sockets of {self.target}",
            Act.UNDO: f"allow {self.target} again",
        }
        return told[self.act]


@dataclass(slots=True)
class State:
    """The view's own state. `message` is what happened last; `asking` waits for y or n."""

    focus: Table = Table.USERS
    selected: dict[Table, int] = field(default_factory=dict)
    document: Document = field(default_factory=dict)
    asking: Action | None = None
    message: str = ""
    is_paused: bool = False
    is_helping: bool = False
    is_over: bool = False
    lost: str = ""
    undos: deque[Action] = field(default_factory=lambda: deque(maxlen=UNDOS_KEPT))

    def press(self, key: str) -> Action | None:
        """Take a key; the action to be done because of it, if any."""
        if self.asking is not None:
            return self._answered(key)
        if self.is_helping:
            self.is_helping = False
            self.is_over = key == "q"
            return None
        self.message = ""
        if key in _ACTS:
            self._ask(_ACTS[key])
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key in _TABS:
            self._focus(_TABS[key])
        elif key == "u":
            return self._undo()
        elif key == "p":
            self.is_paused = not self.is_paused
        elif key == "?":
            self.is_helping = True
        elif key == "q":
            self.is_over = True
        return None

    def show(self, document: Document) -> None:
        """Take the newest figures; the selection stays on whom it is on, also when they change places."""
        self.lost = ""
        if self.is_paused:
            return
        chosen = {table: self._name(table) for table in Table}
        self.document = document
        for table, name in chosen.items():
            names = [name_of(table, row) for row in rows_of(document, table)]
            if name in names:
                self.selected[table] = names.index(name)

    def done(self, action: Action, switch: str) -> None:
        """The server did it; `switch` is what it turned on."""
        if action.act is Act.UNDO:
            self.message = f"{action.target} is allowed again"
        elif action.act is Act.KICK:
            self.message = f"disconnected {action.target}"
        else:
            verb = "throttled" if action.act is Act.THROTTLE else "blocked"
            self.message = f"{verb} {action.target}; u undoes it"
            if switch:
                self.undos.append(Action(Act.UNDO, action.target, switch))

    def failed(self, action: Action, why: str) -> None:
        """The server did not do it."""
        self.message = f"could not {action.question()}: {why}"
        if action.act is Act.UNDO and action.switch:
            self.undos.append(action)

    def position(self, table: Table) -> int | None:
        """The selected row of a table, None in an empty one."""
        count = len(rows_of(self.document, table))
        return min(self.selected.get(table, 0), count - 1) if count else None

    def target(self) -> Target | None:
        """Whom the selected row stands for."""
        position = self.position(self.focus)
        if position is None:
            return None
        row = rows_of(self.document, self.focus)[position]
        scope = SCOPES.get(self.focus, "user")
        name = row[0] if isinstance(row, list | tuple) else row.get("user")
        if name == _ANONYMOUS and scope == "user":
            return Target("anonymous", "")
        return Target(scope, str(name)) if name and name not in _OURSELVES else None

    def _name(self, table: Table) -> str | None:
        position = self.position(table)
        return None if position is None else name_of(table, rows_of(self.document, table)[position])

    def _ask(self, act: Act) -> None:
        target = self.target()
        if target is None:
            self.message = "no user, address, entity or function is selected: Tab and the arrows choose one"
        elif act is Act.KICK and target.scope not in ("user", "ip"):
            self.message = "only users and addresses have sockets: choose one with Tab"
        else:
            self.asking = Action(act, target)

    def _answered(self, key: str) -> Action | None:
        action, self.asking = self.asking, None
        if key in ("y", "Y"):
            self.message = "…"
            return action
        self.message = "nothing was done"
        return None

    def _undo(self) -> Action | None:
        if not self.undos:
            self.message = "nothing to undo"
            return None
        self.message = "…"
        return self.undos.pop()

    def _move(self, step: int) -> None:
        position = self.position(self.focus)
        if position is not None:
            last = len(rows_of(self.document, self.focus)) - 1
            self.selected[self.focus] = max(0, min(position + step, last))

    def _focus(self, step: int) -> None:
        tables = list(Table)
        self.focus = tables[(tables.index(self.focus) + step) % len(tables)]


def rows_of(document: Document, table: Table) -> list[Any]:
    """A table's rows: [name, rate] of the top ones, objects of the others."""
    tables = document.get("top", {}) if table in SCOPES else document
    return list(tables.get(table.value, []))


def name_of(table: Table, row: Any) -> str:
    """What makes a row the same one in the next figures."""
    if table in SCOPES:
        return str(row[0])
    return f"{row.get('request_id')} {row.get('what')} {row.get('at', '')}"
