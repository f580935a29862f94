"""Promise: no account ever holds what two people sign in with, whatever they do and in whichever order.

Two people, each with a mailbox and accounts elsewhere, against one server. Whoever can sign in to a user is tracked by
who owns the key; providers are honest about what they vouch for, and vouch for nothing when they can't know.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pylon import App, Entity, field
from pylon.auth.linking import by_address
from pylon.auth.methods.oauth.accounts import Accounts
from pylon.auth.methods.oauth.records import Person
from pylon.auth.sessions import Session
from pylon.auth.sign_in import Proof
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.filters import Scope, compile_filter
from pylon.store.identity import AccountRecord, SessionRecord
from pylon.testing.identity import open_foundation, somebody


class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    displayName: str | None = None
    emailVerified: str | None = None
    passwordHash: str | None = None
    createdAt: str | None = None

    class Policy:
        allow = "auth.userId == data.id"


APP = App("one-person", entities=[User]).spec()
PEOPLE = ("ann", "eve")
REFUSED = {
    "EMAIL_TAKEN",
    "ACCOUNT_LINK_REQUIRED",
    "ACCOUNT_TAKEN",
    "ACCOUNT_NOT_FOUND",
    "LAST_METHOD",
    "UPDATE_FAILED",
    "UNIQUE_VIOLATION",
}

person = st.sampled_from(PEOPLE)
account = st.sampled_from(("a", "b"))


class OnePerson(RuleBasedStateMachine):
    """The server, and what its people do."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        opening = open_foundation(APP, Path(self.folder.name))
        self.base = self.loop.run_until_complete(self.stack.enter_async_context(opening))
        self.accounts = Accounts(self.base)
        self.owner_of_session: dict[str, str] = {}
        self.owner_of_password: dict[str, str] = {}
        self.passwords = 0

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    # -- what people do -----------------------------------------------------------------------------------------------

    @rule(who=person, address=person)
    def register_with_a_password(self, who: str, address: str) -> None:
        """Anybody may name any address."""
        self.passwords += 1
        password = f"hash {self.passwords}"
        values = {"email": f"{address}@x.example", "passwordHash": password}
        row = self.run(lambda tx: self.base.users.insert(tx, values))
        if row is not None:
            self.owner_of_password[password] = who
            self.enter(who, row.id)

    @rule(who=person)
    def prove_the_mailbox(self, who: str) -> None:
        """A code or a link: only the mailbox's owner reads it."""
        row = self.run(
            lambda tx: by_address(self.base.users, tx, f"{who}@x.example", display_name=who, is_proven=True).row
        )
        assert row is not None
        self.base.sessions.take_up()
        self.enter(who, row.id)

    @rule(who=person, which=account, address=person, vouched=st.booleans())
    def sign_in_elsewhere(self, who: str, which: str, address: str, vouched: bool) -> None:
        """A provider that doesn't vouch takes any address."""
        found = self.run(
            lambda tx: self.accounts.arrive(tx, somebody(), elsewhere(who, which, address, vouched=vouched), None)
        )
        self.base.sessions.take_up()
        if found is not None:
            self.enter(who, found.user_id)

    @rule(who=person, which=account, address=person, vouched=st.booleans())
    def link(self, who: str, which: str, address: str, vouched: bool) -> None:
        for user in self.signed_in(who):
            shown = elsewhere(who, which, address, vouched=vouched)
            self.run(lambda tx, user=user, shown=shown: self.accounts.link(tx, somebody(), user, shown, None))

    @rule(who=person, which=account)
    def unlink(self, who: str, which: str) -> None:
        for user in self.signed_in(who):
            self.run(lambda tx, user=user: self.accounts.unlink(tx, somebody(), user, f"with-{which}", None))

    @rule(who=person, address=person)
    def change_the_address_of_the_row(self, who: str, address: str) -> None:
        """As a client, through the policy: nothing is proved."""
        for user in self.signed_in(who):
            session = self.session_of(who, user)
            body = msgspec.json.encode({"email": f"{address}@x.example"})
            caller = Caller(identity=session.identity, door="test")
            self.refusable(self.base.engine.update(caller, "User", user, body))

    @rule(who=person)
    def change_the_address_with_a_mail(self, who: str) -> None:
        """The new mailbox's owner confirms."""
        for user in self.signed_in(who):
            values = {"email": f"{who}@x.example", "emailVerified": "2026-01-01T00:00:00Z"}
            self.run(lambda tx, user=user, values=values: self.base.users.update(tx, user, values))

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def no_user_is_two_people(self) -> None:
        if not hasattr(self, "base"):
            return
        reads = self.base.engine.reads
        for row in self.run(
            lambda tx: tx.select(self.base.users.plan, compile_filter(self.base.users.plan.types, {}, Scope.SERVER))
        ):
            keys: dict[str, str] = {}
            for held in reads.identity.find(AccountRecord, user_id=row.id):
                keys[f"{held.provider} {held.subject}"] = held.subject.partition(" ")[0]
            for session in reads.identity.find(SessionRecord, user_id=row.id):
                keys[session.id] = self.owner_of_session[session.id]
            if row.passwordHash:
                keys["password"] = self.owner_of_password[row.passwordHash]
            if row.emailVerified:
                keys["mailbox"] = row.email.partition("@")[0]
            assert len(set(keys.values())) <= 1, (row, keys)

    # -- how ----------------------------------------------------------------------------------------------------------

    def run(self, operation: Callable[[Transaction], Any]) -> Any:
        outcome = self.refusable(self.base.engine.run(SYSTEM, operation, authority=Authority.TRUSTED))
        return None if outcome is None else outcome.value

    def refusable(self, work: Any) -> Any:
        try:
            return self.loop.run_until_complete(work)
        except PylonError as problem:
            if problem.code not in REFUSED:
                raise
            return None

    def enter(self, who: str, user: str) -> None:
        grant = self.loop.run_until_complete(
            self.base.sign_in.complete(somebody(), Proof(user_id=user, method="session"))
        )
        self.owner_of_session[grant.record.id] = who

    def signed_in(self, who: str) -> list[str]:
        """The users that somebody has a session of."""
        found = self.base.engine.reads.identity.find(SessionRecord)
        return sorted({one.user_id for one in found if self.owner_of_session[one.id] == who})

    def session_of(self, who: str, user: str) -> Session:
        found = self.base.engine.reads.identity.find(SessionRecord, user_id=user)
        record = next(one for one in found if self.owner_of_session[one.id] == who)
        return self.base.sessions.session_of(record)


def elsewhere(who: str, which: str, address: str, *, vouched: bool) -> Person:
    """Somebody at a provider that vouches only for what it knows."""
    return Person(
        provider=f"with-{which}",
        subject=f"{who} {which}",
        email=f"{address}@x.example",
        is_verified=vouched and who == address,
    )


TestOnePerson = OnePerson.TestCase
TestOnePerson.settings = settings(
    max_examples=400 if os.environ.get("PYLON_TEST_LONG") else 25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
