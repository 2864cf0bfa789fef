"""The composition root: from settings to a node that runs."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from avtomatika import observe
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.access import Access
from avtomatika.commands.apply import Writer, WriterPolicy
from avtomatika.commands.approvals import Approvals
from avtomatika.commands.control import Control
from avtomatika.commands.decide import Decider
from avtomatika.commands.export import Export
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.hooks import Hooks
from avtomatika.commands.offers import Offers
from avtomatika.commands.operator import Operator
from avtomatika.commands.parked import parked, warn_of_parked
from avtomatika.commands.pauses import Pauses
from avtomatika.commands.presence import Presence
from avtomatika.commands.queries import Queries
from avtomatika.commands.results import Results
from avtomatika.commands.submit import Submit
from avtomatika.commands.ticks import Planned, Ticks
from avtomatika.commands.webhooks import Webhooks, keys_of
from avtomatika.delivery.webhook import WebhookDelivery
from avtomatika.errors import ConfigError
from avtomatika.http.approval_api import ApprovalApi
from avtomatika.http.blueprint_api import BlueprintApi
from avtomatika.http.callers import Callers
from avtomatika.http.client_api import ClientApi
from avtomatika.http.connections import Site
from avtomatika.http.follow_api import FollowApi
from avtomatika.http.middleware import error_middleware
from avtomatika.http.operator_api import OperatorApi
from avtomatika.http.overview_api import OverviewApi, Sources
from avtomatika.http.public_api import PublicApi
from avtomatika.http.routes import ClientArea, add_routes
from avtomatika.kernel.time import Span
from avtomatika.ports.history import History
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Store
from avtomatika.records.sqlite import SqliteHistory
from avtomatika.schedules.loader import load
from avtomatika.services.duties import Sweeper, consumers, webhook_consumer
from avtomatika.services.exporter import Exporter
from avtomatika.services.pulse import Pulse
from avtomatika.services.supervisor import Supervisor
from avtomatika.services.ticking import Armer, tick_consumer
from avtomatika.settings import Settings
from avtomatika.settings.history import sqlite_path
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.stores.sql.sqlite import SqliteStore

DISPATCHER_KEY: web.AppKey[Offers] = web.AppKey("dispatcher", Offers)
EXECUTOR_KEY: web.AppKey[Writer] = web.AppKey("executor", Writer)
STORAGE_KEY: web.AppKey[Store] = web.AppKey("storage", Store)
WORKER_SERVICE_KEY: web.AppKey[Gateway] = web.AppKey("worker_service", Gateway)

EXPORT_GRACE: Final = Span(5_000)

DEFAULT_CLIENT: Final = ClientConfig(id="default", plan="default")


def application(settings: Settings) -> web.Application:
    """An empty application with the limits and the error answers of ours."""
    names = SystemNames()
    return web.Application(
        client_max_size=settings.http.max_body, middlewares=(error_middleware(names.token),)
    )


class Node:
    """One running orchestrator: its store open, its duties at work, its API listening."""

    def __init__(
        self,
        settings: Settings,
        blueprints: Sequence[Blueprint],
        app: web.Application,
        hooks: Hooks | None = None,
    ) -> None:
        for blueprint in blueprints:
            blueprint.validate()
        self.settings = settings
        self.app = app
        self.supervisor = Supervisor()
        self._blueprints = blueprints
        self._hooks = hooks or Hooks((), ())
        self.submit: Submit | None = None
        self.control: Control | None = None
        self._clock = SystemClock()
        self._names = SystemNames()
        self._ready = False
        self._runner: web.AppRunner | None = None
        self._store: Store | None = None
        self._offers: Offers | None = None
        self._queries: Queries | None = None
        self._delivery: WebhookDelivery | None = None
        self._exporter: Exporter | None = None
        self.ticks: Ticks | None = None
        self.address: tuple[str, int] | None = None

    async def start(self) -> None:
        """The node accepts jobs. Raises ConfigError, StorageBroken, OSError when the port is taken."""
        store = open_store(self.settings, self._clock, self._names, self.supervisor)
        self._store = store
        try:
            self._assemble(store)
            await warn_of_parked(store, {(each.name, each.edition) for each in self._blueprints})
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        observe.event("node.started", address=self.address, storage=store.durability.backend)

    def _assemble(self, store: Store) -> None:
        settings, clock = self.settings, self._clock
        node = NodeContext(store, clock, self._names, self.supervisor.spawn, settings.instance)
        access = _access(settings)
        pauses = Pauses(store.shelf, clock)
        decider = Decider(self._blueprints, access.client_of, pauses.holds, store.shelf)
        policy = WriterPolicy(run_lease=settings.run_lease, export=self._export(node))
        writer = Writer(node, decider, policy, self._hooks.witness(self.supervisor.spawn))
        offers = self._offers = Offers(node, writer, settings.task_lease)
        presence = Presence(MemoryRegistry(), clock, settings.worker_ttl)
        queries = self._queries = Queries(node, decider.held)
        gateway = Gateway(
            node,
            access=access,
            presence=presence,
            offers=offers,
            results=Results(node, writer),
            longest_poll=settings.longest_poll,
        )
        callers = Callers(access)
        self.submit = Submit(node, writer, settings.policy, self._webhooks(node))
        self.control = Control(writer, queries)
        area = ClientArea(
            jobs=ClientApi(
                callers=callers,
                submit=self.submit,
                queries=queries,
                control=self.control,
                clock=clock,
                detailed=settings.http.detailed,
            ),
            following=FollowApi(callers, queries, clock),
            approvals=ApprovalApi(callers, self._approvals(writer, queries), queries),
            operator=OperatorApi(callers, Operator(node, writer, queries), pauses),
            blueprints=BlueprintApi(self._blueprints, callers.client_of),
            overview=OverviewApi(
                callers,
                Sources(
                    queries=queries,
                    presence=presence,
                    pauses=pauses,
                    parked=partial(parked, store, decider.editions),
                    schedules=self._planned,
                ),
                self._blueprints,
            ),
        )
        self.app[DISPATCHER_KEY], self.app[EXECUTOR_KEY] = offers, writer
        self.app[STORAGE_KEY], self.app[WORKER_SERVICE_KEY] = store, gateway
        add_routes(
            self.app,
            public=PublicApi(store.durability, lambda: self._ready),
            client=area if settings.http.client_api else None,
            gateway=gateway,
            blueprints=self._blueprints,
            prefix=settings.http.prefix,
        )
        lease, width = settings.run_lease, settings.width
        for consumer in consumers(node, writer, decider.editions, run_lease=lease, width=width):
            self.supervisor.start_duty(consumer.name, consumer.run)
        self.supervisor.start_duty("offers", offers.serve_for_ever)
        self.supervisor.start_duty("pauses", pauses.run)
        self.supervisor.start_duty("pulse", Pulse(node, presence).run)
        self.supervisor.start_duty("sweeper", Sweeper(node, presence, settings.keep_finished).run)
        self._schedule(node, writer)

    def _approvals(self, writer: Writer, queries: Queries) -> Approvals:
        return Approvals(writer, queries, self.settings.approval_secret or self._names.token())

    async def _planned(self) -> Sequence[Planned]:
        return () if self.ticks is None else await self.ticks.schedules()

    def _schedule(self, node: NodeContext, writer: Writer) -> None:
        """The schedules of the file are at work, if there is one. Raises ConfigError."""
        settings, wanted = self.settings, self.settings.schedules
        if wanted.file is None:
            return
        names = [blueprint.name for blueprint in self._blueprints]
        schedules = load(wanted.file, zone=wanted.zone, blueprints=names)
        self.ticks = Ticks(node, writer, settings.policy, schedules, self._blueprints)
        self.supervisor.start_duty("schedules", Armer(node, self.ticks).run)
        if schedules:
            consumer = tick_consumer(node, self.ticks, width=settings.width)
            self.supervisor.start_duty(consumer.name, consumer.run)

    def _export(self, node: NodeContext) -> bool:
        """True when there is a history outside, to which facts are exported from now on."""
        if self.settings.history_uri is None:
            return False
        exporter = self._exporter = Exporter(node, Export(node, open_history(self.settings.history_uri)))
        self.supervisor.start_duty("history", exporter.run)
        return True

    def _webhooks(self, node: NodeContext) -> Callable[[str], None]:
        """Webhooks are sent from now on; what tells whether one may be sent to a URL."""
        wanted, secret = self.settings.webhooks, self.settings.webhook_secret
        keys = keys_of(secret or "")
        delivery = WebhookDelivery(wanted.reach, timeout=wanted.timeout, now=self._clock.now)
        self._delivery = delivery
        webhooks = Webhooks(node, delivery, lambda _: keys, wanted.policy)
        consumer = webhook_consumer(node, webhooks, timeout=wanted.timeout, width=wanted.width)
        self.supervisor.start_duty(consumer.name, consumer.run)
        return delivery.check

    async def _listen(self) -> None:
        self._runner = web.AppRunner(self.app, access_log=None, handler_cancellation=True, shutdown_timeout=5)
        await self._runner.setup()
        http = self.settings.http
        await Site(self._runner, http.host, http.port, self._names.token).start()
        host, port, *_ = self._runner.addresses[0]
        self.address = (host, port)

    async def stop(self) -> None:
        """Drained: whoever waits is answered, running work is finished, the store is closed."""
        self._ready = False
        if self._offers is not None:
            self._offers.close()
        if self._queries is not None:
            self._queries.close()
        await self.supervisor.stop_duties()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.supervisor.drain(self.settings.drain)
        if self._delivery is not None:
            await self._delivery.close()
            self._delivery = None
        if self._exporter is not None:
            await self._exporter.finish(EXPORT_GRACE)
            self._exporter = None
        if self._store is not None:
            await self._store.close()
            self._store = None
        observe.event("node.stopped", instance=self.settings.instance)

    async def failed(self) -> BaseException:
        """Returns when the node cannot go on, with the reason."""
        return await asyncio.shield(self.supervisor.failure())


def open_store(settings: Settings, clock: SystemClock, names: SystemNames, supervisor: Supervisor) -> Store:
    """The store that `STORAGE_URL` names. Raises ConfigError for one that there is not, StorageBroken."""
    scheme, _, rest = settings.storage_url.partition("://")
    if scheme == "memory":
        return MemoryStore(now=clock.now, tokens=names.token)
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        store = SqliteStore(Path(rest[1:]), now=clock.now, tokens=names.token, broken=supervisor.fail)
        clock.never_before(store.clock_floor)
        return store
    raise ConfigError(f"STORAGE_URL: there is no storage '{scheme}://'; use sqlite:///PATH or memory://.")


def open_history(uri: str) -> History:
    """The history outside that `HISTORY_DATABASE_URI` names. Raises ConfigError."""
    path = sqlite_path(uri)
    if path is not None:
        return SqliteHistory(path)
    try:
        from avtomatika.records.postgres import PostgresHistory
    except ImportError:
        raise ConfigError(
            "HISTORY_DATABASE_URI: PostgreSQL needs the package asyncpg: pip install 'avtomatika[postgres]'."
        ) from None
    return PostgresHistory(uri)


def _access(settings: Settings) -> Access:
    clients = () if settings.client_token is None else ((settings.client_token, DEFAULT_CLIENT),)
    return Access(clients, worker_token=settings.worker_token, operator_token=settings.operator_token)
