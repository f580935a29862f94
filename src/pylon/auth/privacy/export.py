"""Everything that is stored of a user, as one JSON document in pieces (spec 03 §20): its rows in every entity, and what
it signs in with. Never a secret: no hash, no key, no token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import MAX_EVENTS, Event
from pylon.auth.foundation import Foundation
from pylon.auth.privacy.references import references
from pylon.engine.plan import EntityPlan
from pylon.model.timestamps import iso_seconds
from pylon.store.filters import Scope, compile_filter
from pylon.store.identity import (
    AccountRecord,
    ApiKeyRecord,
    BackupCodeRecord,
    OneTimeRecord,
    PasskeyRecord,
    SessionRecord,
    TotpRecord,
    TrustedDeviceRecord,
)
from pylon.store.mail import MailRecord
from pylon.store.protocol import ReadSession

PAGE = 200

_USED = ("created_at", "expires_at", "last_used_at")
TABLES: dict[type[msgspec.Struct], tuple[str, tuple[str, ...]]] = {
    SessionRecord: ("sessions", ("id", "method", "device", "ip", "tenant_id", "is_guest", *_USED)),
    AccountRecord: ("accounts", ("provider", "subject", "email", "scope", "avatar_url", "created_at", "updated_at")),
    ApiKeyRecord: ("api_keys", ("id", "name", "prefix", "scopes", "tenant_id", *_USED)),
    PasskeyRecord: ("passkeys", ("id", "name", "transports", "backed_up", "created_at", "last_used_at")),
    TotpRecord: ("authenticator_apps", ("created_at", "verified_at")),
    BackupCodeRecord: ("backup_codes", ("created_at",)),
    TrustedDeviceRecord: ("trusted_devices", ("id", "label", *_USED)),
    OneTimeRecord: ("codes_and_links", ("kind", "created_at", "expires_at", "consumed_at")),
    MailRecord: ("mail", ("id", "kind", "state", "recipient", "created_at", "sent_at")),
}
"""What is shown of each table, under which name."""

_SECRETS = frozenset(("passwordHash", "totpSecret", "totpBackupCodes", "tokenHash"))

Page = Callable[[EntityPlan, str, str, str], Awaitable[list[dict[str, Any]]]]
"""(plan, field, value, after which id) to the next rows, at most PAGE of them."""


class Export:
    """The exports of one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._events = foundation.events
        self._references = references(foundation.engine.plans)

    async def of_user(self, arrival: Arrival, user_id: str) -> AsyncIterator[bytes]:
        """For an operator: every row that names the user, serverOnly fields too. It is recorded before the first
        piece."""
        await self._events.record(arrival, Event.ACCOUNT_EXPORT, user_id)
        return self._document(arrival, user_id, self._any_rows(arrival))

    async def of_oneself(self, arrival: Arrival) -> AsyncIterator[bytes]:
        """For the user itself: the rows of it that it may read, with the fields that clients see."""
        user_id = arrival.session.identity.user_id or ""
        await self._events.record(arrival, Event.ACCOUNT_EXPORT, user_id)
        return self._document(arrival, user_id, self._readable_rows(arrival))

    async def _document(self, arrival: Arrival, user_id: str, page: Page) -> AsyncIterator[bytes]:
        at = iso_seconds(self._engine.now())
        yield b'{"user_id":%b,"exported_at":"%b","entities":{' % (msgspec.json.encode(user_id), at.encode())
        counts: dict[str, int] = {}
        for entity, fields in self._entities():
            plan = self._engine.plans[entity]
            yield b'%b"%b":[' % (b"," if counts else b"", entity.encode())
            counts[entity] = 0
            for number, field in enumerate(fields):
                after = ""
                while True:
                    rows = await page(plan, field, user_id, after)
                    # A row that names the user twice was shown for the first field that does.
                    fresh = [row for row in rows if all(row.get(f) != user_id for f in fields[:number])]
                    if fresh:
                        shown = b",".join(map(msgspec.json.encode, map(_open, fresh)))
                        yield (b"," if counts[entity] else b"") + shown
                        counts[entity] += len(fresh)
                    if len(rows) < PAGE:
                        break
                    after = rows[-1]["id"]
            yield b"]"
        yield b"},"
        stores = await self._engine.reads.read(
            lambda session: self._stores(session, user_id), arrival.caller, "list", "identity"
        )
        stores["events"] = await self._events.search(user=user_id, limit=MAX_EVENTS)
        yield b'"stores":%b,"counts":%b}' % (
            msgspec.json.encode(stores),
            msgspec.json.encode(counts | {name: len(found) for name, found in stores.items()}),
        )

    def _entities(self) -> list[tuple[str, list[str]]]:
        """Each entity with the fields that name users; the user entity with its id."""
        found: dict[str, list[str]] = {}
        user = self._engine.plans.auth.user.entity
        if user in self._engine.plans:
            found[user] = ["id"]
        for reference in self._references:
            found.setdefault(reference.entity, []).append(reference.field)
        return list(found.items())

    def _stores(self, session: ReadSession, user_id: str) -> dict[str, list[dict[str, Any]]]:
        shown: dict[str, list[dict[str, Any]]] = {}
        for table, (name, columns) in TABLES.items():
            found = session.identity.find(table, user_id=user_id)
            shown[name] = [{column: getattr(record, column) for column in columns} for record in found]
        month = self._engine.now().strftime("%Y-%m")
        used = session.usage_of(month, user_id)
        shown["usage"] = [{"period": month, "meter": meter, "amount": amount} for meter, amount in used.items()]
        return shown

    def _any_rows(self, arrival: Arrival) -> Page:
        async def page(plan: EntityPlan, field: str, value: str, after: str) -> list[dict[str, Any]]:
            selection = compile_filter(plan.types, _wanted(field, value, after), Scope.SERVER)

            def read(session: ReadSession) -> list[dict[str, Any]]:
                rows = [plan.types.load(values) for values in session.select(plan.name, selection)]
                return [msgspec.to_builtins(row) for row in rows]

            rows = await self._engine.reads.read(read, arrival.caller, "export", plan.name)
            if rows:
                self._engine.gate.shown(arrival.caller, plan, [row["id"] for row in rows])
            return rows

        return page

    def _readable_rows(self, arrival: Arrival) -> Page:
        async def page(plan: EntityPlan, field: str, value: str, after: str) -> list[dict[str, Any]]:
            if field in plan.hidden:
                return []
            reads = self._engine.reads
            selection = reads.filter(arrival.caller, plan.name, _wanted(field, value, after))
            rows: list[dict[str, Any]] = msgspec.json.decode(
                (await reads.rows(arrival.caller, plan.name, selection))[0]
            )
            return rows

        return page


def _wanted(field: str, value: str, after: str) -> dict[str, Any]:
    where: dict[str, Any] = {"id": {"$gt": after}, "$order": {"id": "asc"}, "$limit": PAGE}
    if field == "id":  # the user's own row: one page
        return where | {"id": value} if not after else where | {"id": {"$in": []}}
    return where | {field: value}


def _open(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _SECRETS and not name.startswith("_")}
