"""One server process: builds the rooms over one data folder, serves them, and stops them in order.

Signals are ours: SIGTERM or SIGINT turns readiness to 503, drains requests, closes sockets with 1001, checkpoints and
exits with 0; a second one exits at once. Nothing acknowledged is lost either way. SIGHUP recycles the live connections
in waves and stops nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from pylon.auth.foundation import lay_foundation
from pylon.auth.methods import METHODS
from pylon.auth.operators import open_operators
from pylon.auth.signals import watch_identity
from pylon.compute.functions import Functions
from pylon.compute.room_rules import RoomRules
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.documents.documents import Limits
from pylon.engine.engine import Engine
from pylon.engine.housekeeping import Retention
from pylon.engine.key_check import check_keys, note_keys
from pylon.engine.keyring import FILE_NAME as KEY_FILE
from pylon.engine.keyring import load_keyring
from pylon.engine.limits.containment import Watermarks
from pylon.engine.limits.gate import RateLimits
from pylon.engine.limits.switches import FILE_NAME
from pylon.engine.limits.usage import Meter
from pylon.engine.plan import Plans
from pylon.engine.readers import Readers
from pylon.engine.resealing import Resealing
from pylon.listeners import Listeners
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec
from pylon.observe import sections, watch, watch_rooms
from pylon.ops.alarm_rules import standard_alarms
from pylon.ops.alarms import Alarms
from pylon.ops.backup.archive import FOLDER as ARCHIVE
from pylon.ops.backup.archiver import Archiver
from pylon.ops.backup.exchange import unfinished
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.schedule import Backups, Plan, clean_up
from pylon.ops.backup.shelf import open_shelf
from pylon.ops.backup.take import Subject
from pylon.ops.health import Readiness
from pylon.ops.incident import evidence
from pylon.ops.incident.desk import IncidentDesk
from pylon.ops.incident.mask import Mask
from pylon.ops.mail_alarms import mail_alarms
from pylon.ops.migrations.state import refuse_unfinished
from pylon.ops.overview import Overview
from pylon.plugins.host import Plugins
from pylon.plugins.server import PluginServer
from pylon.policy.rules import PolicyError
from pylon.settings import Settings
from pylon.signals import logs, redaction, tracing
from pylon.signals.metrics import Registry
from pylon.signals.process import Collector, watch_process
from pylon.signals.traffic import Traffic
from pylon.store.lock import FolderLock
from pylon.store.protocol import ReadSession, SchemaWish
from pylon.store.sqlite.database import SqliteStore
from pylon.sync.asgi_socket import AsgiSockets
from pylon.sync.audiences import View
from pylon.sync.controls import Controls
from pylon.sync.deciding import Question
from pylon.sync.document_figures import watch_documents
from pylon.sync.documents import serve_documents
from pylon.sync.door import PING_BUCKETS, Door
from pylon.sync.hub import Hub
from pylon.sync.live import LiveQueries
from pylon.sync.live_metrics import watch_live
from pylon.sync.pull import Pull
from pylon.sync.push import Push
from pylon.sync.reruns import LiveLimits
from pylon.sync.room_desk import RoomDesk
from pylon.sync.room_sockets import open_rooms
from pylon.sync.room_state import RoomLimits
from pylon.sync.rooms import SWEEP_SECONDS
from pylon.sync.scopes import Scopes
from pylon.sync.sse import EventStream, sse_protocol
from pylon.sync.subset import Subsets
from pylon.sync.tail import recent_changes
from pylon.sync.throttles import Throttles
from pylon.sync.told import Audience
from pylon.sync.websocket import socket_protocol
from pylon.web.admin.use import AdminUse
from pylon.web.app import create_app
from pylon.web.auth.cookies import session_cookie_name
from pylon.web.doors import Doors
from pylon.web.limits import EdgeLimits
from pylon.web.origins import Origins
from pylon.web.uvicorn_server import http_server

log = logs.Log("pylon.server")

SAME_WISH_SECONDS = 0.3
"""Two signals this close are one: `make` and `timeout` signal a process and its group."""

GC_THRESHOLD = (20_000, 20, 20)
"""Rows and requests leave no cycles, so the collector may look less often than by default."""

OTEL_STOP_SECONDS = 3.0
"""How long the end of the process waits for a collector to take what is queued."""

EXIT_FORCED = 1
EXIT_STUCK = 70
_DECIDE_SECONDS = 5.0


class ReloadChannel(Protocol):
    """Whoever started the server: how long to wait for the data folder, and a call once it serves."""

    lock_wait: float

    def ready(self) -> None:
        """The server accepts requests."""


def run(spec: AppSpec, settings: Settings, listeners: Listeners, *, reload_channel: ReloadChannel) -> int:
    """Serve until stopped; the exit code. Raises PylonError when the app, the schema or the folder don't allow it."""
    logs.configure(settings.log_format.value, settings.log_level.value)
    logs.capture_libraries(settings.log_level.value)
    redaction.know(
        [
            *settings.admin_tokens,
            *settings.secret_keys,
            settings.metrics_token or "",
            settings.captcha_secret or "",
            settings.email_api_key or "",
            settings.email_webhook_secret or "",
            settings.smtp_password or "",
            settings.database_url or "",
        ]
    )
    if settings.database_url:
        raise PylonError(
            "CONFIG_INVALID",
            "DATABASE_URL: this release stores everything in SQLite; Postgres is not supported yet.",
            hint="Unset DATABASE_URL.",
        )
    lock = FolderLock(settings.data_dir)
    lock.acquire(reload_channel.lock_wait)
    telemetry = None
    try:
        telemetry = _telemetry(spec, settings)
        if (problem := unfinished(settings.data_dir)) is not None:
            raise problem
        server = Server(spec, settings, listeners)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(server.serve(reload_channel.ready))
    finally:
        lock.release()
        if telemetry is not None:
            telemetry.stop(OTEL_STOP_SECONDS)
        logs.flush()


def _telemetry(spec: AppSpec, settings: Settings) -> Any:
    """Traces and log lines to a collector, where one is named; None where not, and then nothing of it is imported."""
    if settings.otel_endpoint is None:
        return None
    try:
        from pylon.signals.otel import Telemetry
    except ImportError as error:
        raise PylonError(
            "CONFIG_INVALID",
            f"PYLON_OTEL_ENDPOINT is set, but OpenTelemetry is not installed ({error.name or error}).",
            hint="pip install 'pylon[otel]', or unset PYLON_OTEL_ENDPOINT.",
        ) from None
    telemetry = Telemetry(settings.otel_endpoint, spec.name, _version())
    tracing.install(telemetry)
    logs.forward_to(telemetry.line)
    return telemetry


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # not built for this platform: the standard loop serves as well, only slower
        return None
    return uvloop.new_event_loop


def compile_plans(spec: AppSpec) -> Plans:
    """The app's entities with their policies. Raises MANIFEST_INVALID naming the policy that is wrong."""
    try:
        return Plans(spec)
    except PolicyError as error:
        raise PylonError(
            "MANIFEST_INVALID", str(error), hint="Fix the policy; the guide lists what a rule may name."
        ) from error


class Server:
    """The rooms of one process. `clock` tells Unix seconds, `monotonic` seconds that nobody sets."""

    def __init__(
        self,
        spec: AppSpec,
        settings: Settings,
        listeners: Listeners,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        plans = compile_plans(spec)
        types = {name: plan.types for name, plan in plans.items()}
        key_file = settings.data_dir / KEY_FILE
        new_key = None if settings.secret_keys or key_file.exists() else key_file
        self._ring = ring = load_keyring(settings.secret_keys, settings.data_dir)
        plans.field_keys.keys = ring
        store = SqliteStore(settings.database_path, types, synchronous=settings.sqlite_synchronous.value, clock=clock)
        for done in store.apply(spec.entities, SchemaWish(by=f"start of {_version()}", app_version=spec.version)):
            log.info(f"schema: {done}")
        refuse_unfinished(store)
        self.engine = Engine(
            plans,
            store,
            read_threads=settings.read_threads,
            read_timeout=settings.read_timeout_ms / 1000,
            row_limit=settings.query_max_limit,
            retention=Retention(
                settings.change_log_retain_days,
                settings.change_log_retain_events,
                audit_days=settings.audit_retain_days,
            ),
            rate_limits=RateLimits(
                settings.writes_per_user,
                settings.writes_per_user_burst,
                settings.writes_per_ip,
                settings.writes_per_ip_burst,
                settings.pulls_per_client,
                settings.pulls_per_client_burst,
                settings.room_publishes_per_user,
                settings.room_publishes_per_user_burst,
            ),
            watermarks=Watermarks(
                settings.contain_wal_mb * 2**20,
                settings.contain_disk_free_mb * 2**20,
                settings.contain_writes_per_sec,
            ),
            maintenance_file=settings.data_dir / FILE_NAME,
            checkpoint_wal_bytes=settings.checkpoint_wal_mb * 2**20,
            on_stuck=_give_way,
            readers=Readers(max_seconds=settings.reader_max_secs, slow_seconds=settings.slow_query_ms / 1000),
            document_limits=Limits(
                settings.crdt_cache_bytes,
                settings.crdt_update_max_bytes,
                min(settings.crdt_document_max_bytes, settings.ws_buffer_max_bytes // 2),
            ),
            clock=clock,
        )
        self.identity = lay_foundation(self.engine, settings, ring, METHODS, mail_folder=_beside(spec, "mail"))
        self.sessions = self.identity.sessions
        check_keys(self.engine, ring, new_key, is_lost=settings.secret_key_lost)
        self.resealing = Resealing(self.engine, ring, None if settings.secret_keys else settings.data_dir)
        self.plugins = Plugins(spec.plugins, self.engine)
        self.functions = Functions(
            self.engine,
            spec.functions,
            timeout=settings.fn_call_timeout,
            mutation_timeout=settings.mutation_timeout_ms / 1000,
        )
        if self.identity.registry.is_built("oauth"):
            self.functions.connection = self.identity.registry.get("oauth").connections.token
        views = {
            name: View(plan.policy.read, plan.scope, self._witness if plan.spec.audit_reads else None)
            for name, plan in plans.items()
            if plan.spec.sync
        }
        self.hub = Hub(
            views,
            self._decide,
            tail_bytes=settings.ws_buffer_max_bytes // 2,
            entity_rate=settings.fanout_entity_rate,
            clock=monotonic,
        )
        self.engine.subscribe(self.hub.publish)
        self.engine.usage.before_flush(self._meter_deliveries)
        self.readiness = Readiness(self.engine)
        self.admin_use = AdminUse(self.engine)
        self.registry = Registry()
        self.traffic = Traffic(
            self.registry, sockets=lambda: self.door.open["ws"], streams=lambda: self.door.open["sse"]
        )
        origins = Origins(settings, plans.auth.trusted_origins)
        cookie_name = session_cookie_name(settings, spec.name)
        self.door = Door(
            self.hub,
            self.identity.gates.resolve,
            cookie_name=cookie_name,
            trusted_origin=origins.is_trusted,
            proxy_hops=settings.trust_proxy_hops,
            per_ip=settings.ws_per_ip_max,
            per_user=settings.ws_per_user_max,
            max_frame=settings.ws_max_frame,
            max_buffer=settings.ws_buffer_max_bytes,
            clock=clock,
        )
        if self.plugins.on_request or self.plugins.on_response:
            self.door.plugins = self.plugins
        subsets = Subsets(plans)
        Scopes(self.door, subsets)
        self.room_guard = open_rooms(
            self.door,
            self.engine,
            _room_limits(settings),
            RoomRules(self.functions, spec.rooms),
            current=self.identity.gates.current,
            clock=clock,
            monotonic=monotonic,
        )
        self.rooms = self.room_guard.rooms
        self.functions.rooms = RoomDesk(self.rooms)
        self.documents = serve_documents(self.engine, self.hub, self.door, per_socket=settings.crdt_subscriptions_max)
        self.sessions.on_revoked(self.door.revoke)
        self.door.identify_by(self.identity.gates.current)
        self.sessions.on_changed(self.door.reidentify)
        self.sessions.on_lost(self.door.reidentify_all)
        self.sessions.on_revoked(self.rooms.revoke)
        self.sessions.on_revoked(self.room_guard.revoked)
        self.sessions.on_changed(self.room_guard.reidentified)
        self.sessions.on_lost(self.room_guard.reidentified_all)
        self.controls = Controls(self.door, self.engine.switches, Audience(plans))
        self.live = LiveQueries(self.engine, self.functions, self.door, live_limits(settings), clock=monotonic)
        self.throttles = Throttles(self.engine, self.hub)
        self.alarms = Alarms(self.registry)
        self.overview = Overview(
            self.engine,
            self.hub,
            self.door,
            self.traffic,
            version=_version(),
            database=settings.database_path,
            watermark_bytes=settings.checkpoint_wal_mb * 2**20,
            alarms=self.alarms.active,
            readiness=self.readiness.check,
        )
        standard = standard_alarms(self.engine, self.hub, self.door, self.overview, settings)
        for alarm in (*standard, *mail_alarms(self.identity.outbox)):
            self.alarms.watch(alarm)
        limits = EdgeLimits(settings)
        watch(self.registry, self.engine, self.hub, self.door, self.readiness, settings.data_dir, limits)
        watch_rooms(self.registry, self.rooms, self.room_guard)
        watch_identity(self.registry, self.identity)
        watch_documents(self.registry, self.engine.documents, self.documents)
        self._collector = Collector()
        watch_process(self.registry, self.overview.loop_lag, self._collector)
        self.registry.gauges("pylon_build_info", "1, with the running version.", ("version",)).of(_version()).value = 1
        self.incidents = IncidentDesk(
            self.engine,
            settings.data_dir,
            Mask.of(settings),
            _version(),
            lambda book: [
                *evidence.parts(
                    self.engine,
                    settings,
                    self.registry,
                    report=lambda: self.traffic.report(sections(self.engine, self.hub, self.door)),
                    uptime=self.traffic.uptime,
                    book=book,
                ),
                *evidence.watched(
                    self.engine, self.overview, self.alarms, self.door.connections, self.identity.outbox.counts
                ),
            ],
        )
        self.backups = make_backups(spec, settings, self.engine)
        self.backups.watch(self.registry)
        watch_live(self.registry, self.live)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped_at = 0.0
        self.app = create_app(
            Doors(
                engine=self.engine,
                sessions=self.sessions,
                identity=self.identity,
                operators=open_operators(self.identity),
                functions=self.functions,
                pull=Pull(self.engine, subsets),
                push=Push(self.engine),
                settings=settings,
                registry=self.registry,
                traffic=self.traffic,
                version=_version(),
                events=EventStream(self.door),
                sockets=AsgiSockets(self.door),
                readiness=self.readiness.check,
                admin_use=self.admin_use,
                backups=self.backups,
                sections=lambda: sections(self.engine, self.hub, self.door),
                incidents=self.incidents,
                overview=self.overview,
                alarms=self.alarms,
                resealing=self.resealing,
                live=self.door,
                rooms=self.room_guard,
                throttles=self.throttles,
                limits=limits,
                plugins=self.plugins,
                web_folder=_beside(spec, "web"),
                dev=settings.dev_mode,
                cookie_name=cookie_name,
                stopping=self._stop,
            ),
            origins,
        )

    async def serve(self, on_ready: Any) -> int:
        """Start, serve until a signal, drain, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        self._collector.start()
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        await self.open()
        await self.incidents.start()
        self.overview.start()
        self.alarms.start(self.engine)
        self.backups.start()
        extra = await self._serve_extra_ports(loop)
        with contextlib.suppress(PylonError):  # a full disk must not keep reads from being served
            await self.engine.audit.note(SYSTEM, "server.start", version=_version(), app=self.engine.app.name)
        _spare_the_collector()
        main_socket = socket_protocol(self.door, main_port=True)
        server = http_server(self.app, main_socket, drain_seconds=self._settings.drain_secs)
        await server.run_until(self._stop, [self._listeners.http], on_ready)
        for listener in extra:
            listener.close()
        await self.alarms.stop()
        await self.overview.stop()
        await self.backups.stop()
        await self.close()
        self._collector.stop()
        log.info("stopped")
        return 0

    async def open(self) -> None:
        """Start what answers requests; whoever has no ports can serve `app` from here on."""
        await self.engine.start()
        await note_keys(self.engine, self._ring)
        self.throttles.load()
        await self.identity.start()
        await self.plugins.start(PluginServer(self.engine, self._settings, self.registry, self.identity.vault))
        self.hub.preload(await recent_changes(self.engine), self.engine.reads.log_head())
        sweeping = self.engine.tasks.add("rooms", SWEEP_SECONDS)
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self.rooms.run(sweeping))]
        self._tasks += [asyncio.create_task(self.room_guard.run()), asyncio.create_task(self.admin_use.run())]

    async def close(self) -> None:
        """Stop what `open` started, in the order in which nothing is lost."""
        for task in self._tasks:
            task.cancel()
        await self.live.stop()
        await self.functions.stop()
        await self.resealing.stop()
        await self.plugins.stop()
        await self.identity.stop()
        await self.hub.stop()
        await self.admin_use.tell()
        with contextlib.suppress(PylonError):  # a store that takes nothing must not keep the process from ending
            await self.engine.audit.note(SYSTEM, "server.stop")
        await self.backups.stop_archive()
        await self.engine.stop()

    def _on_signal(self, number: int) -> None:
        now = time.monotonic()
        if self._stop.is_set():
            if now - self._stopped_at < SAME_WISH_SECONDS:
                return
            log.warning("stopping at once")
            logs.flush()
            os._exit(EXIT_FORCED)
        self._stopped_at = now
        log.info("stopping", signal=signal.Signals(number).name)
        self.readiness.stop("SHUTTING_DOWN")
        self.door.close(1001, "server is stopping")
        self._stop.set()

    def _on_hangup(self) -> None:
        """SIGHUP: recycle the live connections; the process lives."""
        if self._stop.is_set():
            return
        count, seconds = self.door.bounce()
        log.info("recycling live connections", signal="SIGHUP", connections=count, seconds=round(seconds, 1))

    async def _serve_extra_ports(self, loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.AbstractServer]:
        servers = []
        if self._listeners.ws is not None:
            sockets = socket_protocol(self.door, main_port=False)
            servers.append(await loop.create_server(sockets, sock=self._listeners.ws))
        if self._listeners.sse is not None:
            streams = sse_protocol(self.door, needs_session=not self._settings.dev_mode)
            servers.append(await loop.create_server(streams, sock=self._listeners.sse))
        return servers

    async def _tick(self) -> None:
        every = self._settings.ws_ping_secs / PING_BUCKETS
        task = self.engine.tasks.add("keepalive", every)
        while True:
            await asyncio.sleep(every)
            try:
                with task.turn():
                    self.door.tick()
            except Exception:  # a supervised boundary: one bad connection must not end the keepalive of all
                log.exception("keepalive failed")

    def _witness(self, identity: Identity, change: Change) -> None:
        """Record a row that is shown to everybody of this identity who is connected."""
        self.engine.audit.shown(Caller(identity=identity, door="live"), change.entity, [change.row_id])

    def _meter_deliveries(self) -> None:
        for user, events, sent in [*self.hub.delivered(), *self.rooms.delivered()]:
            self.engine.usage.add(Meter.DELIVERIES, user, events)
            self.engine.usage.add(Meter.EGRESS, user, sent)

    async def _decide(self, questions: Sequence[Question]) -> list[bool]:
        """Answer fan-out's questions that ask the store, on one snapshot of it."""

        def answer(session: ReadSession) -> list[bool]:
            now = self.engine.now()
            return [rule.allows(identity, row, now=now, exists=session.exists) for rule, identity, row in questions]

        return await self.engine.reads.run(answer, _DECIDE_SECONDS, what="fan-out")


def _room_limits(settings: Settings) -> RoomLimits:
    return RoomLimits(
        rooms=settings.rooms_max,
        members=settings.room_members_max,
        rooms_per_user=settings.rooms_per_user_max,
        name=settings.room_name_max_bytes,
        data=settings.room_data_max_bytes,
        idle=settings.room_idle_secs,
    )


def make_backups(spec: AppSpec, settings: Settings, engine: Engine) -> Backups:
    """The backups that this server takes, and its archive of changes."""
    shelf = None if settings.backup_target is None else open_shelf(settings.backup_target, settings.s3_endpoint)
    clean_up(settings.data_dir, shelf)
    keys = Keyring(settings.backup_passphrase, settings.backup_recipient)
    archiver = None
    if settings.archive_secs:
        archiver = Archiver(
            engine.store,
            settings.data_dir / ARCHIVE,
            seconds=settings.archive_secs,
            shelf=shelf,
            keys=keys,
            keep_days=settings.archive_keep_days,
            task=engine.tasks.add("archive", settings.archive_secs),
        )
    plan = Plan(every=settings.backup_every_secs, keep=settings.backup_keep, keys=keys)
    return Backups(engine, Subject(settings.data_dir, _version(), spec), shelf, plan, archiver=archiver)


def live_limits(settings: Settings) -> LiveLimits:
    """What live queries may take."""
    return LiveLimits(
        seconds=settings.live_timeout_ms / 1000,
        runs=max(1, settings.read_threads // 2),
        share=settings.live_user_share,
        bytes=settings.ws_buffer_max_bytes // 2,
        queries=settings.live_max,
        subscriptions=settings.live_per_user_max,
    )


def _spare_the_collector() -> None:
    """What was made at start lives as long as the process: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _give_way(reason: str) -> None:
    """A handler can't be stopped: data is safe, so let the supervisor start a fresh process."""
    log.error("giving way to a fresh process", reason=reason)
    logs.flush()
    os._exit(EXIT_STUCK)


def _version() -> str:
    return importlib.metadata.version("pylon")


def _beside(spec: AppSpec, name: str) -> Path | None:
    """A folder beside the app's module, such as `web/`, if there is one."""
    for function in spec.functions:
        module = sys.modules.get(function.handler.__module__)
        if (file := getattr(module, "__file__", None)) is not None:  # a notebook's has none
            return _existing(Path(file).parent / name)
    for entity in spec.entities:
        module = sys.modules.get(entity.python_class.__module__) if entity.python_class else None
        if (file := getattr(module, "__file__", None)) is not None:  # a notebook's has none
            return _existing(Path(file).parent / name)
    return _existing(Path(name))


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None
