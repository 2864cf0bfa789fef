"""With the key of the orchestrator, only tasks that it signed are run."""

import msgspec
import pytest

from avtomatika_worker.conversation.task_signatures import SignedTasksOnly
from rxon.codec import encode
from rxon.errors import UnavailableError
from rxon.messages import ResultAnswer, TaskOffer, TaskResult
from rxon.signing.shared_key import sign_task
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from rxon.transport import PollRequest

KEY = "the key of the orchestrator"


class Offering(LoopbackTransport):
    """A way on which these tasks come, and what is reported is kept."""

    def __init__(self, *offers: TaskOffer, broken: bool = False) -> None:
        super().__init__(MemoryGateway(), "w1", "token")
        self.offers = offers
        self.broken = broken
        self.reported: list[TaskResult] = []

    async def poll(self, request: PollRequest) -> tuple[TaskOffer, ...]:
        return self.offers

    async def report(self, results: object) -> list[ResultAnswer]:
        if self.broken:
            raise UnavailableError
        self.reported += results  # type: ignore[operator]  # a sequence of results
        return []


def offer(task_id: str = "t1", **fields: object) -> TaskOffer:
    given = {"params": msgspec.Raw(b'{"n":1.0,"a":null}'), "lease_token": "lease-1", **fields}
    return TaskOffer(job_id="j1", task_id=task_id, type="work", **given)  # type: ignore[arg-type]  # of any field


def signed(task: TaskOffer, key: str = KEY) -> TaskOffer:
    return msgspec.structs.replace(task, sig=sign_task(encode(task), key))


async def passed(*offers: TaskOffer) -> tuple[list[str], list[TaskResult]]:
    """The ids of the tasks that come through, and what is reported of the others."""
    way = Offering(*offers)
    through = await SignedTasksOnly(way, "w1", KEY).poll(PollRequest())
    return [task.task_id for task in through], way.reported


async def test_a_signed_task_comes_through() -> None:
    assert await passed(signed(offer(priority=2.5, deadline=1_800_000_000))) == (["t1"], [])


async def test_a_task_signed_with_every_default_in_it_comes_through() -> None:
    """Earlier orchestrators write out what is at its default."""
    task = offer()
    whole = {name: getattr(task, name) for name in TaskOffer.__struct_fields__}
    body = encode({name: value for name, value in whole.items() if value is not None})
    assert body != encode(task)
    assert await passed(msgspec.structs.replace(task, sig=sign_task(body, KEY))) == (["t1"], [])


@pytest.mark.parametrize(
    "bad",
    [
        offer(),
        signed(offer(), "another key"),
        msgspec.structs.replace(signed(offer()), params=msgspec.Raw(b'{"n":2}')),
        msgspec.structs.replace(signed(offer()), type="other"),
    ],
    ids=["unsigned", "by another", "changed params", "changed skill"],
)
async def test_any_other_is_reported_as_a_failure_and_not_run(bad: TaskOffer) -> None:
    through, reported = await passed(bad, signed(offer("t2")))
    assert through == ["t2"]
    (result,) = reported
    assert (result.task_id, result.worker_id, result.lease_token) == ("t1", "w1", "lease-1")
    assert result.error is not None
    assert (result.status, result.error.code) == ("failure", "SECURITY_ERROR")


async def test_a_refusal_that_cannot_be_reported_refuses_all_the_same() -> None:
    way = Offering(offer(), signed(offer("t2")), broken=True)
    through = await SignedTasksOnly(way, "w1", KEY).poll(PollRequest())
    assert [task.task_id for task in through] == ["t2"]
