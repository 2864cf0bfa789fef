"""What a hostile worker does: acts that follow one another as fast as they are answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from itertools import count
from typing import Any, Final

import aiohttp

Json = dict[str, Any]

REGISTER: Final = "/_worker/workers/register"
BAIT: Final = "bait"
"""A skill of which there are tasks for hostile workers."""

BOMB: Final = r"^(?=x?)((a+)+)+$(?<!c)"
HEAVY: Final = "^(((a{1,50}){1,50}){1,20})$"
MEBIBYTE: Final = 1 << 20


class Hostile:
    """One hostile worker. Its ids are its own, and every call is another one than the last."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, name: str) -> None:
        self._session, self._url = session, url
        self.id = name
        self._headers = {"X-Worker-Token": token, "Content-Type": "application/json"}
        self._count = count()

    async def call(self, method: str, path: str, body: Json | bytes | None = None) -> tuple[int, Any]:
        """The status and the body of the answer; 0 when there was none."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        try:
            async with self._session.request(
                method, self._url + path, data=data, headers=self._headers
            ) as answer:
                raw = await answer.read()
        except aiohttp.ClientError:
            return 0, None
        return answer.status, json.loads(raw) if raw else None

    def said(self, *skills: Json, **more: Any) -> Json:
        """A registration."""
        return {"worker_id": self.id, "worker_type": "hostile", "supported_skills": list(skills), **more}

    async def skills(self) -> tuple[int, Any]:
        """A hundred thousand skills, and as many as there is room for."""
        return await self.call(
            "POST", REGISTER, many_skills(self.id, (100_000, 25_000)[next(self._count) % 2])
        )

    async def large(self) -> tuple[int, Any]:
        """A schema of 10 MiB."""
        return await self.call("POST", REGISTER, large_schema(self.id))

    async def schemas(self) -> tuple[int, Any]:
        """Many schemas, in turn too large for a registration and just not, and never the same."""
        n = next(self._count)
        return await self.call("POST", REGISTER, self.said(*many_schemas((900, 250)[n % 2], n)))

    async def reference(self) -> tuple[int, Any]:
        """Schemas that refer to what is elsewhere."""
        schema = {"$ref": f"http://127.0.0.1:9/{next(self._count)}"}
        return await self.call("POST", REGISTER, self.said({"name": "own", "output_schema": schema}))

    async def costs(self) -> tuple[int, Any]:
        """Costs that are no numbers."""
        cost = ("NaN", '"cheap"', "-1e999", '{"a":1}')[next(self._count) % 4]
        body = json.dumps(self.said({"name": "own"}, capabilities={"cost_per_skill": {"own": 0}}))
        return await self.call("POST", REGISTER, body.replace('{"own": 0}', f'{{"own": {cost}}}').encode())

    async def reputation(self) -> tuple[int, Any]:
        """A worker that praises itself."""
        praise = {"reputation": 1e9, "metadata": {"reputation": next(self._count)}}
        return await self.call("POST", REGISTER, self.said({"name": "own", **praise}, **praise))

    async def ids(self) -> tuple[int, Any]:
        """Ids that are none."""
        odd = ("../x", "a" * 10_000, "", "w\u2028", "worker:x", "%00", "a/b", "*")[next(self._count) % 8]
        return await self.call("POST", REGISTER, self.said({"name": "own"}) | {"worker_id": odd})

    async def flaps(self) -> tuple[int, Any]:
        """Here with these skills, gone, here with others: all with the skill that others have tasks of."""
        n = next(self._count)
        if n % 3 == 1:
            gone = {"worker_id": self.id, "status": "offline"}
            return await self.call("PATCH", f"/_worker/workers/{self.id}", gone)
        others = ({"name": f"flap{n}-{k}"} for k in range(50))
        said = self.said({"name": "noop", "version": str(n)}, *others, hot_skills=[f"flap{n}-0"])
        return await self.call("POST", REGISTER, said)

    async def bombs(self) -> tuple[int, Any]:
        """Events of a task that it holds, held against patterns and references that take for ever."""
        n = next(self._count)
        if n % 200 == 0:
            await self.call("POST", REGISTER, self.said({"name": BAIT, "events_schema": bombs()}))
            _, self._task = await self.call("GET", f"/_worker/workers/{self.id}/tasks/next?timeout=1")
        if self._task is None:
            return 0, None
        kind, payload = [*payloads().items()][n % len(payloads())]
        event = {
            "event_id": f"e{n}",
            "worker_id": self.id,
            "origin_worker_id": self.id,
            "event_type": kind,
            "target_task_id": self._task["task_id"],
            "target_job_id": self._task["job_id"],
            "payload": payload,
        }
        return await self.call("POST", "/_worker/events", event)


Act = Callable[[Hostile], Awaitable[tuple[int, Any]]]

ACTS: Final[Mapping[str, Act]] = {
    act.__name__: act
    for act in (
        Hostile.skills,
        Hostile.large,
        Hostile.schemas,
        Hostile.reference,
        Hostile.costs,
        Hostile.reputation,
        Hostile.ids,
        Hostile.flaps,
        Hostile.bombs,
    )
}


@cache
def many_skills(worker: str, number: int) -> bytes:
    """A registration with so many skills, as the second generation names them."""
    return json.dumps({"worker_id": worker, "supported_skills": [f"{k:x}" for k in range(number)]}).encode()


@cache
def large_schema(worker: str) -> bytes:
    """A registration with a schema of 10 MiB."""
    schema = {"description": "x" * 10 * MEBIBYTE}
    skills = [{"name": "noop", "output_schema": schema}]
    return json.dumps({"worker_id": worker, "supported_skills": skills}).encode()


def many_schemas(skills: int, n: int) -> list[Json]:
    """Skills with twenty schemas each."""
    return [
        {"name": f"s{k}", "events_schema": {f"e{i}": {"title": f"{n}-{k}-{i}"} for i in range(20)}}
        for k in range(skills)
    ]


def doubling(depth: int) -> Json:
    """A schema of a few lines that is evaluated 2 to the *depth* times."""
    twice = {f"d{k}": {"allOf": [{"$ref": f"#/$defs/d{k + 1}"}] * 2} for k in range(depth)}
    return {"$defs": {**twice, f"d{depth}": {"type": "object"}}, "$ref": "#/$defs/d0"}


def bombs() -> Json:
    """Schemas that little data is held against for ever."""
    return {
        "keys": {"patternProperties": {f"{k}|{BOMB}": {} for k in range(20)}},
        "values": {"additionalProperties": {"not": {"pattern": HEAVY}}},
        "refs": doubling(30),
        "deep": {"allOf": [{"additionalProperties": {"$ref": "#"}}] * 2},
    }


def payloads() -> Json:
    """Data for each of them."""
    deep: Json = {}
    for _ in range(40):
        deep = {"a": deep}
    return {
        "keys": {"a" * 60 + f"{k}b": 1 for k in range(100)},
        "values": {str(k): "a" * 5_000 + "b" for k in range(10)},
        "refs": {},
        "deep": deep,
    }


async def attack(url: str, token: str, acts: list[str], connections: int) -> Mapping[str, Any]:
    """Hostile workers act until they are cancelled; how often each answer came is counted meanwhile."""
    counted: dict[str, int] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(number: int) -> None:
            worker = Hostile(session, url, token, f"hostile{number}")
            act = ACTS[acts[number % len(acts)]]
            while True:
                status, _ = await act(worker)
                name = f"{act.__name__} {status}"
                counted[name] = counted.get(name, 0) + 1
                if status == 0:
                    await asyncio.sleep(0.05)

        with suppress(asyncio.CancelledError):
            await asyncio.gather(*(one(number) for number in range(connections)))
    return counted
