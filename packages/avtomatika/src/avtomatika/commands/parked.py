"""Jobs on versions of blueprints that are not loaded here: they wait for a node that has them (A15)."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from avtomatika import observe
from avtomatika.commands.decide import Edition
from avtomatika.commands.outbox import RUNS
from avtomatika.kernel.effects import RunHandler
from avtomatika.kernel.ids import JobId
from avtomatika.ports.store import Message, Store

MAX_JOBS: Final = 10_000
PAGE: Final = 1_000


class Parked(msgspec.Struct, frozen=True):
    """A version of a blueprint that is not loaded here, and the jobs whose runs wait for it.

    `jobs` is how many, up to `MAX_JOBS`: then there may be more. `example` is one of them.
    """

    blueprint: str
    edition: str
    jobs: int
    example: JobId


async def parked(store: Store, loaded: Collection[Edition]) -> Sequence[Parked]:
    """What waits for versions that are not among *loaded*, by name and version. Raises Unavailable."""
    found: list[Parked] = []
    for queue, message in (await store.queues(RUNS)).items():
        body = message.body
        if isinstance(body, RunHandler) and (body.blueprint, body.edition) not in loaded:
            jobs = await _count(store, queue)
            found.append(Parked(body.blueprint, body.edition, jobs, message.job))
    return sorted((each for each in found if each.jobs), key=lambda each: (each.blueprint, each.edition))


async def warn_of_parked(store: Store, loaded: Collection[Edition]) -> None:
    """Each version that jobs wait for in vain here is on the log."""
    for each in await parked(store, loaded):
        observe.warning(
            "blueprint.missing",
            blueprint=each.blueprint,
            version=each.edition,
            jobs=each.jobs,
            example=each.example,
        )


async def _count(store: Store, queue: str) -> int:
    count, page = 0, list[Message]()
    while count == 0 or (len(page) == PAGE and count < MAX_JOBS):
        page = list(await store.peek(queue, after=page[-1].id if page else None, limit=PAGE))
        count += len(page)
        if not page:
            break
    return count
