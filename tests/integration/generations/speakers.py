"""One worker per published generation, written from what is known of them and from nothing of ours."""

import hashlib
import hmac
import json
import time
from itertools import count
from typing import Any

import aiohttp

from tests.integration.http.conftest import WORKER_TOKEN, Orchestrator

Answer = tuple[int, Any]
NUMBERS = count(1)


class Speaker:
    """What the workers of all generations have in common. Everything that was sent is in `sent`."""

    generation = ""
    version: str | None = None
    signs = False

    def __init__(
        self, node: Orchestrator, worker_id: str, token: str = WORKER_TOKEN, *, signed: bool = False
    ) -> None:
        self.node, self.id, self.token, self.key = node, worker_id, token, token
        self.signed = signed
        self.clock = time.time
        self.sent: list[tuple[str, str, bytes]] = []

    @property
    def skill(self) -> str:
        return f"skill-of-{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        version = {} if self.version is None else {"X-RXON-Version": self.version}
        return {"X-Worker-Token": self.token, "Content-Type": "application/json", **version}

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        raw = None if body is None else json.dumps(self.in_shape(body)).encode()
        if raw is not None:
            self.sent.append((method, path, raw))
        return await self.node.call(method, path, raw, headers=self.headers)

    def in_shape(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message with all that its generation puts around it."""
        return body

    def registration(self) -> dict[str, Any]:
        raise NotImplementedError

    def heartbeat(self, *tasks: str) -> dict[str, Any]:
        raise NotImplementedError

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        return {"job_id": task["job_id"], "task_id": task["task_id"], "worker_id": self.id, **outcome}

    async def register(self) -> Answer:
        return await self.call("POST", "/_worker/workers/register", self.registration())

    async def poll(self, timeout: float = 5.0) -> dict[str, Any] | None:
        status, task = await self.node.call(
            "GET", f"/_worker/workers/{self.id}/tasks/next?timeout={timeout}", headers=self.headers
        )
        assert status in (200, 204), task
        return task if status == 200 else None

    async def take(self) -> dict[str, Any]:
        task = await self.poll()
        assert task is not None
        return task

    async def beat(self, *tasks: str) -> Answer:
        return await self.call("PATCH", f"/_worker/workers/{self.id}", self.heartbeat(*tasks))

    async def report(self, task: dict[str, Any], **outcome: Any) -> Answer:
        return await self.call("POST", "/_worker/tasks/result", self.result(task, **outcome))

    async def tell(self, task: dict[str, Any], progress: float, message: str) -> None:
        """Progress, over a WebSocket that is opened for it."""
        async with self.socket() as socket:
            await socket.send_str(json.dumps(self.in_shape(self.progress(task, progress, message))))
            await socket.close()

    def progress(self, task: dict[str, Any], progress: float, message: str) -> dict[str, Any]:
        raise NotImplementedError

    def socket(self, session: aiohttp.ClientSession | None = None) -> Any:
        return (session or self.node.session).ws_connect(
            self.node.url + self.socket_path, headers=self.headers
        )

    @property
    def socket_path(self) -> str:
        return f"/_worker/ws/{self.id}"

    def means(self, task: dict[str, Any], frame: dict[str, Any]) -> bool:
        """That the frame orders this worker to stop the task."""
        return bool(frame["command"] == "cancel_task" and frame["task_id"] == task["task_id"])


class G1(Speaker):
    """1.0b2 of the worker."""

    generation = "g1"

    def registration(self) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "worker_type": "vision",
            "supported_tasks": [self.skill],
            "max_concurrent_tasks": 10,
            "cost_per_skill": {self.skill: 0.5},
            "installed_models": [{"name": "yolo", "version": "8"}],
            "hostname": "h1",
            "ip_address": "10.0.0.7",
            "resources": {"cpu_cores": 4, "gpu_info": {"model": "T4", "vram_gb": 16}},
        }

    def heartbeat(self, *tasks: str) -> dict[str, Any]:
        return {
            "load": len(tasks),
            "status": "idle",
            "supported_tasks": [self.skill],
            "hot_cache": ["yolo"],
            "skill_dependencies": {self.skill: ["yolo"]},
            "hot_skills": [self.skill],
        }

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        return {
            "job_id": task["job_id"],
            "task_id": task["task_id"],
            "worker_id": self.id,
            "result": {"status": "success", "data": None} | outcome,
        }

    def progress(self, task: dict[str, Any], progress: float, message: str) -> dict[str, Any]:
        return {
            "type": "progress_update",
            "task_id": task["task_id"],
            "job_id": task["job_id"],
            "progress": progress,
            "message": message,
        }

    @property
    def socket_path(self) -> str:
        return "/_worker/ws"

    def means(self, task: dict[str, Any], frame: dict[str, Any]) -> bool:
        return bool(frame["type"] == "cancel_task" and frame["task_id"] == task["task_id"])


class G2(Speaker):
    """1.0b3 of the protocol."""

    generation = "g2"
    version = "1.0b3"

    def registration(self) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "worker_type": "vision",
            "supported_skills": [self.skill],
            "resources": {
                "max_concurrent_tasks": 4,
                "cpu_cores": 8,
                "gpu_info": {"model": "T4", "vram_gb": 16},
            },
            "installed_software": {"python": "3.11"},
            "installed_models": [{"name": "yolo", "version": "8"}],
            "capabilities": {
                "hostname": "h1",
                "ip_address": "10.0.0.7",
                "cost_per_skill": {self.skill: 0.5},
                "s3_config_hash": None,
                "extra": None,
            },
        }

    def heartbeat(self, *tasks: str) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "status": "idle",
            "load": float(len(tasks)),
            "current_tasks": list(tasks),
            "supported_skills": [self.skill],
            "hot_cache": [],
            "skill_dependencies": None,
            "hot_skills": None,
        }

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        body = super().result(task)
        return body | {"status": "success", "data": None, "error": None, "data_metadata": None} | outcome

    def progress(self, task: dict[str, Any], progress: float, message: str) -> dict[str, Any]:
        return {
            "event": "progress_update",
            "task_id": task["task_id"],
            "job_id": task["job_id"],
            "progress": progress,
            "message": message,
        }

    @property
    def socket_path(self) -> str:
        return "/_worker/ws"


class Signing(Speaker):
    """Generations whose messages have a time, and a signature when they are asked for one."""

    signs = True
    skills_hash = "00ff"

    def now(self) -> float:
        return int(self.clock())

    def in_shape(self, body: dict[str, Any]) -> dict[str, Any]:
        stamped = body | {"timestamp": self.now()}
        if not self.signed:
            return stamped
        left_out = ("security", "bubbling_chain") if "event_id" in body else ("security",)
        covered = {name: value for name, value in stamped.items() if name not in left_out}
        signature = hmac.new(self.key.encode(), self.covered(covered), hashlib.sha256).hexdigest()
        return stamped | {"security": self.security(signature)}

    def security(self, signature: str) -> dict[str, Any]:
        return {"signature": signature, "signer_id": self.id}

    def covered(self, message: dict[str, Any]) -> bytes:
        """The bytes that the signature covers."""
        return json.dumps(plain(message), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def event(self, task: dict[str, Any], name: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {
            "event_id": f"{self.id}-{next(NUMBERS)}",
            "worker_id": self.id,
            "origin_worker_id": self.id,
            "event_type": name,
            "payload": payload,
            "target_job_id": task["job_id"],
            "target_task_id": task["task_id"],
        }

    def progress(self, task: dict[str, Any], progress: float, message: str) -> dict[str, Any]:
        return self.event(task, "progress", {"progress": progress, "message": message})

    async def emit(self, event: dict[str, Any]) -> Answer:
        return await self.call("POST", "/_worker/events", event)


class G3(Signing):
    """1.0b7 of the protocol: nulls are there, times have fractions, hot skills are objects."""

    generation = "g3"
    version = "1.0b7"

    def now(self) -> float:
        return self.clock()

    def security(self, signature: str) -> dict[str, Any]:
        return {**super().security(signature), "identity_chain": None, "metadata": None}

    def covered(self, message: dict[str, Any]) -> bytes:
        return json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def described(self) -> dict[str, Any]:
        return {
            "name": self.skill,
            "type": self.skill,
            "description": None,
            "version": None,
            "input_schema": None,
            "output_schema": None,
            "events_schema": None,
            "output_statuses": None,
            "schema_dialect": "json-schema",
            "properties": None,
        }

    def registration(self) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "worker_type": "vision",
            "supported_skills": [self.described],
            "resources": {
                "max_concurrent_tasks": 4,
                "cpu_cores": 8,
                "ram_gb": 16.0,
                "devices": [
                    {
                        "type": "gpu",
                        "model": "T4",
                        "id": "0",
                        "properties": {"memory_gb": 16.0},
                        "metrics": None,
                    }
                ],
                "properties": None,
            },
            "installed_software": {"python": "3.11"},
            "installed_artifacts": [{"name": "yolo", "version": "8", "type": None, "properties": None}],
            "capabilities": {
                "hostname": "h1",
                "ip_address": "10.0.0.7",
                "cost_per_skill": {self.skill: 0.5},
                "s3_config_hash": None,
                "extra": {"websockets": False},
            },
            "skills_hash": self.skills_hash,
            "security": None,
            "metadata": None,
        }

    def heartbeat(self, *tasks: str) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "status": "idle",
            "usage": {"cpu_load_percent": 12.5, "ram_used_gb": 3.0, "devices_usage": None},
            "current_tasks": list(tasks),
            "supported_skills": None,
            "hot_cache": [],
            "skill_dependencies": None,
            "hot_skills": [self.described],
            "skills_hash": self.skills_hash,
            "security": None,
            "metadata": None,
        }

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        nothing = {"data": None, "error": None, "data_metadata": None, "metadata": None}
        return super().result(task) | {"status": "success"} | nothing | outcome


class G4(Signing):
    """1.0b14 of the protocol: what holds its default is left out."""

    generation = "g4"
    version = "1.0b14"

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "X-Worker-ID": self.id}

    def registration(self) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "worker_type": "vision",
            "supported_skills": [{"name": self.skill, "type": self.skill}],
            "available_skills": [self.skill],
            "resources": {
                "devices": [{"type": "gpu", "model": "T4", "properties": {"memory_gb": 16}}],
                "properties": {"cpu_cores": 8, "ram_gb": 16.0},
            },
            "installed_software": {"python": "3.12"},
            "installed_artifacts": [{"name": "yolo", "version": "8"}],
            "capabilities": {
                "hostname": "h1",
                "ip_address": "10.0.0.7",
                "cost_per_skill": {self.skill: 0.5},
                "extra": {"websockets": False},
            },
            "skills_hash": self.skills_hash,
        }

    def heartbeat(self, *tasks: str) -> dict[str, Any]:
        return {
            "worker_id": self.id,
            "status": "idle",
            "usage": {"cpu_load_percent": 12.5, "ram_used_gb": 3.2},
            "current_tasks": list(tasks),
            "available_skills": [self.skill],
            "hot_skills": [self.skill],
            "skills_hash": self.skills_hash,
        }

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        return super().result(task, origin_worker_id=self.id, **outcome)


class G5(G4):
    """1.0b17 of the protocol."""

    generation = "g5"
    version = "1.0b17"

    def result(self, task: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        return super().result(task, costs={"execution_time_seconds": 1.204}, **outcome)


EVERY: tuple[type[Speaker], ...] = (G1, G2, G3, G4, G5)
SIGNING: tuple[type[Signing], ...] = (G3, G4, G5)


def plain(value: Any) -> Any:
    """The value without nulls in objects, and with whole numbers for floats that are."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
