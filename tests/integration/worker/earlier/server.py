"""A server on the worker side of earlier orchestrators; the releases are made of it in ``releases``."""

import asyncio
import gzip
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from ssl import SSLContext
from typing import Any

from aiohttp import web

from tests.integration.worker.earlier.book import TERMINAL, Book, Job
from tests.integration.worker.earlier.signatures import Sign, of_r14

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """The answer is this status with this error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class EarlierServer:
    """Refuses what a release refused, answers in its shapes, and has its bugs."""

    version = "1.0b14"
    auth_status = 403
    sequential_id = "task-"
    sign: Sign = staticmethod(of_r14)
    unsigned = "Missing required security context"
    upgrades_first = False

    def __init__(self, token: str = "fleet-token", own_tokens: dict[str, str] | None = None) -> None:
        self.token = token
        self.own_tokens = own_tokens or {}
        self.book = Book(self.sequential_id)
        self.workers: dict[str, dict[str, Any]] = {}
        self.queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.registered = asyncio.Event()
        self.registrations: list[dict[str, Any]] = []
        self.beats: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        self.changed = asyncio.Event()
        self.poll_timeout = 0.2
        self.ahead = 0.0
        self.lose: list[str] = []
        self.fail: list[str] = []
        self.access: dict[str, tuple[str, float]] = {}
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.frames: list[str] = []
        self.tls: SSLContext | None = None
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application(middlewares=[self._middleware])
        app.router.add_post("/_worker/workers/register", self.register)
        app.router.add_get("/_worker/workers/{id}/tasks/next", self.poll)
        app.router.add_patch("/_worker/workers/{id}", self.heartbeat)
        app.router.add_post("/_worker/tasks/result", self.result)
        app.router.add_post("/_worker/events", self.event)
        app.router.add_get("/_worker/ws/{id}", self.listen)
        app.router.add_post("/_worker/auth/token", self.give_token)
        app.router.add_post("/_worker/auth/token/refresh", self.refresh_token)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=self.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def refused_later(self) -> list[str]:
        """All refusals but that of the first registration, from which a worker learns how to speak."""
        assert self.refusals[0] == self.unsigned
        return self.refusals[1:]

    def forget_workers(self) -> None:
        self.workers.clear()
        self.queues.clear()
        self.registered.clear()

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = request.path.rsplit("/", 1)[-1] if request.method != "PATCH" else "heartbeat"
        if kind in self.fail and await request.read():
            self.check_replay(json.loads(await request.read()))
            self.fail.remove(kind)
            return web.json_response({"error": "division by zero"}, status=500)
        try:
            response = await handler(request)
        except Refused as refused:
            self.refusals.append(str(refused))
            response = self.json({"error": str(refused)}, refused.status)
        finally:
            self.changed.set()
        if kind in self.lose:
            self.lose.remove(kind)
            assert request.transport is not None
            request.transport.abort()
        response.headers["Date"] = formatdate(self.now(), usegmt=True)
        return response

    def json(self, body: Any, status: int = 200) -> web.Response:
        """The version is on it, unless the compression has made another answer of it."""
        text = json.dumps(body).encode()
        if len(text) < 500:
            headers = {"X-RXON-Version": self.version}
            return web.Response(body=text, status=status, headers=headers, content_type="application/json")
        headers = {"Content-Encoding": "gzip"}
        return web.Response(
            body=gzip.compress(text), status=status, headers=headers, content_type="application/json"
        )

    def without_body(self) -> web.Response:
        return web.Response(status=204, headers={"X-RXON-Version": self.version})

    def now(self) -> float:
        return time.time() + self.ahead

    async def until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            self.changed.clear()
            await self.changed.wait()

    def authenticate(self, request: web.Request, worker: str) -> None:
        token = request.headers.get("X-Worker-Token")
        if token is None:
            raise Refused(self.auth_status, "Unauthorized: Missing X-Worker-Token header.")
        if token in self.access:
            owner, until = self.access[token]
            if owner != worker:
                raise Refused(self.auth_status, f"Unauthorized: Access Token belongs to '{owner}'")
            if self.now() < until:
                return
        own = self.own_tokens.get(worker)
        if own is not None and token != own:
            raise Refused(self.auth_status, "Unauthorized: Invalid individual worker token")
        if own is None and token != self.token:
            raise Refused(self.auth_status, "Unauthorized: No valid token found")

    def key(self, worker: str, registration: bool) -> str:
        return self.own_tokens.get(worker, self.token)

    async def signed(
        self, request: web.Request, worker: str | None = None, *ignored: str, registration: bool = False
    ) -> dict[str, Any]:
        """The message, from the worker that it names, with a good signature, and of today."""
        try:
            message: dict[str, Any] = json.loads(await request.read())
        except ValueError:
            raise Refused(400, "Invalid JSON body") from None
        worker = worker or str(message.get("worker_id"))
        self.authenticate(request, worker)
        security = message.get("security")
        if not security:
            raise Refused(403, self.unsigned)
        if not security.get("signature"):
            raise Refused(403, "Missing required cryptographic signature")
        if security.get("signer_id") != worker:
            raise Refused(
                403, f"Message signer ID '{security.get('signer_id')}' does not match worker ID '{worker}'"
            )
        self.check_time(message)
        expected = type(self).sign(message, self.key(worker, registration), *ignored)
        if not hmac.compare_digest(expected, security["signature"]):
            raise Refused(403, "Invalid cryptographic signature")
        self.check_replay(message)
        return message

    def check_time(self, message: dict[str, Any]) -> None:
        if message.get("timestamp") is None:
            raise Refused(403, "Missing required timestamp for replay protection")
        if abs(int(self.now()) - int(message["timestamp"])) > 60:
            raise Refused(403, "Message timestamp expired (replay protection)")

    def check_replay(self, message: dict[str, Any]) -> None:
        """Only 1.0b28 and later remember messages."""

    def check_model(self, name: str, message: dict[str, Any]) -> None:
        """Raises Refused for what the models of the release do not take."""
        raise NotImplementedError

    async def register(self, request: web.Request) -> web.Response:
        message = await self.signed(request, registration=True)
        self.check_model("WorkerRegistration", message)
        worker = message["worker_id"]
        self.registrations.append(message)
        self.workers[worker] = dict(message)
        self.queues.setdefault(worker, asyncio.Queue())
        self.registered.set()
        said = request.headers.get("X-RXON-Version")
        warning = f"Protocol version mismatch! Orchestrator: {self.version}, Worker: {said}."
        return self.json({"status": "registered", "version": self.version, "warning": warning})

    async def poll(self, request: web.Request) -> web.Response:
        """A worker that is not known waits like any other, for nothing."""
        worker = request.match_info["id"]
        self.authenticate(request, worker)
        queue = self.queues.get(worker, asyncio.Queue())
        try:
            async with asyncio.timeout(self.poll_timeout):
                task = await queue.get()
        except TimeoutError:
            return self.without_body()
        self.picked_up(task)
        return self.json(task)

    def picked_up(self, task: dict[str, Any]) -> None:
        """The task has left its queue."""

    async def heartbeat(self, request: web.Request) -> web.Response:
        worker = request.match_info["id"]
        if not await request.read():
            self.authenticate(request, worker)
            return self.json({"status": "ttl_refreshed"})
        message = await self.signed(request, worker)
        self.beats.append(message)
        answer: dict[str, Any] = {"status": "ok"}
        known = self.workers.get(worker)
        if known is not None:
            same = message.get("skills_hash") == known.get("skills_hash")
            if same and known.get("supported_skills"):
                message.pop("supported_skills", None)
            known.update(message)
            if same and not known.get("supported_skills"):
                answer["require_full_sync"] = True
        gone = [task for task in message.get("current_tasks") or () if self.is_gone(task)]
        if gone:
            answer["cancel_task_ids"] = gone
        return self.json(answer)

    def is_gone(self, task: str) -> bool:
        """Looks up the task as if its id were that of a job."""
        job = self.book.jobs.get(task)
        return job is not None and job.status in (*TERMINAL, "cancelled")

    async def result(self, request: web.Request) -> web.Response:
        message = await self.signed(request)
        self.check_model("TaskResult", message)
        self.results.append(message)
        answer, again = self.book.settle(message, message["worker_id"])
        if again is not None:
            assert again.worker is not None
            self.queues[again.worker].put_nowait(self.task(again))
        return self.json(answer)

    async def event(self, request: web.Request) -> web.Response:
        message = await self.signed(request, None, "bubbling_chain")
        self.check_model("WorkerEventPayload", message)
        self.events.append(message)
        return self.json({"status": "event_accepted"})

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """One socket for each worker: a newer one takes the place of an older."""
        worker = request.match_info["id"]
        socket = web.WebSocketResponse()
        if self.upgrades_first:
            await socket.prepare(request)
        self.authenticate(request, worker)
        if not self.upgrades_first:
            await socket.prepare(request)
        older, self.sockets[worker] = self.sockets.get(worker), socket
        if older is not None:
            await older.close(code=1008, message=b"New connection established")
        self.changed.set()
        async for frame in socket:
            self.frames.append(frame.data)
        return socket

    async def cancel(self, job: Job) -> None:
        """The job is cancelled, and the worker that has its socket here hears of it there."""
        job.status = "cancelled"
        assert job.worker is not None
        command = {"command": "cancel_task", "task_id": job.tasks[-1], "job_id": job.id}
        await self.sockets[job.worker].send_json(command)

    async def give_token(self, request: web.Request) -> web.Response:
        raise Refused(403, "Unauthorized: mTLS certificate required to issue access token.")

    async def refresh_token(self, request: web.Request) -> web.Response:
        raise web.HTTPNotFound

    async def dispatch(
        self,
        skill: str,
        params: Any = None,
        *,
        branches: int = 0,
        transitions: tuple[str, ...] = ("success",),
    ) -> Job:
        """A job whose task, or tasks, wait in the queue of a worker with the skill."""
        async with asyncio.timeout(10):
            await self.until(lambda: self._candidate(skill) is not None)
        job = self.book.open(skill, {} if params is None else params, transitions)
        job.branches = branches
        job.worker = self._candidate(skill)
        assert job.worker is not None
        for _ in range(branches or 1):
            self.queues[job.worker].put_nowait(self.task(job))
        return job

    def task(self, job: Job) -> dict[str, Any]:
        raise NotImplementedError

    def _candidate(self, skill: str) -> str | None:
        for worker, known in self.workers.items():
            skills = {info["name"] for info in known.get("supported_skills") or ()}
            if skill in skills and known.get("status", "idle") == "idle":
                return worker
        return None
