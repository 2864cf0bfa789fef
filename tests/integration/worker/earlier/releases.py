"""Orchestrators 1.0b21, 1.0b27 and 1.0b30, as their workers saw them."""

import json
import secrets
from hashlib import sha256
from typing import Any

from aiohttp import web

from tests.integration.worker.earlier.book import TERMINAL, Job
from tests.integration.worker.earlier.models import EVENT, REGISTRATION, TASK_RESULT, fault
from tests.integration.worker.earlier.server import EarlierServer, Refused
from tests.integration.worker.earlier.signatures import of_o21, of_r14

MODELS = {"WorkerRegistration": REGISTRATION, "TaskResult": TASK_RESULT, "WorkerEventPayload": EVENT}


class O21(EarlierServer):
    """Third generation: verifies with the digest of a worker's own token, orders every branch to stop.

    Of branches that are out at once, it takes only the result of the one that was picked up last.
    """

    version = "1.0b7"
    auth_status = 401
    sequential_id = ""
    sign = staticmethod(of_o21)
    unsigned = "Missing required cryptographic signature"
    upgrades_first = True

    def key(self, worker: str, registration: bool) -> str:
        own = self.own_tokens.get(worker)
        if registration or own is None:
            return self.token
        return sha256(own.encode()).hexdigest()

    def check_time(self, message: dict[str, Any]) -> None:
        if message.get("timestamp") is None:
            raise Refused(403, "Missing required timestamp for replay protection")
        if abs(self.now() - float(message["timestamp"])) > 60:
            raise Refused(403, "Message timestamp expired (replay protection)")

    def check_model(self, name: str, message: dict[str, Any]) -> None:
        required = (field for field, (_, needed) in MODELS[name].items() if needed)
        missing = [field for field in required if field not in message]
        if missing:
            raise Refused(400, f"Invalid {name} payload: Failed to instantiate {name}: {missing}")
        if name == "WorkerRegistration" and "capabilities" not in message:
            raise Refused(500, "'NoneType' object has no attribute 's3_config_hash'")

    async def heartbeat(self, request: web.Request) -> web.Response:
        answer = await super().heartbeat(request)
        if b'"ok"' not in bytes(answer.body or b""):  # type: ignore[arg-type] # a body of bytes
            return self.json(None)
        for skill in self.beats[-1].get("hot_skills") or ():
            assert isinstance(skill, dict), "the dispatcher of 1.0b21 reads skill['name']"
        jitter = {"next_heartbeat_jitter_ms": -742}
        return self.json(json.loads(bytes(answer.body)) | jitter)  # type: ignore[arg-type] # a body of bytes

    def picked_up(self, task: dict[str, Any]) -> None:
        self.book.jobs[task["job_id"]].only = task["task_id"]

    async def give_token(self, request: web.Request) -> web.Response:
        peer = request.transport.get_extra_info("peercert") if request.transport else None
        if not peer:
            return await super().give_token(request)
        names = dict(pair[0] for pair in peer["subject"])
        access = secrets.token_urlsafe(32)
        self.access[access] = (names["commonName"], self.now() + 3600)
        body = {"access_token": access, "expires_in": 3600, "worker_id": names["commonName"]}
        return self.json({**body, "metadata": None})

    def is_gone(self, task: str) -> bool:
        job = self.book.jobs.get(task)
        return job is None or job.status in (*TERMINAL, "cancelled")

    def task(self, job: Job) -> dict[str, Any]:
        return {
            "job_id": job.id,
            "task_id": self.book.next_task(job),
            "type": job.skill,
            "params": job.params or None,
            "tracing_context": {},
            "params_metadata": None,
            "priority": 0.0,
            "deadline": None,
            "security": None,
            "metadata": None,
        }


class O27(EarlierServer):
    """Fourth generation: strict models, 403 for all that is not authorized, floats in tasks."""

    def __init__(self, token: str = "fleet-token", own_tokens: dict[str, str] | None = None) -> None:
        super().__init__(token, own_tokens)
        self.refresh: dict[str, str] = {}
        self.lifetime = 3600.0

    def check_model(self, name: str, message: dict[str, Any]) -> None:
        wrong = fault(message, MODELS[name])
        if wrong is not None:
            raise Refused(400, f"Invalid {name} payload: Failed to instantiate {name}: {wrong}")

    def task(self, job: Job) -> dict[str, Any]:
        return {
            "job_id": job.id,
            "task_id": self.book.next_task(job),
            "type": job.skill,
            "params": job.params,
            "tracing_context": {},
            "timestamp": self.now() + 0.25,
            "deadline": self.now() + 30.5,
            "skill_version": "1.0.0",
        }

    async def give_token(self, request: web.Request) -> web.Response:
        worker = request.headers.get("X-Worker-ID", "")
        self.authenticate(request, worker)
        return self._tokens(worker)

    async def refresh_token(self, request: web.Request) -> web.Response:
        token = (await request.json()).get("refresh_token")
        worker = request.headers.get("X-Worker-ID")
        if not token or not worker:
            raise Refused(400, "Missing refresh_token in payload")
        if self.refresh.get(token) != worker:
            raise Refused(403, "Unauthorized: Invalid refresh token (not found)")
        return self._tokens(worker)

    def _tokens(self, worker: str) -> web.Response:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.access[access] = (worker, self.now() + self.lifetime)
        self.refresh[refresh] = worker
        body = {"access_token": access, "expires_in": int(self.lifetime), "worker_id": worker}
        return self.json({**body, "refresh_token": refresh})


class O30(O27):
    """Fifth generation: remembers messages for 65 seconds, signs tasks, knows who is assigned."""

    version = "1.0b17"

    def __init__(self, token: str = "fleet-token", own_tokens: dict[str, str] | None = None) -> None:
        super().__init__(token, own_tokens)
        self.nonces: dict[str, float] = {}

    def check_replay(self, message: dict[str, Any]) -> None:
        security = message.get("security") or {}
        names = (message.get(name) for name in ("event_id", "nonce", "message_id"))
        nonce = next((name for name in names if name), security.get("signature"))
        key = f"{message.get('worker_id')}:{nonce}"
        if self.nonces.get(key, 0) > self.now():
            raise Refused(403, "Duplicate message detected (replay attack)")
        self.nonces[key] = self.now() + 65

    async def event(self, request: web.Request) -> web.Response:
        message = await self.signed(request, None, "bubbling_chain")
        job = self.book.jobs.get(message.get("target_job_id") or "")
        if job is None or job.worker != message["worker_id"]:
            raise Refused(403, "Worker is not assigned to this job")
        self.check_model("WorkerEventPayload", message)
        self.events.append(message)
        return self.json({"status": "event_accepted"})

    def task(self, job: Job) -> dict[str, Any]:
        task = super().task(job)
        task |= {"timestamp": int(self.now()), "step": 2, "policy": {"allowed_skills": [job.skill]}}
        return {**task, "sig": of_r14(task, "orchestrator-secret")}


RELEASES: list[type[EarlierServer]] = [O21, O27, O30]
