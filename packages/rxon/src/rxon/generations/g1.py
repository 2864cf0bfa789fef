"""The first generation, up to 1.0b8 of the orchestrator: plain JSON, tasks instead of skills, no protocol."""

from typing import Any, ClassVar, Final

import msgspec

from rxon.codec import decode, encode
from rxon.generations.dialect import Dialect, Said, members
from rxon.generations.generation import Generation
from rxon.generations.machine import OldResources, artifacts_of, resources_of, skills_of
from rxon.messages import (
    Heartbeat,
    HeartbeatAnswer,
    InstalledModel,
    Registered,
    Registration,
    ResultAnswer,
    TaskOffer,
    TaskResult,
    WorkerCapabilities,
    WorkerCommand,
)
from rxon.messages.wire import Listed, Mapped, Name, OptionalRaw, TaskErrorOrText, settle
from rxon.vocabulary import AnswerStatus, IgnoredReason, TaskStatus

__all__ = ["First"]


class _Registration(msgspec.Struct):
    worker_id: str
    worker_type: str = "generic"
    supported_tasks: Listed[Name] = ()
    max_concurrent_tasks: int | None = None
    cost_per_skill: Mapped[float] | None = None
    installed_models: Listed[InstalledModel] | None = None
    installed_software: Mapped[str] | None = None
    hostname: str | None = None
    ip_address: str | None = None
    resources: OldResources | None = None


class _Heartbeat(msgspec.Struct):
    worker_id: str | None = None
    status: str | None = None
    supported_tasks: Listed[Name] | None = None
    hot_cache: Listed[Name] | None = None
    hot_skills: Listed[Name] | None = None
    skill_dependencies: Mapped[tuple[str, ...]] | None = None


class _Outcome(msgspec.Struct):
    status: str | None = None
    data: OptionalRaw = None
    error: TaskErrorOrText = None

    def __post_init__(self) -> None:
        settle(self, "data", "error")


class _TaskResult(msgspec.Struct):
    job_id: str
    task_id: str
    result: _Outcome
    worker_id: str | None = None


_ACCEPTED: Final = {
    "failure_handled": "result_accepted_failure",
    "cancelled_handled": "result_accepted_cancelled",
    "parallel_branch_accepted": "parallel_branch_result_accepted",
}


class First(Dialect):
    """Its workers register once and never again: a heartbeat that is not known stands for it."""

    generation: ClassVar[Generation] = Generation.G1
    knows_leases: ClassVar[bool] = False

    def registration(self, body: bytes) -> Registration:
        """How a worker presents itself."""
        said = decode(_Registration, body)
        return Registration(
            worker_id=said.worker_id,
            worker_type=said.worker_type,
            supported_skills=skills_of(said.supported_tasks),
            resources=resources_of(said.resources),
            installed_software=said.installed_software,
            installed_artifacts=artifacts_of(said.installed_models),
            capabilities=WorkerCapabilities(
                hostname=said.hostname or "unknown",
                ip_address=said.ip_address or "0.0.0.0",  # noqa: S104 - means "unknown", nothing binds to it
                cost_per_skill=said.cost_per_skill,
            ),
            max_concurrent_tasks=said.max_concurrent_tasks,
        )

    def registered(self, answer: Registered) -> Said:
        """The answer to that."""
        return Said(encode(members(answer, "status")))

    def beat(self, body: bytes) -> Heartbeat:
        """That a worker lives. It does not say which tasks it holds."""
        said = decode(_Heartbeat, body)
        return Heartbeat(
            worker_id=said.worker_id,
            status=said.status,
            supported_skills=None if said.supported_tasks is None else skills_of(said.supported_tasks),
            hot_skills=said.hot_skills,
            hot_cache=said.hot_cache,
            skill_dependencies=said.skill_dependencies,
        )

    def presented(self, worker_id: str, body: bytes) -> Registration | None:
        """What the heartbeat tells: the tasks that the worker supports."""
        skills = self.beat(body).supported_skills
        return Registration(worker_id=worker_id, supported_skills=skills)

    def beaten(self, answer: HeartbeatAnswer, worker_id: str, body: bytes) -> Said:
        """What is known of the worker."""
        document: dict[str, Any] = {"worker_id": worker_id, **decode(dict[str, Any], body)}
        if answer.cancel_task_ids:
            document["cancel_task_ids"] = answer.cancel_task_ids
        return Said(encode(document))

    def offered(self, offer: TaskOffer) -> bytes:
        """A task."""
        return encode(members(offer, "job_id", "task_id", "type", "params", "tracing_context"))

    def result(self, body: bytes) -> TaskResult:
        """How a task ended: the outcome is an object of its own."""
        said = decode(_TaskResult, body)
        return TaskResult(
            job_id=said.job_id,
            task_id=said.task_id,
            worker_id=said.worker_id,
            status=said.result.status or TaskStatus.SUCCESS,
            data=said.result.data,
            error=said.result.error,
        )

    def judged(self, answer: ResultAnswer) -> Said:
        """What became of a result. Its workers send it again after any status but 200."""
        if answer.status == AnswerStatus.ACCEPTED:
            return Said(encode({"status": _ACCEPTED.get(answer.transition or "", "result_accepted_success")}))
        if answer.reason == IgnoredReason.JOB_NOT_FOUND:
            return Said(encode({"error": "Job not found"}), 404)
        reason = answer.reason or IgnoredReason.STALE_TASK
        return Said(encode({"status": "ignored", "reason": reason}))

    def command(self, command: WorkerCommand) -> bytes:
        """What a worker is to do: its servers said `command`, its workers read `type`."""
        return encode({**msgspec.json.decode(super().command(command)), "type": command.command})
