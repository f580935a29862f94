"""No path of registering, proving, resetting, changing and signing in ends with two people in one account.

Each person owns one address, and presents only what he knows: passwords that he chose, letters to his address, tokens
that he was given. An account of an address that its owner has come to is then opened by nothing that another one holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pylon.auth.linking import by_address
from pylon.auth.methods.password import Registration
from pylon.auth.proofs import CODE, RESET
from pylon.auth.sessions import NOBODY
from pylon.auth.vault import new_id
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import AccountRecord, OneTimeRecord
from pylon.testing.identity import somebody
from tests.auth.conftest import Clock
from tests.auth.mailing import open_with_mail

PEOPLE = ("ann", "bob")
people_ = st.sampled_from(PEOPLE)


def address(person: str) -> str:
    return f"{person}@example.com"


def password(person: str) -> str:
    return f"only {person} knows this"


class _Cheap:
    """Hashing without its price; everything else is real."""

    async def hash(self, text: str) -> str:
        return f"cheap {text}"

    async def verify(self, stored: str | None, text: str) -> Any:
        from pylon.auth.hashing import Verdict

        return Verdict(stored == f"cheap {text}")

    def close(self) -> None:
        pass


def machine(app: AppSpec) -> type[RuleBasedStateMachine]:
    class TwoPeople(RuleBasedStateMachine):
        """Two people, either of whom may be the attacker."""

        @initialize()
        def begin(self) -> None:
            self.loop = asyncio.new_event_loop()
            self.folder = tempfile.TemporaryDirectory()
            self.clock = Clock()
            self.opened = open_with_mail(app, Path(self.folder.name), clock=self.clock)
            self.base, self.post = self.run(self.opened.__aenter__())
            object.__setattr__(self.base, "hashing", _Cheap())
            self.tokens: dict[str, list[str]] = {person: [] for person in PEOPLE}
            self.came: set[str] = set()
            """Whose owner of the address has proved it."""

        def run(self, awaitable: Any) -> Any:
            return self.loop.run_until_complete(awaitable)

        def attempt(self, awaitable: Any) -> Any:
            """What it gives, None when it is refused."""
            try:
                return self.run(awaitable)
            except PylonError:
                return None

        def hold(self, person: str, grant: Any) -> None:
            if grant is not None:
                self.tokens[person].append(grant.token)

        def session(self, person: str) -> Any:
            """The newest session that a person holds and that is still good."""
            for token in reversed(self.tokens[person]):
                session = self.base.sessions.resolve(token)
                if session.is_user:
                    return session
            return None

        @rule(person=people_, whose=people_)
        def register(self, person: str, whose: str) -> None:
            """With one's own address or another's, and one's own password."""
            wanted = Registration(address(whose), password(person))
            made = self.attempt(self.base.registry.get("password").register(somebody(), wanted))
            self.hold(person, None if made is None else made.grant)

        @rule(person=people_, whose=people_)
        def log_in(self, person: str, whose: str) -> None:
            login = self.base.registry.get("password").login(somebody(), address(whose), password(person))
            self.hold(person, self.attempt(login))

        @rule(person=people_)
        def sign_in_by_code(self, person: str) -> None:
            """The letter comes to one's own address only."""
            self.clock.now += CODE.cooldown
            sent = self.attempt(self.base.registry.get("magic_code").send(somebody(), address(person)))
            if sent is not None:
                grant = self.attempt(self.base.registry.get("magic_code").verify(somebody(), *sent))
                self.hold(person, grant)
                if grant is not None:
                    self.came.add(person)

        @rule(person=people_)
        def sign_in_by_link(self, person: str) -> None:
            links = self.base.registry.get("magic_link")
            sent = self.run(links.send(somebody(), address(person)))
            grant, _ = self.run(links.verify(somebody(), sent.token))
            self.hold(person, grant)
            self.came.add(person)

        @rule(person=people_)
        def reset(self, person: str) -> None:
            reset = self.base.registry.get("password_reset")
            self.run(reset.request(somebody(), address(person)))
            if not self.base.engine.reads.identity.find(OneTimeRecord, kind=RESET.name, subject=address(person)):
                return
            token = self.run(reset.request(somebody(), address(person)))
            done = self.attempt(reset.complete(somebody(), token, password(person)))
            if done is not None:
                self.hold(person, done[0])
                self.came.add(person)

        @rule(person=people_)
        def verify(self, person: str) -> None:
            """In a session that one holds; the letter must come to one's own address."""
            session = self.session(person)
            if session is None:
                return
            self.clock.now += CODE.cooldown
            sent = self.attempt(self.base.registry.get("email").send_verification(somebody(session)))
            if sent is None or sent[0] != address(person):
                return
            if self.attempt(self.base.registry.get("email").verify(somebody(session), sent[1])) is not None:
                self.came.add(person)

        @rule(person=people_, clicks=people_)
        def change_address(self, person: str, clicks: str) -> None:
            """To any address; the letter is opened by its owner, in the session that he holds, if any."""
            session, whose = self.session(person), clicks
            if session is None:
                return
            emails = self.base.registry.get("email")
            token = self.attempt(emails.request_change(somebody(session), address(whose), password(person)))
            opener = self.session(clicks) or NOBODY
            if token is None:
                return
            done = self.attempt(emails.confirm_change(somebody(opener), token))
            if done is not None:
                self.hold(clicks, done[0])
                self.came.add(clicks)

        @rule(person=people_, whose=people_, vouches=st.booleans())
        def sign_in_elsewhere(self, person: str, whose: str, vouches: bool) -> None:
            """A provider's account: it vouches for one's own address only, and merely repeats any other."""
            vouches = vouches and person == whose

            def arrive(tx: Any) -> str:
                tables = tx.session.identity
                held = tables.one(AccountRecord, provider="elsewhere", subject=person)
                if held is not None:
                    return str(held.user_id)
                users = self.base.users
                row = by_address(users, tx, address(whose), display_name="x", is_proven=vouches).row
                tables.put(AccountRecord(id=new_id("acc_"), user_id=row.id, provider="elsewhere", subject=person))
                return str(row.id)

            try:
                user = self.run(self.base.engine.run(somebody().caller, arrive, authority=Authority.TRUSTED)).value
            except PylonError:
                return
            self.base.sessions.take_up()
            self.hold(person, self.run(self.base.sessions.create(user)))
            if vouches and self.base.users.get(user).email == address(whose):
                self.came.add(person)

        @invariant()
        def nobody_shares_an_account(self) -> None:
            for owner in self.came:
                row = self.base.users.by_email(address(owner))
                if row is None or not row.emailVerified:
                    continue
                for other in PEOPLE:
                    if other == owner:
                        continue
                    assert row.passwordHash != f"cheap {password(other)}", f"{other}'s password opens {owner}'s account"
                    held = [self.base.sessions.resolve(token).identity.user_id for token in self.tokens[other]]
                    assert row.id not in held, f"{other} holds a session of {owner}'s account"
                    linked = self.base.engine.reads.identity.find(AccountRecord, user_id=row.id)
                    assert all(account.subject != other for account in linked)

        def teardown(self) -> None:
            if hasattr(self, "opened"):
                self.run(self.opened.__aexit__(None, None, None))
                self.loop.close()
                self.folder.cleanup()

    return TwoPeople


def test_no_path_ends_with_two_people_in_one_account(people: AppSpec, monkeypatch: Any) -> None:
    for module in ("password_reset", "email"):  # no need to wait for even answers here
        monkeypatch.setattr(f"pylon.auth.methods.{module}.evenly", contextlib.nullcontext)
    is_long = bool(os.environ.get("PYLON_TEST_LONG"))
    case = machine(people).TestCase
    case.settings = settings(
        max_examples=300 if is_long else 25,
        stateful_step_count=30 if is_long else 14,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
