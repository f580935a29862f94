"""Patterns that values must match, decided in time linear in the value, whatever the pattern and whoever wrote the
value: a pattern is a regular expression without back-references and lookaround, and runs as an automaton that is built
as far as values lead into it. `re` backtracks, so that one text of thirty characters could stop a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants as _op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MAX_POSITIONS = 1_000
"""Characters of a pattern, its repetitions written out."""

LONGEST_VALUE = 4_096
"""Characters of a value with a pattern, where no max_length is given."""

_KEPT = 20_000

_Accepts = Callable[[str], bool]
_CATEGORIES: dict[Any, _Accepts] = {
    code: lambda char, found=re.compile(text).match: found(char) is not None  # type: ignore[misc]
    for code, text in (
        (_op.CATEGORY_DIGIT, r"\d"),
        (_op.CATEGORY_NOT_DIGIT, r"\D"),
        (_op.CATEGORY_SPACE, r"\s"),
        (_op.CATEGORY_NOT_SPACE, r"\S"),
        (_op.CATEGORY_WORD, r"\w"),
        (_op.CATEGORY_NOT_WORD, r"\W"),
    )
}


class PatternError(ValueError):
    """The pattern can't be used; the text says why."""


class _State:
    __slots__ = ("accepts", "next", "positions")

    def __init__(self, positions: frozenset[int], accepts: bool) -> None:
        self.positions = positions
        self.accepts = accepts
        self.next: dict[str, _State] = {}


class Pattern:
    """A compiled pattern. Raises PatternError for what isn't a regular expression, or more than one."""

    __slots__ = ("_build", "_kept", "_start", "_states", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            tree = _parser.parse(text)
        except (re.error, RecursionError, OverflowError) as reason:
            raise PatternError(str(reason)) from None
        if tree.state.flags & ~re.UNICODE:
            raise PatternError("flags are not supported")
        self._build = _Automaton(_without_anchors(list(tree)))
        self._kept = 0
        self._states: dict[frozenset[int], _State] = {}
        self._start = _State(frozenset(), self._build.nullable)

    def matches(self, value: str) -> bool:
        """Whether the whole value matches."""
        state = self._start
        for char in value:
            found = state.next.get(char)
            if found is None:
                found = self._step(state, char)
            if not found.positions:
                return False
            state = found
        return state.accepts

    def _step(self, state: _State, char: str) -> _State:
        build = self._build
        if state is self._start:
            reachable = build.first
        else:
            reachable = frozenset().union(*(build.follow[position] for position in state.positions))
        positions = frozenset(position for position in reachable if build.accepts[position](char))
        if self._kept >= _KEPT:
            self._states, self._kept = {}, 0
            self._start.next = {}
        found = self._states.get(positions)
        if found is None:
            found = self._states[positions] = _State(positions, not positions.isdisjoint(build.last))
        state.next[char] = found
        self._kept += 1
        return found


_Part = tuple[bool, frozenset[int], frozenset[int]]
"""Whether it matches nothing at all, the positions that it may begin with, and those that it may end with."""
_EMPTY: _Part = (True, frozenset(), frozenset())


class _Automaton:
    """Glushkov's automaton of a pattern: a state for each of its characters, `follow` what may come next."""

    def __init__(self, tree: list[Any]) -> None:
        self.accepts: list[_Accepts] = []
        self.follow: list[set[int]] = []
        self.nullable, self.first, self.last = self._sequence(tree)

    def _sequence(self, items: Any) -> _Part:
        part = _EMPTY
        for operator, argument in items:
            part = self._joined(part, self._one(operator, argument))
        return part

    def _joined(self, left: _Part, right: _Part) -> _Part:
        for position in left[2]:
            self.follow[position] |= right[1]
        return (
            left[0] and right[0],
            left[1] | right[1] if left[0] else left[1],
            left[2] | right[2] if right[0] else right[2],
        )

    def _one(self, operator: Any, argument: Any) -> _Part:
        if (accepts := _character(operator, argument)) is not None:
            if len(self.accepts) >= MAX_POSITIONS:
                raise PatternError(f"it is longer than {MAX_POSITIONS} characters with its repetitions written out")
            self.accepts.append(accepts)
            self.follow.append(set())
            here = frozenset((len(self.accepts) - 1,))
            return False, here, here
        if operator is _op.SUBPATTERN:
            _, added, removed, inner = argument
            if added or removed:
                raise PatternError("flags are not supported")
            return self._sequence(inner)
        if operator is _op.BRANCH:
            parts = [self._sequence(branch) for branch in argument[1]]
            return (
                any(part[0] for part in parts),
                frozenset().union(*(part[1] for part in parts)),
                frozenset().union(*(part[2] for part in parts)),
            )
        if operator in (_op.MAX_REPEAT, _op.MIN_REPEAT):
            return self._repeated(*argument)
        if operator is _op.AT:
            raise PatternError("^ and $ stand at its ends only; the whole value has to match anyway")
        raise PatternError("back-references, lookaround and possessive repetitions are not supported")

    def _repeated(self, least: int, most: int, inner: Any) -> _Part:
        part = _EMPTY
        for _ in range(least):
            part = self._joined(part, self._sequence(inner))
        if most is _op.MAXREPEAT:
            _, first, last = self._sequence(inner)
            for position in last:
                self.follow[position] |= first
            return self._joined(part, (True, first, last))
        for _ in range(most - least):
            _, first, last = self._sequence(inner)
            part = self._joined(part, (True, first, last))
        return part


def _character(operator: Any, argument: Any) -> _Accepts | None:
    """What one character of the pattern accepts; None for what is no character."""
    if operator is _op.LITERAL:
        return chr(argument).__eq__
    if operator is _op.NOT_LITERAL:
        return chr(argument).__ne__
    if operator is _op.ANY:
        return "\n".__ne__
    if operator is _op.IN:
        items = [(kind, value) for kind, value in argument if kind is not _op.NEGATE]
        tests = [_member(kind, value) for kind, value in items]
        wanted = len(items) == len(argument)
        return lambda char: any(test(char) for test in tests) is wanted
    return None


def _member(kind: Any, value: Any) -> _Accepts:
    if kind is _op.RANGE:
        low, high = value
        return lambda char: low <= ord(char) <= high
    if kind is _op.CATEGORY:
        return _CATEGORIES[value]
    return chr(value).__eq__


def _without_anchors(items: list[Any]) -> list[Any]:
    if items and items[0][0] is _op.AT and items[0][1] in (_op.AT_BEGINNING, _op.AT_BEGINNING_STRING):
        items = items[1:]
    if items and items[-1][0] is _op.AT and items[-1][1] in (_op.AT_END, _op.AT_END_STRING):
        items = items[:-1]
    return items
