"""Whether the worker is alive and ready, and its figures, over HTTP."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import hdrs, web

from avtomatika_worker.errors import ConfigError

__all__ = ["DISABLED", "Figures", "Health", "NoFigures", "serve_health"]

FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Health(msgspec.Struct, frozen=True):
    """``alive``: every loop is running. ``registered``: the orchestrators that know the worker."""

    alive: bool
    registered: tuple[str, ...]
    running_tasks: int
    draining: bool


class NoFigures(msgspec.Struct, frozen=True):
    """The answer of ``/metrics`` where there are none."""

    status: int = 404
    text: str = "Metrics are disabled: WORKER_ENABLE_METRICS is not true"


Figures = Callable[[Health], bytes]
DISABLED = NoFigures()


class _Report(msgspec.Struct):
    status: str
    registered: tuple[str, ...]
    running_tasks: int


@asynccontextmanager
async def serve_health(
    host: str, port: int, health: Callable[[], Health], figures: Figures | NoFigures = DISABLED
) -> AsyncGenerator[int]:
    """``/health``, ``/ready`` and ``/metrics`` are served while the block runs, on the port that it gets.

    ``/health`` answers 200 while the worker is alive, ``/ready`` while it can be given tasks:
    registered with at least one orchestrator, and not on its way out. Both answer 503 otherwise.
    Raises ConfigError when the port is taken.
    """
    app = web.Application()
    app.router.add_get("/health", _answering(health, lambda now: now.alive))
    app.router.add_get("/ready", _answering(health, lambda now: bool(now.registered) and not now.draining))
    app.router.add_get("/metrics", _metrics(health, figures))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            where = f"WORKER_HOST {host}, WORKER_PORT {port}"
            raise ConfigError(f"Cannot serve health on {where}: {error}") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _metrics(
    health: Callable[[], Health], figures: Figures | NoFigures
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        if isinstance(figures, NoFigures):
            return web.Response(text=figures.text + "\n", status=figures.status)
        return web.Response(body=figures(health()), headers={hdrs.CONTENT_TYPE: FORMAT})

    return answer


def _answering(
    health: Callable[[], Health], holds: Callable[[Health], bool]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        now = health()
        good = holds(now)
        report = _Report("ok" if good else "unavailable", now.registered, now.running_tasks)
        body = msgspec.json.encode(report)
        return web.Response(body=body, status=200 if good else 503, content_type="application/json")

    return answer
