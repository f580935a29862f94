"""Rules for the values of fields, checked at every door before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pylon.model.errors import PylonError
from pylon.model.findings import DeclarationError, error
from pylon.model.schema import AppSpec
from pylon.plugins.declaring import EntityName, check_field, entity_name
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write

Check = Callable[[Any], str | None]
"""What is wrong with a value that is not null, in words that begin with "must"; None for nothing."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+\Z")
MAX_MATCHED = 10_000
"""Characters of a text that a pattern is asked about; a longer one doesn't match."""


@dataclass(frozen=True)
class Rule:
    """What a field must be: `Rule(min_length=3, pattern=r"[a-z]+")`. Null, where the field may be null, passes all but
    `not_empty`; so does what is of another type than a test is for. `pattern` is for the whole text."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    email: bool = False
    min: float | None = None
    max: float | None = None
    not_empty: bool = False
    check: Check | None = None

    def compiled(self) -> Check:
        """The rule as one function, of nulls too."""
        checks = [*self._of_text(), *self._of_numbers(), *([self.check] if self.check is not None else [])]
        not_empty = self.not_empty

        def problem(value: Any) -> str | None:
            if value is None or (not_empty and isinstance(value, str) and not value.strip()):
                return "must not be empty" if not_empty else None
            return next((found for check in checks if (found := check(value)) is not None), None)

        return problem

    def _of_text(self) -> list[Check]:
        checks: list[Check] = []
        if (least := self.min_length) is not None:
            checks.append(lambda v: f"must be at least {least} characters" if _shorter(v, least) else None)
        if (most := self.max_length) is not None:
            checks.append(lambda v: f"must be at most {most} characters" if _longer(v, most) else None)
        if (pattern := self.pattern) is not None:
            matches = re.compile(pattern).fullmatch

            def matched(value: Any) -> str | None:
                if not isinstance(value, str) or (len(value) <= MAX_MATCHED and matches(value)):
                    return None
                return f"must match pattern: {pattern}"

            checks.append(matched)
        if self.email:
            checks.append(
                lambda v: None if not isinstance(v, str) or _EMAIL.match(v) else "must be a valid email address"
            )
        return checks

    def _of_numbers(self) -> list[Check]:
        checks: list[Check] = []
        if (least := self.min) is not None:
            checks.append(lambda v: f"must be at least {least:g}" if _is_number(v) and v < least else None)
        if (most := self.max) is not None:
            checks.append(lambda v: f"must be at most {most:g}" if _is_number(v) and v > most else None)
        return checks


class Validation(Plugin):
    """`Validation({Note: {"title": Rule(min_length=3)}})`. On insert every rule is asked, on update those of the fields
    that are set. What breaks one is answered with 400 VALIDATION_FAILED, whoever writes it."""

    name = "validation"

    def __init__(
        self, rules: Mapping[EntityName, Mapping[str, Rule | Mapping[str, Any]]], *, name: str = "validation"
    ) -> None:
        self.name = name
        self._declared = {
            entity: {f: r if isinstance(r, Rule) else Rule(**r) for f, r in fields.items()}
            for entity, fields in rules.items()
        }
        self._checks: dict[str, list[tuple[str, Check]]] = {}

    def declare(self, app: AppSpec) -> AppSpec:
        self._checks = {}
        for declared, fields in self._declared.items():
            entity = entity_name(app, declared, self.name)
            for field, rule in fields.items():
                check_field(app, entity, field, self.name)
                try:
                    self._checks.setdefault(entity, []).append((field, rule.compiled()))
                except re.error as problem:
                    text = f"plugin {self.name}: the pattern of {entity}.{field} is none: {problem}"
                    raise DeclarationError([error("PLUGIN_INVALID", text)]) from None
        self.entities = tuple(self._checks)
        return app

    def before_insert(self, write: Write) -> None:
        for field, check in self._checks[write.entity]:
            _require(write, field, check(write[field]))

    def before_update(self, write: Write) -> None:
        assert write.patch is not None
        for field, check in self._checks[write.entity]:
            if field in write.patch:
                _require(write, field, check(write.patch[field]))


def _require(write: Write, field: str, problem: str | None) -> None:
    if problem is not None:
        raise PylonError("VALIDATION_FAILED", f"{write.entity}.{field}: {problem}", extra={"field": field})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shorter(value: Any, least: int) -> bool:
    return isinstance(value, str | list) and len(value) < least


def _longer(value: Any, most: int) -> bool:
    return isinstance(value, str | list) and len(value) > most
