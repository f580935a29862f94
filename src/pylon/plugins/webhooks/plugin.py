"""The plugin: keeps a delivery running for each endpoint, and its admin routes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter as Counts
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.auth.vault import new_secret
from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.outbound import Outbound, OutboundError, Refused, check_url, parse_networks
from pylon.plugins.requests import PluginRequest, Response, Route
from pylon.plugins.server import PluginServer
from pylon.plugins.spec import Plugin
from pylon.plugins.webhooks import endpoints
from pylon.plugins.webhooks.delivery import Delivery, Retrying
from pylon.plugins.webhooks.endpoints import DEAD, ENDPOINT, MAX_ENDPOINTS, Dead, Endpoint, StoredEndpoint
from pylon.signals.metrics import Counter, Family

_PATH = "/api/admin/webhooks"


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    entities: tuple[str, ...] = ()
    kinds: tuple[endpoints.ChangeKind, ...] = endpoints.KINDS
    secret: str | None = None


class _Retry(msgspec.Struct, forbid_unknown_fields=True):
    seq: int | None = None


class Webhooks(Plugin):
    """Posts changes to endpoints: those declared here, and those that operators add (`pylon webhooks add`). Only
    public addresses are called, over HTTPS, but for the networks of `PYLON_OUTBOUND_ALLOW`."""

    name = "webhooks"

    def __init__(
        self,
        *declared: Endpoint,
        retrying: Retrying | None = None,
        outbound: Outbound | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._declared = declared
        self._retrying = retrying or Retrying()
        self._outbound = outbound
        self._random = random
        self._server: PluginServer | None = None
        self._deliveries: dict[str, Delivery] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stored: list[tuple[str, bytes]] = []
        self._counters: Family[Counter] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("GET", _PATH, self.list_all),
            Route("GET", _PATH + "/{name}", self.show),
            Route("PUT", _PATH + "/{name}", self.put),
            Route("DELETE", _PATH + "/{name}", self.delete),
            Route("POST", _PATH + "/{name}/retry", self.retry),
        ]

    # -- running -------------------------------------------------------------------------------------------------

    async def start(self, server: PluginServer) -> None:
        self._server = server
        if self._outbound is None:
            self._outbound = Outbound(parse_networks(server.settings.outbound_allow))
        labels = ("webhook", "outcome")
        help_text = "Deliveries of webhooks: delivered, failed (to be tried again) or dead."
        self._counters = server.registry.counters(
            "pylon_webhook_deliveries_total", help_text, labels, MAX_ENDPOINTS * 3
        )
        behind = "Entries of the change log that an endpoint has not passed."
        server.registry.asked_by("pylon_webhook_behind", behind, "gauge", ("webhook",), self._behind)
        oldest = "How long the oldest change has waited for an endpoint to take it."
        server.registry.asked_by("pylon_webhook_oldest_seconds", oldest, "gauge", ("webhook",), self._oldest)
        dead = "Deliveries that were given up and wait for somebody to try them again."
        server.registry.asked_by("pylon_webhook_dead", dead, "gauge", ("webhook",), self._dead_letters)
        await self._declare(server)
        server.engine.on_refresh(self._reload)
        server.engine.subscribe(self._committed)
        self._reload()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        self._deliveries.clear()
        self._server = None

    def _committed(self, changes: list[Change]) -> None:
        for delivery in self._deliveries.values():
            delivery.told(changes)

    def _reload(self) -> None:
        """Take up endpoints that changed in the store."""
        if self._server is None:
            return
        stored = self._server.engine.reads.records(ENDPOINT)
        if stored == self._stored and len(self._deliveries) == len(stored):
            return
        self._stored = stored
        wanted = {name: msgspec.json.decode(record, type=StoredEndpoint) for name, record in stored}
        for name, delivery in list(self._deliveries.items()):
            if wanted.get(name) != delivery.endpoint:
                del self._deliveries[name]
                self._tasks.pop(name).cancel()
        for name, endpoint in wanted.items():
            if name not in self._deliveries:
                assert self._outbound is not None
                delivery = Delivery(self._server, endpoint, self._outbound, self._retrying, self._random, self._count)
                self._deliveries[name] = delivery
                self._tasks[name] = self._server.spawn(f"webhook {name}", delivery.run)

    def _count(self, name: str, outcome: str) -> None:
        assert self._counters is not None
        self._counters.of(name, outcome).value += 1

    def _behind(self) -> list[tuple[tuple[str, ...], float]]:
        if self._server is None:
            return []
        head = self._server.engine.reads.log_head()
        return [((name,), max(0, head - delivery.cursor.seq)) for name, delivery in self._deliveries.items()]

    def _oldest(self) -> list[tuple[tuple[str, ...], float]]:
        return [((name,), delivery.oldest_seconds) for name, delivery in self._deliveries.items()]

    def _dead_letters(self) -> list[tuple[tuple[str, ...], float]]:
        if self._server is None:
            return []
        letters = Counts(key.rpartition("/")[0] for key, _ in self._server.engine.reads.records(DEAD))
        return [((name,), letters[name]) for name in self._deliveries]

    async def _declare(self, server: PluginServer) -> None:
        """Store what the app declares, and forget what it declared once."""
        engine = server.engine
        stored = {n: msgspec.json.decode(r, type=StoredEndpoint) for n, r in engine.reads.records(ENDPOINT)}
        fresh = [
            endpoints.seal(server.vault, e, engine.plans, is_declared=True, now=engine.clock()) for e in self._declared
        ]
        names = {endpoint.name for endpoint in fresh}
        gone = [name for name, endpoint in stored.items() if endpoint.is_declared and name not in names]
        changed = [e for e in fresh if e.name not in stored or not _is_same(server, e, stored[e.name])]
        head = engine.reads.log_head()

        def store(transaction: Transaction) -> None:
            for endpoint in changed:
                endpoints.put(transaction, endpoint, head)
            for name in gone:
                endpoints.forget(transaction, name, self._dead(name))

        if changed or gone:
            await engine.run(SYSTEM, store, authority=Authority.TRUSTED)

    # -- for operators -------------------------------------------------------------------------------------------

    async def list_all(self, request: PluginRequest) -> Any:
        """Every endpoint, and how it stands."""
        server = self._admitted(request)
        head = server.engine.reads.log_head()
        return {
            "webhooks": [
                endpoints.shown(d.endpoint, d.cursor, head, len(d.dead())) for _, d in sorted(self._deliveries.items())
            ]
        }

    async def show(self, request: PluginRequest) -> Any:
        """One endpoint with its dead letters. Raises NOT_FOUND."""
        server, delivery = self._admitted(request), self._delivery(request)
        dead = delivery.dead()
        shown = endpoints.shown(delivery.endpoint, delivery.cursor, server.engine.reads.log_head(), len(dead))
        return shown | {"dead_letters": dead}

    async def put(self, request: PluginRequest) -> Any:
        """Add an endpoint or change it. Its secret is answered once, when it is made here. Raises INVALID_DATA."""
        server = self._admitted(request)
        name = request.params["name"]
        wanted = _decoded(await request.body(), _Wanted)
        known = self._deliveries.get(name)
        if known is not None and known.endpoint.is_declared:
            raise PylonError("CONFLICT", "The app declares this webhook: change it there")
        if known is None and len(self._deliveries) >= MAX_ENDPOINTS:
            raise PylonError("INVALID_DATA", f"there are {MAX_ENDPOINTS} webhooks already")
        await self._check_address(wanted.url)
        made = wanted.secret is None and known is None
        secret = wanted.secret or (
            new_secret() if known is None else endpoints.target_of(server.vault, known.endpoint).secret
        )
        endpoint = endpoints.seal(
            server.vault,
            Endpoint(name, wanted.url, secret=secret, entities=wanted.entities, kinds=wanted.kinds),
            server.engine.plans,
            is_declared=False,
            now=server.engine.clock(),
        )
        head = server.engine.reads.log_head()
        await server.engine.run(
            request.caller, lambda tx: endpoints.put(tx, endpoint, head), authority=Authority.TRUSTED
        )
        self._reload()
        shown = endpoints.shown(endpoint, self._deliveries[name].cursor, head, 0)
        return Response(shown | ({"secret": secret} if made else {}), 201 if known is None else 200)

    async def delete(self, request: PluginRequest) -> Any:
        """Forget an endpoint, its cursor and its dead letters. Raises NOT_FOUND."""
        server, delivery = self._admitted(request), self._delivery(request)
        name, dead = delivery.endpoint.name, delivery.dead()
        if delivery.endpoint.is_declared:
            raise PylonError("CONFLICT", "The app declares this webhook: remove it there")
        await server.engine.run(
            request.caller, lambda tx: endpoints.forget(tx, name, dead), authority=Authority.TRUSTED
        )
        self._reload()
        return {"deleted": True}

    async def retry(self, request: PluginRequest) -> Any:
        """Have dead letters tried again, all or the one of a seq, and a failing endpoint at once. Raises NOT_FOUND."""
        server, delivery = self._admitted(request), self._delivery(request)
        body = await request.body()
        seq = _decoded(body, _Retry).seq if body else None
        name = delivery.endpoint.name
        chosen = [letter for letter in delivery.dead() if seq in (None, letter.seq)]
        if seq is not None and not chosen:
            raise PylonError("NOT_FOUND", "No such dead letter")

        def make_due(transaction: Transaction) -> None:
            for letter in chosen:
                due = msgspec.json.encode(msgspec.structs.replace(letter, is_due=True))
                transaction.session.put_record(DEAD, endpoints.dead_key(name, letter.seq), due)
            transaction.note("webhook.retry", name, letters=len(chosen))

        await server.engine.run(request.caller, make_due, authority=Authority.TRUSTED)
        delivery.hurry()
        return {"retrying": len(chosen)}

    def _admitted(self, request: PluginRequest) -> PluginServer:
        request.require_admin()
        assert self._server is not None
        return self._server

    def _delivery(self, request: PluginRequest) -> Delivery:
        found = self._deliveries.get(request.params["name"])
        if found is None:
            raise PylonError("NOT_FOUND", "No such webhook")
        return found

    def _dead(self, name: str) -> list[Dead]:
        assert self._server is not None
        records = self._server.engine.reads.records(DEAD)
        return [msgspec.json.decode(r, type=Dead) for key, r in records if key.startswith(f"{name}/")]

    async def _check_address(self, url: str) -> None:
        """Tell at once what would be refused at each delivery; a name that can't be resolved now may be later."""
        assert self._outbound is not None
        try:
            await self._outbound.address_of(check_url(url))
        except Refused as refusal:
            raise PylonError("INVALID_DATA", f"url: {refusal}", hint="PYLON_OUTBOUND_ALLOW names networks.") from None
        except OutboundError:
            return


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as problem:
        raise PylonError("INVALID_DATA", str(problem)) from None
    except msgspec.DecodeError:
        raise PylonError("INVALID_JSON", "Invalid request body") from None


def _is_same(server: PluginServer, one: StoredEndpoint, other: StoredEndpoint) -> bool:
    """Whether two stored forms mean the same; sealed text differs each time."""
    bare = [msgspec.structs.replace(e, sealed=b"", created_at=0.0) for e in (one, other)]
    try:
        same = endpoints.target_of(server.vault, one) == endpoints.target_of(server.vault, other)
    except PylonError:  # sealed under a key that is gone: seal it again
        return False
    return same and bare[0] == bare[1]
