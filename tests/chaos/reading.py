"""What is left of a run: every job with all of its facts, as the API shows them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Final

import aiohttp
import msgspec

from tests.chaos.judging.evidence import OVER
from tests.chaos.lines import Fact, now
from tests.chaos.lines import Final as FinalLine
from tests.chaos.stage import TOKENS, Stage

UNFINISHED: Final = (
    "pending",
    "running",
    "waiting_for_worker",
    "waiting_for_parallel_tasks",
    "sleeping",
    "waiting_for_event",
    "waiting_for_sub_job",
    "waiting_for_human",
)
AT_ONCE: Final = 8
PAGE: Final = 1_000


class Reader:
    """Reads as an operator does, from the nodes in turn, past the network."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession) -> None:
        self._ports = dict(stage.ports)
        self._session = session
        self._turn = 0

    async def silent(self) -> dict[str, str]:
        """The nodes that do not answer, and why that is; nobody is going to ask them any more."""
        found: dict[str, str] = {}
        for name, port in [*self._ports.items()]:
            try:
                async with self._session.get(f"http://127.0.0.1:{port}/api/v1/jobs?limit=1") as answer:
                    said = "" if answer.status == 200 else f"{answer.status} {await answer.text()}"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                said = repr(error)
            if said:
                found[name] = said
                if len(self._ports) > 1:
                    del self._ports[name]
        return found

    async def unfinished(self) -> dict[str, str]:
        """The jobs that are not over, with where they stand; those of schedules left out."""
        left: dict[str, str] = {}
        for status in UNFINISHED:
            page = await self._get(f"/api/v1/jobs?status={status}&limit={PAGE}")
            left.update((job["id"], status) for job in page["jobs"] if not _is_tick(job))
        return left

    async def with_webhook(self, wants: Callable[[int], bool]) -> AsyncIterator[str]:
        """The jobs that are over and whose clients want to hear of it."""
        async for job in self._jobs():
            number = job.get("labels", {}).get("n")
            own = number is not None and not job.get("parent_job_id")
            if own and job["status"] in OVER and wants(int(number)):
                yield job["id"]

    async def everything(self) -> list[FinalLine]:
        """All jobs with all of their facts."""
        jobs = [job async for job in self._jobs()]
        gate = asyncio.Semaphore(AT_ONCE)

        async def whole(job: dict[str, Any]) -> FinalLine:
            async with gate:
                facts = await self._facts(job["id"])
                while facts[-1].version > job["version"]:  # it went on while it was read
                    job = await self._get(f"/api/v1/jobs/{job['id']}")
                    facts = await self._facts(job["id"])
                return _final(job, facts)

        return [*await asyncio.gather(*map(whole, jobs))]

    async def _jobs(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while True:
            page = await self._get(f"/api/v1/jobs?limit={PAGE}{after}")
            for job in page["jobs"]:
                yield job
            if page["next"] is None:
                return
            after = f"&after={page['next']}"

    async def _facts(self, job: str) -> tuple[Fact, ...]:
        rows: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self._get(f"/api/v1/jobs/{job}/history?limit={PAGE}&after={after}")
            rows += page["events"]
            if page["next"] is None:
                return tuple(map(_fact, rows))
            after = page["next"]

    async def _get(self, path: str) -> dict[str, Any]:
        for _ in range(20):
            self._turn += 1
            ports = [*self._ports.values()]
            url = f"http://127.0.0.1:{ports[self._turn % len(ports)]}{path}"
            try:
                async with self._session.get(url) as answer:
                    if answer.status == 200:
                        found: dict[str, Any] = msgspec.json.decode(await answer.read())
                        return found
                    said = f"{answer.status} {await answer.text()}"
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                said = repr(error)
            await asyncio.sleep(0.5)
        raise AssertionError(f"{path} cannot be read: {said}")


def reading_session() -> aiohttp.ClientSession:
    """A session of an operator."""
    headers = {"X-Client-Token": TOKENS["OPERATOR_TOKEN"]}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=20))


def _is_tick(job: dict[str, Any]) -> bool:
    return str(job.get("source", "")).startswith("scheduler:")


def _fact(row: dict[str, Any]) -> Fact:
    return Fact(
        version=row["version"],
        at=int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1_000),
        event=row["event_type"],
        status=row["status"],
        state=row["state"],
        before=row["previous_status"],
        data=row["data"],
    )


def _final(job: dict[str, Any], facts: tuple[Fact, ...]) -> FinalLine:
    return FinalLine(
        t=now(),
        id=job["id"],
        status=job["status"],
        version=job["version"],
        blueprint=job["blueprint_name"],
        labels=job.get("labels", {}),
        source=job.get("source", ""),
        parent=job.get("parent_job_id") or "",
        result=job.get("result"),
        error=(job.get("error") or {}).get("code", ""),
        facts=facts,
    )
