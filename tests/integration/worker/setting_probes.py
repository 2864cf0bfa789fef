"""What a worker with given settings does, as far as somebody else can see it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import unused_port

from avtomatika_worker import TaskFiles, Worker, WorkerConfig
from avtomatika_worker.conversation.orchestrators import configured_orchestrators, transport_to
from avtomatika_worker.conversation.session import Session
from avtomatika_worker.crew import _pace
from avtomatika_worker.errors import ConfigError
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.machine.usage import UsageMeter
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog
from rxon.errors import RateLimitError, RxonError, UnavailableError
from rxon.messages import (
    HeartbeatAnswer,
    Registration,
    ResourcesUsage,
    TaskOffer,
    TaskResult,
)
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from tests.integration.worker.conftest import json_of, working

TRACE = "0af7651916cd43dd8448eb211c80319c"
NOW = 100.0


class Stage:
    """One worker with the settings of ``environ``, and an orchestrator in memory for each address."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        given = {
            "WORKER_ID": "w1",
            "WORKER_TOKEN": "token",
            "TASK_FILES_DIR": str(folder / "payloads"),
            "WORKER_SPOOL_DIR": str(folder / "spool"),
            "WORKER_SKILLS_DIR": str(folder / "no-skills"),
            "WORKER_BLOB_CACHE_DIR": str(folder / "cache"),
        }
        self.folder = folder
        self.config = WorkerConfig({**given, **environ})
        self.gateways: dict[str, MemoryGateway] = {}
        self.worker = Worker(config=self.config, connect=lambda found: self._transport(found.url))

    @property
    def gateway(self) -> MemoryGateway:
        """The orchestrator, if there is but one."""
        (found,) = self.gateways.values()
        return found

    def _transport(self, url: str) -> LoopbackTransport:
        gateway = self.gateways.setdefault(url, MemoryGateway())
        return LoopbackTransport(gateway, self.config.WORKER_ID, "token")

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[MemoryGateway]:
        """The worker works, and its first orchestrator knows it."""
        async with working(self.worker):
            while not self.gateways:
                await asyncio.sleep(0.001)
            gateway = next(iter(self.gateways.values()))
            await gateway.seen(lambda: bool(gateway.polls))
            yield gateway


Probe = Callable[[Stage], Any]

# ---------------------------------------------------------------- registration


async def registration(stage: Stage) -> Registration:
    stage.worker.skill("work")(lambda: None)
    async with stage.playing() as gateway:
        return gateway.registrations[0]


def registered(member: Callable[[Registration], Any]) -> Probe:
    async def probe(stage: Stage) -> Any:
        return member(await registration(stage))

    return probe


def devices(said: Registration) -> list[tuple[str, str | None, str | None, Any]]:
    found = (said.resources.devices if said.resources else None) or ()
    return [(device.type, device.model, device.id, device.properties) for device in found]


def properties(said: Registration) -> dict[str, Any]:
    return dict((said.resources.properties if said.resources else None) or {})


# ---------------------------------------------------------------- one task


async def result_of(
    stage: Stage, handler: Callable[..., Any], params: Any = None, **fields: Any
) -> TaskResult:
    stage.worker.skill("work")(handler)
    async with stage.playing() as gateway:
        return await gateway.result_of(await gateway.offer("work", params, **fields))


async def error_of_an_unsigned_task(stage: Stage) -> str | None:
    result = await result_of(stage, lambda: None)
    return None if result.error is None else result.error.code


async def folder_of_tasks(stage: Stage) -> Path:
    async def handler(files: TaskFiles) -> Any:
        return {"path": await files.path_to("a.txt")}

    data = json_of((await result_of(stage, handler)).data)
    return Path(data["path"]).parents[1]


async def trace_within_a_handler(stage: Stage) -> str | None:
    def handler() -> Any:
        from opentelemetry import trace

        found = trace.get_current_span().get_span_context()
        return {"trace": f"{found.trace_id:032x}" if found.is_valid else None}

    context = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    data = json_of((await result_of(stage, handler, tracing_context=context)).data)
    found: str | None = data["trace"]
    return found


async def events_that_arrive(stage: Stage) -> list[str]:
    """Of two, one of which the skill has not declared."""

    async def handler(send_event: Any) -> None:
        await send_event("declared", {"n": 1})
        await send_event("surprise", {"n": 1})

    stage.worker.skill("work", events_schema={"declared": {"type": "object"}})(handler)
    async with stage.playing() as gateway:
        await gateway.result_of(await gateway.offer("work"))
        return [event.event_type for event in gateway.events]


async def finishes_after_the_signal(stage: Stage) -> bool:
    """Whether a task that takes a moment longer is finished when the worker is stopped."""
    began = asyncio.Event()

    async def handler() -> None:
        began.set()
        await asyncio.sleep(0.2)

    stage.worker.skill("work")(handler)
    async with stage.playing() as gateway:
        await gateway.offer("work")
        await began.wait()
    return bool(gateway.results)


# ---------------------------------------------------------------- orchestrators


def tokens(stage: Stage) -> list[str | None]:
    return [found.token for found in configured_orchestrators(stage.config)]


def urls(stage: Stage) -> list[str]:
    return [found.url for found in configured_orchestrators(stage.config)]


async def way(stage: Stage) -> str:
    """The kind of transport, or what is wrong with the settings of it."""
    (found,) = configured_orchestrators(stage.config)
    try:
        transport = transport_to(found, stage.config, None)
    except ConfigError as error:
        return str(error).partition(":")[0]
    await transport.close()
    return type(transport).__name__


async def both_orchestrators_bring_work(stage: Stage) -> bool:
    """Whether the second of two is asked for tasks while the first one is well and has none."""
    stage.worker.skill("work")(lambda: None)
    async with stage.playing():
        first, second = (stage.gateways[f"http://{name}"] for name in "ab")
        await second.seen(lambda: bool(second.registrations))
        for _ in range(300):
            if second.polls:
                return True
            await first.result_of(await first.offer("work"))
        return False


# ---------------------------------------------------------------- the session


def session(stage: Stage, *, known: bool = True) -> Session:
    """A conversation at the settings' pace, in which chance adds nothing."""
    found = Session(_pace(stage.config), lambda: 0.0)
    if known:
        found.register_answered(NOW)
    return found


def wait(step: Any) -> float:
    return round(float(step.until) - NOW, 6)


def busy() -> RxonError:
    return UnavailableError("busy", retry_after=0.0)


def next_heartbeat(stage: Stage) -> float:
    return wait(session(stage).next_beat(NOW))


def pauses_of_polls(stage: Stage) -> list[float]:
    subject, found = session(stage), []
    for _ in range(8):
        subject.poll_failed(busy(), NOW)
        found.append(wait(subject.next_call(Openings(1), (), NOW)))
    return found


def pauses_of_registrations(stage: Stage) -> list[float]:
    subject, found = session(stage, known=False), []
    for _ in range(8):
        subject.register_failed(busy(), NOW)
        found.append(wait(subject.next_call(Openings(1), (), NOW)))
    return found


def pause_after_too_many_calls(stage: Stage) -> float:
    subject = session(stage)
    subject.poll_failed(RateLimitError("slow down", details={"retry_after": None}), NOW)
    return wait(subject.next_call(Openings(1), (), NOW))


def pause_after_an_empty_poll(stage: Stage) -> float:
    subject = session(stage)
    subject.poll_answered((), NOW)
    return wait(subject.next_call(Openings(1), (), NOW))


def pause_of_a_report(stage: Stage) -> float:
    subject = reporting(stage)
    subject.next_report(NOW)
    subject.report_failed(busy(), NOW)
    return wait(subject.next_report(NOW))


def tries_of_a_report(stage: Stage) -> int:
    subject, now = reporting(stage), NOW
    for tries in range(1, 100):
        subject.next_report(now)
        if subject.report_failed(busy(), now):
            return tries
        now += 1000.0
    return 100


def reporting(stage: Stage) -> Session:
    subject = session(stage)
    offer = TaskOffer(job_id="j", task_id="t", type="work")
    subject.poll_answered((offer,), NOW)
    subject.finished(TaskResult(job_id="j", task_id="t"))
    return subject


def news_after_a_heartbeat(stage: Stage) -> float:
    from avtomatika_worker.conversation.steps import Beat

    subject = session(stage)
    subject.beat_answered(Beat((), full=False), HeartbeatAnswer("ok"), NOW)
    subject.changed(NOW)
    return wait(subject.next_beat(NOW))


def news_at_rest(stage: Stage) -> float:
    subject = session(stage)
    subject.changed(NOW)
    return wait(subject.next_beat(NOW))


async def first_poll(stage: Stage) -> Any:
    stage.worker.skill("work")(lambda: None)
    async with stage.playing() as gateway:
        return gateway.polls[0]


async def poll_timeout(stage: Stage) -> float | None:
    timeout: float | None = (await first_poll(stage)).timeout
    return timeout


async def poll_limit(stage: Stage) -> int:
    return int((await first_poll(stage)).limit)


# ---------------------------------------------------------------- the machine


def told_of_three_points(stage: Stage) -> bool:
    """Whether a load that rose from 50 to 53 percent is told."""
    return _second_usage(stage, 53.0) is not None


def told_again(stage: Stage) -> bool:
    """Whether a load that has not changed is told once more."""
    return _second_usage(stage, 50.0) is not None


def _second_usage(stage: Stage, load: float) -> ResourcesUsage | None:
    meter = UsageMeter(lambda: None, 1.0)
    catalog = Catalog(stage.worker)
    profile = Profile(stage.config, "cpu", catalog, HotCache(), None, meter)
    meter.latest = ResourcesUsage(50.0, 1.0)
    assert profile.heartbeat(Openings(1), ()).usage is not None
    meter.latest = ResourcesUsage(load, 1.0)
    return profile.heartbeat(Openings(1), ()).usage


# ---------------------------------------------------------------- health, log, skills, spool


async def answers_on(stage: Stage) -> str:
    """The loopback address and whether the configured port answers there."""
    if not stage.config.is_set("WORKER_PORT"):
        stage.config.WORKER_PORT = unused_port()
    stage.worker._with_health = True
    port = stage.config.WORKER_PORT
    async with stage.playing():
        found = [host for host in ("127.0.0.1", "127.0.0.2") if _listens(host, port)]
    return ",".join(found)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


async def port_of_health(stage: Stage) -> int:
    """The port that answers; whether 8083 is free is up to others, so the default is only read."""
    if not stage.config.is_set("WORKER_PORT"):
        return stage.config.WORKER_PORT
    await answers_on(stage)
    return stage.config.WORKER_PORT


async def status_of_metrics(stage: Stage) -> int:
    stage.config.WORKER_PORT = unused_port()
    stage.worker._with_health = True
    address = f"http://127.0.0.1:{stage.config.WORKER_PORT}"
    async with stage.playing(), aiohttp.ClientSession(address) as http, http.get("/metrics") as response:
        return response.status


async def log_of_a_program(stage: Stage) -> tuple[str, bool]:
    """The level of the log of a worker that runs as a program, and whether its lines are JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    stage.config.WORKER_TOKEN = None  # so that it ends at once
    try:
        with suppress(ConfigError):
            await asyncio.to_thread(stage.worker.run)  # which makes an event loop of its own
        line = root.handlers[0].format(logging.makeLogRecord({"msg": "hello"}))
        return logging.getLevelName(root.level), line.startswith("{")
    finally:
        root.handlers = handlers
        root.setLevel(level)


async def skills_of_the_folder(stage: Stage) -> list[str]:
    folder = stage.folder / "mine"
    folder.mkdir()
    text = (
        "from avtomatika_worker import SkillBlueprint\nb = SkillBlueprint()\nb.skill('found')(lambda: None)\n"
    )
    (folder / "one.py").write_text(text)
    async with stage.playing() as gateway:
        return [skill.name for skill in gateway.registrations[0].supported_skills or ()]


async def folders_of_spools(stage: Stage) -> list[str]:
    stage.worker.skill("work")(lambda: None)
    async with stage.playing() as gateway:
        await gateway.result_of(await gateway.offer("work"))
        return sorted(path.name for path in stage.folder.glob("*spool*"))


# ---------------------------------------------------------------- S3


class FakeS3:
    """Takes and gives any object, and remembers who asked for what. It stands for an object storage where
    only the request counts; real transfers are tested elsewhere.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append((request.method, request.path, request.headers.get("Authorization", "")))
        headers = {"ETag": '"e"', "Last-Modified": "Sun, 22 Nov 2026 09:00:00 GMT"}
        body = b"x" * 200_000 if request.method in ("GET", "HEAD") else b""  # small files are not cached
        return web.Response(body=body, headers=headers)


async def requests_of_a_task(stage: Stage) -> list[tuple[str, str, str]]:
    """What a task that takes one file and gives one asks of the storage."""

    async def handler(params: dict[str, Any], files: TaskFiles) -> Any:
        await files.write("out.txt", "y")
        return {"out": await files.path_to("out.txt")}

    async with FakeS3() as s3:
        if stage.config.S3_ENDPOINT_URL is not None:
            stage.config.S3_ENDPOINT_URL = s3.url
        for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY"):
            if getattr(stage.config, name) is None:
                setattr(stage.config, name, "some")
        await result_of(stage, handler, {"file": "s3://inputs/in.txt"})
        return s3.asked


def storage(say: Callable[[list[tuple[str, str, str]]], Any]) -> Probe:
    async def probe(stage: Stage) -> Any:
        return say(await requests_of_a_task(stage))

    return probe


async def signature(stage: Stage) -> bool:
    """Whether requests are signed with the secret `hush`, by the rules of AWS."""
    import hashlib
    import hmac
    import re

    seen: list[web.Request] = []

    class Watching(FakeS3):
        async def _answer(self, request: web.Request) -> web.Response:
            seen.append(request)
            return await super()._answer(request)

    async with Watching() as s3:
        stage.config.S3_ENDPOINT_URL = s3.url
        stage.config.S3_ACCESS_KEY = "some"
        if stage.config.S3_SECRET_KEY is None:
            stage.config.S3_SECRET_KEY = "other"
        await result_of(stage, lambda params: None, {"file": "s3://inputs/in.txt"})
    request = seen[0]
    found = re.search(
        r"Credential=(\S+?), SignedHeaders=(\S+?), Signature=(\w+)", request.headers["Authorization"]
    )
    assert found is not None
    _, day, region, service, end = found[1].split("/")
    names = found[2].split(";")
    canonical = "\n".join(
        [
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            found[2],
            request.headers["x-amz-content-sha256"],
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(
        ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], f"{day}/{region}/{service}/{end}", digest]
    )
    key = b"AWS4hush"
    for part in (day, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest() == found[3]


async def folders_of_caches(stage: Stage) -> list[str]:
    await requests_of_a_task(stage)
    return sorted(path.name for path in stage.folder.glob("*cache*") if any(path.iterdir()))


def encoded(value: Any) -> str:
    """JSON as the value of a variable."""
    return msgspec.json.encode(value).decode()
