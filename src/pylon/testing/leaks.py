"""Looking for rows that show to somebody who may not read them, in any app: random people, random rows, every door.

The oracle is the policy's Python form, asked about each row by itself; the doors answer by its SQL form, by fan-out and
by the log. So whatever the two don't agree on shows, as does a door that forgets to ask.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pylon.engine.caller import SYSTEM
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec, Field, Kind
from pylon.model.timestamps import iso_millis
from pylon.policy.nodes import HasRole, walk
from pylon.policy.rules import Rule
from pylon.testing.actor import Actor
from pylon.testing.kit import TestApp

if TYPE_CHECKING:
    from pylon.model.app import App

USERS = ("u_ada", "u_ben", "u_cyd")
TENANTS = ("t_one", "t_two")
ROWS = 12
"""Rows of each entity in a round."""

_TOLD = 40
_SECRET_LENGTH = 6
"""Values this long count as told when an error text holds them."""


class Leak(msgspec.Struct, frozen=True):
    """Something that somebody was shown, or told, and may not know. `seed` runs the round again."""

    door: str
    who: Identity
    entity: str
    row_id: str
    detail: str
    seed: int

    def __str__(self) -> str:
        who = self.who.user_id or "nobody"
        at = f" in {self.who.tenant_id}" if self.who.tenant_id else ""
        roles = f" with {', '.join(self.who.roles)}" if self.who.roles else ""
        return f"{self.door}: {who}{at}{roles} and {self.entity}/{self.row_id}: {self.detail} (seed {self.seed})"


class Hunt(msgspec.Struct, frozen=True):
    """What a search came to: how many questions were asked of how many doors, and what leaked."""

    rounds: int
    questions: int
    leaks: list[Leak]


def hunt(app: App | AppSpec, *, seconds: float = 5.0, seed: int | None = None) -> Hunt:
    """Play rounds until the time is up, or the one of a seed."""
    first = random.randrange(2**31) if seed is None else seed  # noqa: S311 - a round to be repeated, no secret
    until = time.monotonic() + seconds
    rounds = questions = 0
    leaks: list[Leak] = []
    while not rounds or (seed is None and time.monotonic() < until and not leaks):
        played = _Round(app, first + rounds)
        leaks += played.play()
        questions += played.questions
        rounds += 1
    return Hunt(rounds, questions, leaks)


class _Round:
    """One database of random rows, asked by everybody."""

    def __init__(self, app: App | AppSpec, seed: int) -> None:
        self._app = app
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - as above
        self._rows: dict[str, dict[str, Any]] = {}
        self._world = self._rows
        self._leaks: list[Leak] = []
        self.questions = 0

    def play(self) -> list[Leak]:
        """Every door to everybody; what leaked."""
        with TestApp(self._app) as t:
            self._t = t
            self._plans = dict(t.server.engine.plans)
            for plan in self._plans.values():
                self._fill(plan)
            people = list(self._people())
            for person in people:
                for plan in self._plans.values():
                    self._ask(person, plan)
                self._ask_sync(person)
            self._ask_live(people)
        return self._leaks

    # -- the world -----------------------------------------------------------------------------------------------

    def _people(self) -> Iterator[Actor]:
        roles = sorted({role for plan in self._plans.values() for rule in _rules(plan) for role in _roles(rule)})
        t = self._t
        yield t.anonymous()
        yield t.as_guest("g")
        for user in USERS:
            tenant = self._chance.choice([None, *TENANTS])
            yield t.as_user(user, tenant=tenant, roles=[r for r in roles if self._chance.random() < 0.4])

    def _fill(self, plan: EntityPlan) -> None:
        rows = self._rows.setdefault(plan.name, {})

        def insert(transaction: Transaction) -> list[Change]:
            made = []
            for _ in range(ROWS):
                values = {f.name: self._value(f) for f in plan.spec.fields}
                try:
                    row = plan.types.convert_insert({n: v for n, v in values.items() if v is not None})
                    made.append(transaction.insert(plan, row))
                except PylonError as error:
                    if error.status >= 500:
                        raise
            return made

        engine = self._t.server.engine
        for change in self._t.run(engine.run(SYSTEM, insert, authority=Authority.TRUSTED)).value:
            rows[change.row_id] = change.row

    def _value(self, field: Field) -> Any:
        chance = self._chance
        if field.optional and chance.random() < 0.25:
            return None
        if field.enum_values:
            return chance.choice(field.enum_values)
        match field.kind:
            case Kind.BOOL:
                return chance.random() < 0.5
            case Kind.INT:
                return chance.randrange(4)
            case Kind.FLOAT:
                return chance.randrange(8) / 2
            case Kind.DATETIME:
                ago = timedelta(seconds=chance.choice([1, 600, 7_200, 200_000, 5_000_000]))
                return iso_millis(self._t.clock.now - ago)
            case Kind.JSON:
                return chance.choice([[chance.choice(USERS)], {"owner": chance.choice(USERS)}, [], chance.randrange(3)])
            case Kind.VECTOR:
                return [chance.random() for _ in range(field.dimensions or 0)]
            case Kind.ID:
                return chance.choice([*USERS, *self._rows.get(field.target or "", {})])
            case _:
                return chance.choice([*USERS, *TENANTS, "live", "draft", "red", f"word{chance.randrange(10**6)}"])

    # -- the oracle ----------------------------------------------------------------------------------------------

    def _may_read(self, identity: Identity, plan: EntityPlan, row: Any) -> bool:
        return plan.policy.read.allows(identity, row, now=self._t.clock.now, exists=self._exists)

    def _exists(self, entity: str, conditions: list[tuple[str, Any]]) -> bool:
        rows = self._world.get(entity, {}).values()
        return any(all(getattr(row, name) == value for name, value in conditions) for row in rows)

    def _readable(self, identity: Identity, plan: EntityPlan) -> set[str]:
        return {i for i, row in self._rows[plan.name].items() if self._may_read(identity, plan, row)}

    # -- the doors -----------------------------------------------------------------------------------------------

    def _ask(self, person: Actor, plan: EntityPlan) -> None:
        name, due = plan.name, self._readable(person.identity, plan)
        path = f"/api/entities/{quote(name)}"
        self._compare("list", person, plan, due, lambda: {row["id"] for row in person.list(name)})
        self._compare("query", person, plan, due, lambda: {row["id"] for row in person.query(name)})
        self._compare("cursor", person, plan, due, lambda: self._by_cursor(person, name))
        self._compare("graph", person, plan, due, lambda: _ids(person.request("POST", "/api/query", {name: {}}).json))
        self._number("count", person, plan, len(due), f"{path}/count", None)
        for field in plan.spec.fields:
            self._ask_field(person, plan, field, due)
        for row_id in self._rows[name]:
            self._ask_row(person, plan, row_id, row_id in due)
        for method, target in (("GET", f"/api/export/{quote(name)}"), ("GET", "/api/export")):
            answer = person.request(method, target)
            self.questions += 1
            self._no_rows("export", person, plan, answer.body, set())

    def _ask_row(self, person: Actor, plan: EntityPlan, row_id: str, is_due: bool) -> None:
        path = f"/api/entities/{quote(plan.name)}/{row_id}"
        for method, body, headers in (
            ("GET", None, {}),
            ("GET", None, {"if-none-match": "*"}),
            ("HEAD", None, {}),
            ("PATCH", {}, {"if-match": '"no"'}),
        ):
            answer = person.request(method, path, body, headers=headers)
            self.questions += 1
            shows = method != "PATCH" and answer.status < 400
            if shows and not is_due:
                self._leaked(f"{method} a row", person, plan, row_id, f"answered {answer.status}")
            elif method == "GET" and not headers and is_due and not shows:
                self._leaked("GET a row", person, plan, row_id, "does not show, but may be read")
            if not is_due:
                self._no_values(f"error of {method}", person, plan, row_id, answer.body)

    def _ask_field(self, person: Actor, plan: EntityPlan, field: Field, due: set[str]) -> None:
        body = {"count": "*", "groupBy": [field.name]}
        answer = person.request("POST", f"/api/aggregate/{quote(plan.name)}", body)
        self.questions += 1
        if answer.status >= 400:
            return
        if field.is_hidden and not person.identity.is_admin:
            self._leaked("aggregate", person, plan, "*", f"groups by serverOnly {field.name}")
            return
        counted = sum(int(row["count"]) for row in answer.json["rows"])
        if counted != len(due):
            self._leaked(
                "aggregate", person, plan, "*", f"counts {counted} rows by {field.name}, {len(due)} are readable"
            )

    def _ask_sync(self, person: Actor) -> None:
        events = person.pull()
        self.questions += 1
        for event in events:
            plan = self._plans[event["entity"]]
            if not self._may_read(person.identity, plan, self._rows[plan.name][event["row_id"]]):
                self._leaked("pull", person, plan, event["row_id"], "is in the snapshot")
            self._no_hidden("pull", person, plan, event["row_id"], event["data"])

    def _ask_live(self, people: list[Actor]) -> None:
        """Rows change hands while everybody listens; then everybody catches up by cursor."""
        cursor = self._t.server.engine.reads.log_head()
        connections = [person.live() for person in people]
        for connection in connections:
            connection.__enter__()
        worlds = [self._snapshot()]
        before: dict[tuple[str, str], list[Any]] = {}
        for plan in self._plans.values():
            for row_id in list(self._rows[plan.name])[:4]:
                before.setdefault((plan.name, row_id), []).append(self._rows[plan.name][row_id])
                self._change(plan, row_id)
                before[plan.name, row_id].append(self._rows[plan.name][row_id])
                worlds.append(self._snapshot())
        for person, connection in zip(people, connections, strict=True):
            pulled = person.pull(cursor) if cursor else []
            for door, events in (("live", connection.events), ("pull after a change", pulled)):
                for event in events:
                    plan = self._plans[event["entity"]]
                    self.questions += 1
                    versions = before.get((plan.name, event["row_id"]), [self._rows[plan.name].get(event["row_id"])])
                    if event.get("data") and not self._could_be_read(person.identity, plan, versions, worlds):
                        self._leaked(door, person, plan, event["row_id"], f"was sent as {event['kind']}")
                    self._no_hidden(door, person, plan, event["row_id"], event.get("data") or {})
            connection.__exit__(None, None, None)

    def _snapshot(self) -> dict[str, dict[str, Any]]:
        return {name: dict(rows) for name, rows in self._rows.items()}

    def _could_be_read(
        self, identity: Identity, plan: EntityPlan, versions: list[Any], worlds: list[dict[str, dict[str, Any]]]
    ) -> bool:
        """Whether any version was readable in any state of the other rows: a moment decides, and which is not told."""
        try:
            for world in worlds:
                self._world = world
                if any(v is not None and self._may_read(identity, plan, v) for v in versions):
                    return True
        finally:
            self._world = self._rows
        return False

    def _change(self, plan: EntityPlan, row_id: str) -> None:
        fields = [f for f in plan.spec.fields if not f.unique]
        if not fields:
            return
        field = self._chance.choice(fields)
        value = self._value(field)

        def update(transaction: Transaction) -> Change | None:
            return transaction.update(plan, row_id, {field.name: value})

        engine = self._t.server.engine
        try:
            change = self._t.run(engine.run(SYSTEM, update, authority=Authority.TRUSTED)).value
        except PylonError:
            return
        if change is not None:
            self._rows[plan.name][row_id] = change.row

    # -- judging -------------------------------------------------------------------------------------------------

    def _compare(
        self, door: str, person: Actor, plan: EntityPlan, due: set[str], shown: Callable[[], set[str]]
    ) -> None:
        self.questions += 1
        try:
            found = shown()
        except PylonError as error:
            if due or error.code not in ("POLICY_DENIED", "NOT_FOUND"):
                self._leaked(door, person, plan, "*", f"answered {error.code}, {len(due)} rows are readable")
            return
        mine = {i for i in found if i in self._rows[plan.name]}
        for row_id in sorted(mine - due):
            self._leaked(door, person, plan, row_id, "shows, but may not be read")
        for row_id in sorted(due - mine):
            self._leaked(door, person, plan, row_id, "does not show, but may be read")

    def _by_cursor(self, person: Actor, entity: str) -> set[str]:
        found: set[str] = set()
        after = ""
        while True:
            answer = person.request("GET", f"/api/entities/{quote(entity)}/cursor?after={quote(after)}&limit=5")
            if answer.status >= 400:
                raise PylonError(answer.json["error"]["code"], "refused", status=answer.status)
            found |= {row["id"] for row in answer.json["data"]}
            if not answer.json["has_more"]:
                return found
            after = answer.json["next_cursor"]

    def _number(self, door: str, person: Actor, plan: EntityPlan, due: int, path: str, body: Any) -> None:
        answer = person.request("GET" if body is None else "POST", path, body)
        self.questions += 1
        if answer.status < 400 and answer.json["count"] != due:
            self._leaked(door, person, plan, "*", f"is {answer.json['count']}, {due} rows are readable")

    def _no_rows(self, door: str, person: Actor, plan: EntityPlan, body: bytes, due: set[str]) -> None:
        for row_id in self._rows[plan.name]:
            if row_id not in due and row_id.encode() in body:
                self._leaked(door, person, plan, row_id, "is in the answer")

    def _no_values(self, door: str, person: Actor, plan: EntityPlan, row_id: str, body: bytes) -> None:
        row = self._rows[plan.name][row_id]
        for field in plan.spec.fields:
            value = getattr(row, field.name)
            is_telling = isinstance(value, str) and value.startswith("word") and len(value) >= _SECRET_LENGTH
            if is_telling and value.encode() in body:
                self._leaked(door, person, plan, row_id, f"tells {field.name}")

    def _no_hidden(self, door: str, person: Actor, plan: EntityPlan, row_id: str, data: dict[str, Any]) -> None:
        for field in plan.spec.fields:
            if field.is_hidden and field.name in data:
                self._leaked(door, person, plan, row_id, f"shows serverOnly {field.name}")

    def _leaked(self, door: str, person: Actor, plan: EntityPlan, row_id: str, detail: str) -> None:
        if len(self._leaks) < _TOLD:
            self._leaks.append(Leak(door, person.identity, plan.name, row_id, detail, self._seed))


def _rules(plan: EntityPlan) -> list[Rule]:
    return [plan.policy.read, plan.policy.insert, plan.policy.update, plan.policy.delete]


def _roles(rule: Rule) -> set[str]:
    return {role for node in walk(rule.expression) if isinstance(node, HasRole) for role in node.roles}


def _ids(answer: Any) -> set[str]:
    """Every row id in a graph's answer."""
    if isinstance(answer, dict):
        if "error" in answer and "code" in answer["error"]:
            raise PylonError(answer["error"]["code"], "refused")
        own = {answer["id"]} if isinstance(answer.get("id"), str) else set()
        return own.union(*(_ids(value) for value in answer.values() if isinstance(value, dict | list)))
    if isinstance(answer, list):
        return set().union(*(_ids(value) for value in answer))
    return set()
