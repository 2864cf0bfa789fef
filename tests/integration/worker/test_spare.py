"""The transport for another event loop speaks as the first one has learned."""

import asyncio

import pytest

from rxon.http.client import HttpTransport
from rxon.http.keys import Keys
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, SkillInfo
from rxon.testing.gateway import MemoryGateway
from rxon.transport import PollRequest, WorkerTransport
from tests.integration.worker.conftest import Server
from tests.integration.worker.earlier.fleet import serving
from tests.integration.worker.earlier.releases import O27, RELEASES
from tests.integration.worker.earlier.server import EarlierServer


async def elsewhere(spare: WorkerTransport, beat: Heartbeat) -> HeartbeatAnswer:
    """The answer to a heartbeat that was sent in a thread with a loop of its own."""

    async def send() -> HeartbeatAnswer:
        try:
            return await spare.heartbeat(beat)
        finally:
            await spare.close()

    return await asyncio.to_thread(asyncio.run, send())


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.__name__)
async def test_it_signs_and_names_jobs_where_the_release_wants_it(release: type[EarlierServer]) -> None:
    server = release(token="token")
    async with serving(server):
        transport = HttpTransport(server.url, "w1", Keys("token"))
        await transport.register(Registration("w1", supported_skills=(SkillInfo("work"),)))
        job = await server.dispatch("work")
        (offer,) = await transport.poll(PollRequest(timeout=1))
        answer = await elsewhere(transport.spare(), Heartbeat("w1", current_tasks=(offer.task_id,)))
        await transport.close()
    assert answer.cancel_task_ids is None
    assert server.beats[-1]["current_tasks"] == [job.id]
    assert server.beats[-1]["security"]["signature"]
    assert server.refused_later == []


async def test_it_shows_the_token_that_was_given_in_exchange() -> None:
    server = O27(token="token")
    async with serving(server):
        transport = HttpTransport(server.url, "w1", Keys("token", exchange=True))
        await transport.register(Registration("w1"))
        await transport.poll(PollRequest(timeout=0.1))
        shown = transport._talk._access.shown
        spare = transport.spare()
        await elsewhere(spare, Heartbeat("w1"))
        await transport.close()
    assert shown != "token"
    assert spare._talk._access.shown == shown


async def test_the_first_one_goes_on_when_the_other_is_closed(server: Server, gateway: MemoryGateway) -> None:
    transport = HttpTransport(server.url, "w1", "token")
    await transport.register(Registration("w1"))
    await elsewhere(transport.spare(), Heartbeat("w1"))
    await transport.heartbeat(Heartbeat("w1"))
    await transport.close()
    assert len(gateway.beats) == 2
