"""One running orchestrator: how it starts, and how it ends without losing anything."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web

from avtomatika import observe
from avtomatika.app.backends import Backend, open_backend
from avtomatika.app.joining import join
from avtomatika.app.parts import Parts, assemble, client_area, duties
from avtomatika.app.timekeeping import LOOK_EVERY, Timekeeper
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.clock import SystemClock, SystemNames
from avtomatika.commands.apply import Writer
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.hooks import Hooks
from avtomatika.commands.offers import Offers
from avtomatika.commands.parked import warn_of_parked
from avtomatika.errors import Unavailable
from avtomatika.http.connections import Site, url_of
from avtomatika.http.middleware import error_middleware
from avtomatika.http.public_api import PublicApi
from avtomatika.http.reluctance import reluctance
from avtomatika.http.routes import WorkerEnd, add_routes
from avtomatika.kernel.time import Span, after
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Store
from avtomatika.services.repeated import Repeated
from avtomatika.services.supervisor import Supervisor
from avtomatika.settings import Settings

DISPATCHER_KEY: web.AppKey[Offers] = web.AppKey("dispatcher", Offers)
EXECUTOR_KEY: web.AppKey[Writer] = web.AppKey("executor", Writer)
STORAGE_KEY: web.AppKey[Store] = web.AppKey("storage", Store)
WORKER_SERVICE_KEY: web.AppKey[Gateway] = web.AppKey("worker_service", Gateway)

EXPORT_GRACE: Final = Span(5_000)


def application(settings: Settings) -> web.Application:
    """An empty application with the limits and the error answers of ours."""
    names = SystemNames()
    around = (reluctance(SystemClock()), error_middleware(names.token))
    return web.Application(client_max_size=settings.http.max_body, middlewares=around)


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
        self.parts: Parts | None = None
        self.address: tuple[str, int] | None = None
        self._blueprints = blueprints
        self._hooks = hooks or Hooks((), ())
        self._clock = SystemClock()
        self._names = SystemNames()
        self._ready = False
        self._runner: web.AppRunner | None = None
        self._store: Store | None = None

    async def start(self) -> None:
        """The node accepts jobs.

        Raises ConfigError, StorageBroken, Unavailable, and OSError when the port is taken.
        """
        backend = await open_backend(self.settings, self._clock, self._names, self.supervisor)
        store = self._store = backend.store
        try:
            await self._keep_time(store)
            await join(store, self.settings)
            await self._assemble(backend)
            await warn_of_parked(store, {(each.name, each.edition) for each in self._blueprints})
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        observe.event("node.started", address=self.address, storage=store.durability.backend)

    async def _keep_time(self, store: Store) -> None:
        keeper = Timekeeper(store, self._clock)
        if await keeper.follow():
            looks = Repeated(self._clock, keeper.follow, every=LOOK_EVERY, trouble="clock.unknown")
            self.supervisor.start_duty("clock", looks.run)

    async def _assemble(self, backend: Backend) -> None:
        settings, store = self.settings, backend.store
        node = NodeContext(store, self._clock, self._names, self.supervisor.spawn, settings.instance)
        parts = self.parts = assemble(
            node, backend.registry, settings, self._blueprints, self._hooks, self._reached_at
        )
        self.app[DISPATCHER_KEY], self.app[EXECUTOR_KEY] = parts.offers, parts.writer
        self.app[STORAGE_KEY], self.app[WORKER_SERVICE_KEY] = store, parts.workers.gateway
        area = client_area(parts, settings, self._blueprints)
        add_routes(
            self.app,
            public=PublicApi(store.durability, lambda: self._ready),
            client=area if settings.http.client_api else None,
            workers=WorkerEnd(parts.workers.gateway, parts.workers.desk),
            blueprints=self._blueprints,
            prefix=settings.http.prefix,
        )
        if settings.storage.shared:
            await parts.nodes.beat()
        if settings.drain_notice:
            self.app.on_response_prepare.append(self._part)
        await parts.pauses.refresh()  # before anything runs: what is paused stays so
        for name, run in duties(parts, settings):
            self.supervisor.start_duty(name, run)

    async def _part(self, _: web.Request, response: web.StreamResponse) -> None:
        """While the node gives notice, no connection outlives its answer."""
        if not self._ready and self.address is not None:
            response.force_close()
            response.headers["Connection"] = "close"  # it is too late for aiohttp to say so by itself

    def _reached_at(self) -> str:
        http = self.settings.http
        return http.public_url or self.url

    @property
    def url(self) -> str:
        """Where the API listens, as seen from its machine."""
        http = self.settings.http
        host, port = self.address or (http.host, http.port)
        return url_of(host, port, tls=http.tls.certificates is not None)

    async def _listen(self) -> None:
        self._runner = web.AppRunner(self.app, access_log=None, handler_cancellation=True, shutdown_timeout=5)
        await self._runner.setup()
        http = self.settings.http
        tls = None if http.tls.certificates is None else http.tls.certificates.context()
        await Site(self._runner, http.host, http.port, self._names.token, tls).start()
        host, port, *_ = self._runner.addresses[0]
        self.address = (host, port)

    async def stop(self) -> None:
        """Drained: whoever waits is answered, running work is finished, the store is closed."""
        self._ready = False
        if self.parts is not None and self.address is not None:
            await self._clock.sleep_until(after(self._clock.now(), self.settings.drain_notice))
        parts, self.parts = self.parts, None
        if parts is not None:
            parts.offers.close()
            await parts.queries.close()
        await self.supervisor.stop_duties()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.supervisor.drain(self.settings.drain)
        if parts is not None:
            await parts.delivery.close()
            if self.settings.storage.shared:
                with suppress(Unavailable):
                    await parts.nodes.leave()
            if parts.exporter is not None:
                await parts.exporter.finish(EXPORT_GRACE)
        if self._store is not None:
            await self._store.close()
            self._store = None
        observe.event("node.stopped", instance=self.settings.instance)

    async def failed(self) -> BaseException:
        """Returns when the node cannot go on, with the reason."""
        return await asyncio.shield(self.supervisor.failure())
