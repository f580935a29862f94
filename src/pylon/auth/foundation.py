"""What every method of signing in stands on, put together once for a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pylon.auth.addresses import Addresses
from pylon.auth.arrival import Arrival
from pylon.auth.captcha import Captcha, Provider
from pylon.auth.demanded_factor import DemandedFactor
from pylon.auth.events import Event, Events, record
from pylon.auth.gates import Gates
from pylon.auth.hashing import Hashing
from pylon.auth.limiter import Limiter, Rate, Step
from pylon.auth.mail.choose import transport
from pylon.auth.mail.outbox import Outbox
from pylon.auth.mail.templates import Templates
from pylon.auth.one_time import OneTime
from pylon.auth.profiles import demanding_entity
from pylon.auth.redirects import Redirects
from pylon.auth.registry import Method, Registry
from pylon.auth.sessions import Grant, Sessions
from pylon.auth.sign_in import SignIn
from pylon.auth.unfinished import Unfinished
from pylon.auth.user_stage import UserStage
from pylon.auth.users import Users
from pylon.auth.vault import Vault
from pylon.auth.verified_only import VerifiedOnly
from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing
from pylon.model.auth_block import DEFAULT_LIFETIME, AuthBlock
from pylon.model.errors import PylonError
from pylon.settings import Settings


@dataclass(frozen=True, slots=True)
class Foundation:
    """The parts, by name. A method takes what it needs of them and keeps nothing of its own in memory that must
    last."""

    engine: Engine
    settings: Settings
    block: AuthBlock
    sessions: Sessions
    users: Users
    vault: Vault
    one_time: OneTime
    events: Events
    registry: Registry
    sign_in: SignIn
    limiter: Limiter
    hashing: Hashing
    captcha: Captcha
    addresses: Addresses
    redirects: Redirects
    outbox: Outbox
    demanded_factor: DemandedFactor
    gates: Gates
    unfinished: Unfinished

    async def refresh(self, arrival: Arrival, token: str) -> Grant:
        """Exchange a session's token; that an old one came back is recorded. Raises SESSION_EXPIRED."""
        return await self.sessions.refresh(
            arrival.caller,
            token,
            on_reuse=lambda tx, session: record(
                tx, arrival, Event.SESSION_REUSE, session.user_id, failure="OLD_TOKEN", session=session.id
            ),
        )

    async def start(self) -> None:
        """What is due when the server starts."""
        await self.sign_in.promote_all(Arrival(caller=SYSTEM))
        self.outbox.start()
        self.unfinished.start()

    async def stop(self) -> None:
        """Stop the tasks and threads. Mail that waits is sent after the next start."""
        await self.unfinished.stop()
        await self.outbox.stop()
        self.hashing.close()


def lay_foundation(
    engine: Engine, settings: Settings, ring: KeyRing, methods: Iterable[Method], *, mail_folder: Path | None = None
) -> Foundation:
    """The foundation of one server, with these methods on it. `mail_folder` holds the app's own letters. Raises
    MAIL_TEMPLATE_INVALID."""
    block = engine.plans.auth
    templates = Templates(engine.app.name, mail_folder)
    templates.check()
    vault = Vault(ring)
    lifetime = settings.session_secs or block.session.expires_in or DEFAULT_LIFETIME
    sessions = Sessions(
        engine, settings.admin_tokens, ring, lifetime=lifetime, longest=settings.session_max_secs, clock=engine.clock
    )
    users = Users(engine)
    if settings.require_email_verification and not users.has("emailVerified"):
        raise PylonError(
            "CONFIG_INVALID",
            "PYLON_REQUIRE_EMAIL_VERIFICATION: the entity of users has no field `emailVerified`.",
            hint="Declare it, or unset the variable.",
        )
    if users.is_declared:
        users.plan.stages.append(UserStage(users, block.user.admin_field))
    registry = Registry(engine)
    events = Events(engine)
    demand = DemandedFactor(
        engine.reads.identity,
        sessions.profiles,
        of_everybody=block.second_factor == "required",
        by_organisations=demanding_entity(engine) is not None,
    )
    foundation = Foundation(
        engine=engine,
        settings=settings,
        block=block,
        sessions=sessions,
        users=users,
        vault=vault,
        one_time=OneTime(vault, engine.clock),
        events=events,
        registry=registry,
        sign_in=SignIn(engine, sessions, users, registry, events, settings.admin_emails),
        limiter=Limiter(engine, vault, rates(settings), clock=engine.clock),
        hashing=Hashing(threads=settings.hash_threads),
        captcha=Captcha(
            None if settings.captcha_provider is None else Provider(settings.captcha_provider.value),
            settings.captcha_secret,
            least_score=settings.captcha_min_score,
        ),
        addresses=Addresses(is_on=not settings.email_blocklist_disabled, extra=settings.email_blocklist_extra),
        redirects=Redirects(
            settings.public_url,
            (*settings.trusted_origins, *settings.cors_origins, *block.trusted_origins),
            dev=settings.dev_mode,
            port=settings.port,
        ),
        outbox=Outbox(
            engine,
            vault,
            templates,
            transport(settings),
            settings.email_from or f"{engine.app.name} <noreply@localhost>",
        ),
        demanded_factor=demand,
        unfinished=Unfinished(engine),
        gates=Gates(sessions, (VerifiedOnly(sessions.profiles, is_on=settings.require_email_verification), demand)),
    )
    for method in methods:
        registry.add(method, foundation)
    return foundation


def rates(settings: Settings) -> dict[Step, Rate]:
    """The limits that are set."""
    return {
        Step.LOGIN: Rate(settings.auth_login_ip_per_min, settings.auth_login_account_per_hour),
        Step.SEND: Rate(settings.auth_send_ip_per_min, settings.auth_send_account_per_hour),
        Step.VERIFY: Rate(settings.auth_verify_ip_per_min, settings.auth_verify_account_per_hour),
        Step.REGISTER: Rate(settings.auth_register_ip_per_min),
        Step.NONCE: Rate(settings.auth_nonce_ip_per_min),
        Step.GUEST: Rate(settings.auth_guest_ip_per_min),
        Step.INVITE: Rate(settings.auth_invite_ip_per_min, settings.auth_send_account_per_hour),
    }
