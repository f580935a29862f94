"""Refreshing: two tabs, a lost answer and a wrong clock log nobody out; a token that was given up ends the session."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pylon import App, Entity
from pylon.auth.rotation import GRACE_SECONDS, LATE_SECONDS
from pylon.auth.sessions import NOBODY
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.testing.identity import KEY, open_foundation, somebody
from tests.auth.conftest import Clock


async def test_a_lost_answer_is_given_again_however_late(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        old = (await base.sessions.create("u1")).token
        lost = await base.refresh(somebody(), old)
        clock.now += 20 * 86400
        assert (await base.refresh(somebody(), old)).token == lost.token
        assert base.sessions.resolve(old).identity.user_id == "u1"


async def test_two_tabs_that_refresh_at_once_get_the_same_token(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        old = (await base.sessions.create("u1")).token
        one, two = await asyncio.gather(base.refresh(somebody(), old), base.refresh(somebody(), old))
        assert one.token == two.token != old


async def test_a_tab_that_sleeps_through_two_refreshes_finds_the_newest(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        first = (await base.sessions.create("u1")).token
        second = (await base.refresh(somebody(), first)).token
        third = (await base.refresh(somebody(), second)).token
        assert (await base.refresh(somebody(), first)).token == third


async def test_a_stolen_old_token_ends_the_session_and_is_recorded(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        stolen = (await base.sessions.create("u1")).token
        fresh = (await base.refresh(somebody(), stolen)).token
        await _used(base, fresh)
        clock.now += GRACE_SECONDS + 1
        assert base.sessions.resolve(stolen) is NOBODY
        with pytest.raises(PylonError) as refused:
            await base.refresh(somebody(ip="198.51.100.66"), stolen)
        assert refused.value.code == "SESSION_EXPIRED"
        assert base.sessions.resolve(fresh) is NOBODY
        [event] = await base.events.search(user="u1")
        assert (event["action"], event["success"], event["ip"]) == ("session_reuse", False, "198.51.100.66")


async def test_the_answer_is_given_again_after_the_server_changed_its_key(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        old = (await base.sessions.create("u1")).token
        fresh = (await base.refresh(somebody(), old)).token
    async with open_foundation(people, tmp_path, keys=("another-key-of-32-characters-0000", KEY)) as base:
        assert (await base.refresh(somebody(), old)).token == fresh
    async with open_foundation(people, tmp_path, keys=("another-key-of-32-characters-0000",)) as base:
        with pytest.raises(PylonError):
            await base.refresh(somebody(), old)
        assert base.sessions.resolve(fresh).identity.user_id == "u1"  # nobody is signed out by it


async def test_a_clock_behind_may_refresh_a_little_late(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, session_secs=1000) as base:
        token = (await base.sessions.create("u1")).token
        clock.now += 1000 + LATE_SECONDS - 1
        assert base.sessions.resolve(token) is NOBODY
        token = (await base.refresh(somebody(), token)).token
        assert base.sessions.resolve(token).identity.user_id == "u1"
        clock.now += 1000 + LATE_SECONDS
        with pytest.raises(PylonError):
            await base.refresh(somebody(), token)


async def test_a_refresh_keeps_who_and_where_one_is(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        guest = await base.sessions.create_guest(device="Firefox on Linux")
        fresh = await base.refresh(somebody(), guest.token)
        assert base.sessions.resolve(fresh.token).identity.is_guest
        assert (fresh.record.id, fresh.record.device) == (guest.record.id, "Firefox on Linux")


async def _used(base: Any, token: str) -> None:
    base.sessions.resolve(token)
    base.sessions._refresh()
    if base.sessions._noting is not None:
        await base.sessions._noting
    base.sessions.take_up()


class Nothing(Entity, crdt=False):
    name: str


class Client(RuleBasedStateMachine):
    """An honest browser whose tabs share one stored token, a network that loses answers, a clock that may jump back a
    little, and a thief who copied a token at some time."""

    loop: asyncio.Runner
    base: Any
    clock = Clock()

    @initialize()
    def sign_in(self) -> None:
        self.token = self.run(self.base.sessions.create("u1")).token
        self.stored = self.token
        self.given_up: dict[str, float] = {}
        self.stolen: list[str] = []
        self.is_robbed = False
        self.is_over = False

    def run(self, work: Any) -> Any:
        return self.loop.run(work)

    def confirm(self, token: str) -> None:
        """A use of a token: what came before it begins to close."""
        self.run(_used(self.base, token))
        for old in self.given_up:
            if not self.given_up[old]:
                self.given_up[old] = self.clock.now

    def answer(self, token: str, *, lost: bool) -> None:
        try:
            fresh = self.run(self.base.refresh(somebody(), token)).token
        except PylonError:
            assert self.is_over or self.is_robbed, "an honest client was logged out"
            self.is_over = True
            return
        assert not self.is_over, "a session that is over was refreshed"
        if fresh != token and token == self.token:
            for old in self.given_up:  # the refresh used it
                self.given_up[old] = self.given_up[old] or self.clock.now
            self.given_up[token] = 0.0
            self.token = fresh
        assert fresh == self.token
        if not lost:
            self.stored = fresh

    @rule(lost=st.booleans())
    def refresh(self, lost: bool) -> None:
        self.answer(self.stored, lost=lost)

    @rule()
    def two_tabs_refresh(self) -> None:
        held = self.stored
        self.answer(held, lost=False)
        self.answer(held, lost=False)

    @rule()
    def use(self) -> None:
        async def resolve() -> Any:
            return self.base.sessions.resolve(self.stored)

        session = self.run(resolve())
        if self.is_over:
            assert session is NOBODY
        elif not self.is_robbed:
            assert session.identity.user_id == "u1", "an honest client became nobody"
            if self.stored == self.token:
                self.confirm(self.stored)

    @rule(seconds=st.sampled_from([-30, 1, 30, 61, 3600, 86400]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def steal(self) -> None:
        self.stolen.append(self.stored)

    @precondition(lambda self: self.stolen and not self.is_over)
    @rule(data=st.data())
    def thief_refreshes(self, data: Any) -> None:
        token = data.draw(st.sampled_from(self.stolen))
        closed = self.given_up.get(token, 0.0)
        try:
            got = self.run(self.base.refresh(somebody(), token)).token
        except PylonError:
            self.is_over = True
            assert closed
            assert self.clock.now - closed > GRACE_SECONDS
            return
        self.is_robbed = True
        assert not closed or self.clock.now - closed <= GRACE_SECONDS, "a token that was given up still worked"
        if token == self.token:
            for old in self.given_up:
                self.given_up[old] = self.given_up[old] or self.clock.now
            self.given_up[token] = 0.0
            self.token = got

    def teardown(self) -> None:
        if self.is_over:
            for token in (self.stored, self.token, *self.given_up):

                async def resolve(token: str = token) -> Any:
                    return self.base.sessions.resolve(token)

                assert self.run(resolve()) is NOBODY


def test_no_honest_client_is_logged_out_and_every_thief_of_an_old_token_is() -> None:
    app = App("nothing", entities=[Nothing]).spec()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as loop:

        async def enter(context: Any) -> Any:
            return await context.__aenter__()

        context = open_foundation(app, Path(folder), clock=Client.clock, session_max_secs=0)
        Client.loop, Client.base = loop, loop.run(enter(context))
        try:
            machine = Client.TestCase
            machine.settings = settings(
                max_examples=25,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            machine("runTest").runTest()
        finally:

            async def leave() -> None:
                await context.__aexit__(None, None, None)

            loop.run(leave())
