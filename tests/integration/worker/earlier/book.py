"""The jobs of an earlier orchestrator, and what becomes of results: the rules of 1.0b27."""

import asyncio
from typing import Any
from uuid import uuid4

TERMINAL = ("finished", "failed", "quarantined")


class Job:
    """One step that a worker does, or several branches of one."""

    def __init__(self, skill: str, params: Any, transitions: tuple[str, ...]) -> None:
        self.id = str(uuid4())
        self.skill = skill
        self.params = params
        self.transitions = transitions
        self.status = "waiting_for_worker"
        self.worker: str | None = None
        self.tasks: list[str] = []
        self.branches = 0
        self.only: str | None = None
        self.applied: list[dict[str, Any]] = []
        self.over = asyncio.Event()

    def end(self, status: str) -> None:
        self.status = status
        self.over.set()


class Book:
    """Applies a result twice that comes twice, unless the job has moved on."""

    def __init__(self, sequential_id: str = "task-") -> None:
        self.jobs: dict[str, Job] = {}
        self._sequential_id = sequential_id

    def open(self, skill: str, params: Any, transitions: tuple[str, ...]) -> Job:
        job = Job(skill, params, transitions)
        self.jobs[job.id] = job
        return job

    def next_task(self, job: Job) -> str:
        """Earlier than 1.0b22, the id of a task was that of its job, unless it was a branch."""
        if job.branches:
            task = str(uuid4())
        else:
            task = f"{self._sequential_id}{uuid4()}" if self._sequential_id else job.id
        job.tasks.append(task)
        return task

    def settle(self, result: dict[str, Any], worker: str) -> tuple[dict[str, Any], Job | None]:
        """The answer, and the job that is to be tried again, if any."""
        job = self.jobs.get(result["job_id"])
        if job is None:
            return _ignored("job_not_found"), None
        if job.worker != worker:
            return _ignored("worker_mismatch"), None
        if job.only not in (None, result["task_id"]):
            return _ignored("stale_task"), None
        if job.branches:
            job.applied.append(result)
            if len(job.applied) >= job.branches:
                job.end("finished")
            return {"status": "accepted", "transition": "parallel_branch_accepted"}, None
        if result["task_id"] != job.tasks[-1]:
            return _ignored("stale_task"), None
        if job.status in TERMINAL and not job.applied:
            return _ignored("job_already_terminated"), None
        job.applied.append(result)
        return self._apply(job, result)

    def _apply(self, job: Job, result: dict[str, Any]) -> tuple[dict[str, Any], Job | None]:
        status = result.get("status", "success")
        if status == "failure":
            code = (result.get("error") or {}).get("code")
            if code == "TRANSIENT_ERROR":
                return {"status": "accepted", "transition": "failure_handled"}, job
            job.end("failed")
            return {"status": "accepted", "transition": "failure_handled"}, None
        if status == "cancelled":
            job.end("cancelled")
            return {"status": "accepted", "transition": "cancelled_handled"}, None
        if status not in job.transitions:
            job.end("failed")
            return {"status": "accepted", "transition": "unhandled_status_failure"}, None
        job.end("finished")
        return {"status": "accepted", "transition": f"{status}_transition"}, None


def _ignored(reason: str) -> dict[str, Any]:
    return {"status": "ignored", "reason": reason, "message": f"Result ignored: {reason}"}
