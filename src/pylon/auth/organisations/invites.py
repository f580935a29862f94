"""Invitations to an organisation (spec 03 §12.2): a link by mail that opens it to whoever has the invited address.

Only the SHA-256 of a link's token is stored, which has 192 random bits, and whoever invites never sees it. A newer
invitation of one address takes the place of the older one. What the inviter may no longer give is no good any more.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.declared import epoch, iso
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.mail.kinds import MailKind
from pylon.auth.organisations import rules
from pylon.auth.organisations.rows import OrgRows
from pylon.auth.organisations.stage import allow, check_role
from pylon.auth.tokens import token_key
from pylon.auth.users import normal_email, timestamp
from pylon.engine.transaction import Authority, RowAccess, Transaction
from pylon.model.errors import PylonError

TOKEN_BYTES = 24
PREFIX_LENGTH = 8
SECONDS = 7 * 86_400
MAX_OPEN = 500
"""Open invitations of one organisation."""
MAX_MEMBERS = 10_000
MAX_MEMBERSHIPS = 1000
"""Organisations that one user makes or joins."""


class Invited(msgspec.Struct, frozen=True):
    """A new invitation. The token and its link are shown in dev mode only; otherwise they are in the mail alone."""

    id: str
    email: str
    role: str
    expires_at: int
    accept_url: str | None
    token: str | None


class Invitation(msgspec.Struct, frozen=True):
    """An open invitation, as who manages the organisation sees it."""

    id: str
    email: str
    role: str
    token_prefix: str | None
    invited_by: str | None
    created_at: int | None
    expires_at: int | None


class Offer(msgspec.Struct, frozen=True):
    """What a link offers, as its holder sees it."""

    org_id: str
    org_name: str
    email: str
    role: str
    expires_at: int | None


class Invites:
    """The invitations of one server."""

    def __init__(self, foundation: Foundation, rows: OrgRows) -> None:
        self._demand = foundation.demanded_factor
        self._engine = foundation.engine
        self._users = foundation.users
        self._limiter = foundation.limiter
        self._outbox = foundation.outbox
        self._redirects = foundation.redirects
        self._page = foundation.settings.invite_url
        self._dev = foundation.settings.dev_mode
        self._roles = foundation.block.roles
        self._rows = rows

    async def send(self, arrival: Arrival, org_id: str, email: Any, role: Any) -> Invited:
        """Invite an address. Raises INVALID_EMAIL, BAD_ROLE, FORBIDDEN, ORG_NOT_FOUND, ALREADY_MEMBER,
        ORG_LIMIT_REACHED, MAIL_NOT_CONFIGURED, PUBLIC_URL_MISSING, RATE_LIMITED."""
        self._rows.require()
        if not isinstance(email, str):
            raise PylonError("INVALID_EMAIL", "This is not an e-mail address")
        address, wanted = normal_email(email), check_role(role, self._roles)
        if not self._outbox.is_on and not self._dev:
            raise PylonError("MAIL_NOT_CONFIGURED", "This server sends no mail")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        link, inviter = self._link(token), arrival.session.identity.user_id
        await self._engine.reads.read(
            lambda session: self._may_invite(RowAccess(session, self._engine.plans), arrival, org_id, wanted),
            arrival.caller,
            "list",
            "organisations",
        )
        # Only who may invite at all is counted: others can't use an address's share of the limit up.
        await self._limiter.take(Step.INVITE, arrival, address)

        def invite(tx: Transaction) -> Invited:
            rows = self._rows
            org = self._may_invite(tx, arrival, org_id, wanted)
            user = self._users.find(tx, email=address) if self._users.has("email") else None
            if user is not None and rows.membership(tx, org_id, user.id) is not None:
                raise PylonError("ALREADY_MEMBER", "Whoever has this address is a member already")
            for older in list(rows.invites(tx, orgId=org_id, email=address, acceptedAt=None)):
                tx.delete(rows.invite, older.id)
            if rows.count_invites(tx, org_id) >= MAX_OPEN:
                raise PylonError("ORG_LIMIT_REACHED", f"An organisation has at most {MAX_OPEN} open invitations")
            expires_at = int(tx.now.timestamp()) + SECONDS
            values = {
                "orgId": org_id,
                "email": address,
                "role": wanted,
                "invitedBy": inviter,
                "tokenHash": _hash(token),
                "tokenPrefix": token[:PREFIX_LENGTH],
                "createdAt": timestamp(tx),
                "expiresAt": iso(expires_at),
                "acceptedAt": None,
            }
            row = rows.insert(tx, rows.invite, values)
            if self._outbox.is_on:
                letter = {"org_name": org.name, "url": link}
                self._outbox.queue(tx, MailKind.ORG_INVITE, address, user_id=inviter, seconds=SECONDS, **letter)
            record(tx, arrival, Event.ORG_INVITE_SEND, inviter, tenant=org_id, invite=row.id, role=wanted)
            return Invited(
                row.id, address, wanted, expires_at, link if self._dev else None, token if self._dev else None
            )

        made = (await self._engine.run(arrival.caller, invite, authority=Authority.TRUSTED)).value
        self._outbox.wake()
        return made

    async def open_ones(self, arrival: Arrival, org_id: str) -> list[Invitation]:
        """The invitations that were neither accepted nor are past their time. Raises FORBIDDEN, ORG_NOT_FOUND."""
        self._rows.require()
        now = self._engine.clock()

        def read(rows: RowAccess) -> list[Invitation]:
            allow(rules.managing(self.role(rows, arrival, org_id)))
            found = [_shown(row) for row in self._rows.invites(rows, orgId=org_id, acceptedAt=None)]
            return [invitation for invitation in found if (invitation.expires_at or 0) > now]

        return await self._engine.reads.read(
            lambda session: read(RowAccess(session, self._engine.plans)), arrival.caller, "list", "organisations"
        )

    async def revoke(self, arrival: Arrival, org_id: str, invite_id: str) -> None:
        """Take an invitation back. Raises NOT_FOUND, FORBIDDEN, ORG_NOT_FOUND."""
        self._rows.require()

        def remove(tx: Transaction) -> None:
            allow(rules.managing(self.role(tx, arrival, org_id)))
            row = tx.get(self._rows.invite, invite_id)
            if row is None or row.orgId != org_id or row.acceptedAt:
                raise PylonError("NOT_FOUND", "No such invitation")
            tx.delete(self._rows.invite, invite_id)
            subject = arrival.session.identity.user_id
            record(tx, arrival, Event.ORG_INVITE_REVOKE, subject, tenant=org_id, invite=invite_id)

        await self._engine.run(arrival.caller, remove, authority=Authority.TRUSTED)

    async def offer(self, arrival: Arrival, token: str) -> Offer:
        """What a link offers, for a page that asks whether to accept. Raises INVITE_NOT_FOUND, INVITE_EXPIRED,
        ALREADY_ACCEPTED, RATE_LIMITED."""
        self._rows.require()
        await self._limiter.take(Step.VERIFY, arrival)

        def read(rows: RowAccess) -> Offer:
            row, org = self._find(rows, token)
            return Offer(row.orgId, org.name, row.email, row.role, epoch(row.expiresAt))

        return await self._engine.reads.read(
            lambda session: read(RowAccess(session, self._engine.plans)), arrival.caller, "list", "organisations"
        )

    async def accept(self, arrival: Arrival, token: str) -> tuple[str, str]:
        """Join by a link; (organisation, role). Raises INVITE_NOT_FOUND, INVITE_EXPIRED, ALREADY_ACCEPTED, NO_EMAIL,
        WRONG_EMAIL, ALREADY_MEMBER, ORG_LIMIT_REACHED, RATE_LIMITED."""
        self._rows.require()
        await self._limiter.take(Step.VERIFY, arrival)
        identity = arrival.session.identity
        user = identity.user_id or ""

        def join(tx: Transaction) -> tuple[str, str]:
            rows = self._rows
            row, _ = self._find(tx, token)
            held = tx.get(self._users.plan, user) if self._users.is_declared else None
            email = getattr(held, "email", None)
            if not email:
                raise PylonError("NO_EMAIL", "Your account has no e-mail address")
            if normal_email(email) != normal_email(row.email):
                raise PylonError("WRONG_EMAIL", "The invitation is for another address: sign in with that one")
            if rows.membership(tx, row.orgId, user) is not None:
                raise PylonError("ALREADY_MEMBER", "You are a member of the organisation already")
            self.room_for(tx, user)
            if rows.count_members(tx, orgId=row.orgId) >= MAX_MEMBERS:
                raise PylonError("ORG_LIMIT_REACHED", f"An organisation has at most {MAX_MEMBERS} members")
            now = timestamp(tx)
            rows.insert(tx, rows.member, {"orgId": row.orgId, "userId": user, "role": row.role, "joinedAt": now})
            rows.update(tx, rows.invite, row.id, {"acceptedAt": now})
            record(tx, arrival, Event.ORG_INVITE_ACCEPT, user, tenant=row.orgId, invite=row.id, role=row.role)
            return row.orgId, row.role

        return (await self._engine.run(arrival.caller, join, authority=Authority.TRUSTED)).value

    # -- parts ---------------------------------------------------------------------------------------------------

    def role(self, rows: RowAccess, arrival: Arrival, org_id: str) -> str:
        """The caller's role. Raises ORG_NOT_FOUND alike for no organisation and for one of others, and
        SECOND_FACTOR_MISSING for one that demands a second factor."""
        member = self._rows.membership(rows, org_id, arrival.session.identity.user_id)
        org = None if member is None else rows.get(self._rows.org, org_id)
        if member is None or org is None:
            raise PylonError("ORG_NOT_FOUND", "No such organisation")
        if self._rows.demands_factor(org) and not self._demand.has_shown(arrival.session):
            raise self._demand.missing(arrival.session)
        return str(member.role)

    def room_for(self, rows: RowAccess, user: str) -> None:
        """Raise ORG_LIMIT_REACHED when a user is in as many organisations as one may be."""
        if self._rows.count_members(rows, userId=user) >= MAX_MEMBERSHIPS:
            raise PylonError("ORG_LIMIT_REACHED", f"One is in at most {MAX_MEMBERSHIPS} organisations")

    def _may_invite(self, rows: RowAccess, arrival: Arrival, org_id: str, role: str) -> Any:
        allow(rules.inviting(self.role(rows, arrival, org_id), role))
        return rows.get(self._rows.org, org_id)

    def _find(self, rows: RowAccess, token: str) -> tuple[Any, Any]:
        row = self._rows.invite_of(rows, _hash(token))
        org = None if row is None else rows.get(self._rows.org, row.orgId)
        if row is None or org is None:
            raise PylonError("INVITE_NOT_FOUND", "This invitation does not exist any more")
        if row.acceptedAt:
            raise PylonError("ALREADY_ACCEPTED", "This invitation was accepted already")
        if (epoch(row.expiresAt) or 0) <= self._engine.clock():
            raise PylonError("INVITE_EXPIRED", "This invitation is past its time: ask for a new one")
        inviter = getattr(row, "invitedBy", None)
        if inviter is not None:
            member = self._rows.membership(rows, row.orgId, inviter)
            if rules.inviting(None if member is None else member.role, row.role) is not None:
                raise PylonError("INVITE_NOT_FOUND", "This invitation does not exist any more")
        return row, org

    def _link(self, token: str) -> str:
        """The address in the mail: the app's own page where one is set, which gets the token as `?token=`."""
        if self._page is not None:
            return f"{self._page}{'&' if '?' in self._page else '?'}token={token}"
        return self._redirects.link(f"/api/auth/invites/{token}")


def _hash(token: str) -> str:
    return token_key(token).hex()


def _shown(row: Any) -> Invitation:
    return Invitation(
        id=row.id,
        email=row.email,
        role=row.role,
        token_prefix=getattr(row, "tokenPrefix", None),
        invited_by=getattr(row, "invitedBy", None),
        created_at=epoch(getattr(row, "createdAt", None)),
        expires_at=epoch(row.expiresAt),
    )
