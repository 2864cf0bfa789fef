"""Handlers that never wait run without a task of their own; whatever waits goes on in one."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands.decide import Decider, HandlerEvent
from avtomatika.kernel.decisions import GoTo
from avtomatika.kernel.events import Decided, HandlerCrashed
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Branch, Job, Policy, Ready
from avtomatika.kernel.time import Instant

SEEN: ContextVar[str] = ContextVar("SEEN", default="")


def job_in(state: str) -> Job:
    return Job(
        id=JobId("j"),
        blueprint="b",
        edition="1",
        state=state,
        phase=Ready(),
        policy=Policy(),
        created=Instant(0),
        updated=Instant(0),
        version=1,
    )


def a_blueprint() -> Blueprint:
    blueprint = Blueprint("b")

    @blueprint.handler("prompt", is_start=True)
    async def prompt(actions: Any) -> None:
        SEEN.set("left behind")
        actions.go_to("waits")

    @blueprint.handler("crashes")
    async def crashes() -> None:
        raise ValueError("no")

    @blueprint.handler("waits")
    async def waits(actions: Any) -> None:
        await asyncio.sleep(0)
        actions.go_to("end")

    @blueprint.handler("in_a_thread")
    def in_a_thread(actions: Any) -> None:
        actions.go_to("end")

    @blueprint.handler("sometimes")
    async def sometimes(actions: Any) -> None:
        actions.go_to("end")

    @blueprint.handler("sometimes").when("context.initial_data.x == 1")
    async def sometimes_waits(actions: Any) -> None:
        async with asyncio.timeout(1):
            actions.go_to("end")

    @blueprint.handler("end", is_end=True)
    async def end() -> None:
        """Nothing is left to do."""

    return blueprint


class AtTheStorage(Decider):
    """The node waits for something of its own, after the handler."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__([blueprint], client)
        self.gate = asyncio.Event()
        self.cancelled = False

    async def decide(self, job: Job, branches: Sequence[Branch]) -> HandlerEvent:
        event = await super().decide(job, branches)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return event


def client(name: str) -> ClientConfig:
    return ClientConfig(id=name)


def goes_to(event: object) -> str:
    assert isinstance(event, Decided)
    assert isinstance(event.decision, GoTo)
    return event.decision.state


def begun(decider: Decider, state: str) -> Any:
    return decider.begin(job_in(state), ())


async def test_a_handler_that_never_waits_has_decided_at_once() -> None:
    assert goes_to(begun(Decider([a_blueprint()], client), "prompt")) == "waits"
    assert SEEN.get() == "", "what it sets is its own"


async def test_a_handler_that_crashes_at_once_has_crashed() -> None:
    event = begun(Decider([a_blueprint()], client), "crashes")
    assert isinstance(event, HandlerCrashed)
    assert "ValueError" in event.failure.message


@pytest.mark.parametrize("state", ["waits", "in_a_thread", "sometimes", "unknown blueprint"])
async def test_what_may_have_to_wait_is_not_begun(state: str) -> None:
    blueprint = a_blueprint() if state != "unknown blueprint" else Blueprint("other")
    assert begun(Decider([blueprint], client), state) is None


async def test_what_the_node_itself_waits_for_is_waited_for_in_a_task() -> None:
    decider = AtTheStorage(a_blueprint())
    rest = begun(decider, "prompt")
    assert isinstance(rest, Coroutine)
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    decider.gate.set()
    assert goes_to(await task) == "waits"


async def test_what_the_node_itself_waits_for_can_be_cancelled() -> None:
    decider = AtTheStorage(a_blueprint())
    task = asyncio.create_task(begun(decider, "prompt"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert decider.cancelled
