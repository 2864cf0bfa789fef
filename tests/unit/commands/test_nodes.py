"""Nodes know when one of them has died, and what it may have died of."""

from msgspec import Raw
from msgspec.structs import replace

from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.clock import SystemNames
from avtomatika.commands.apply import Writer
from avtomatika.commands.decide import Decider
from avtomatika.commands.nodes import BEAT, SILENT, Nodes
from avtomatika.commands.outbox import run_queue
from avtomatika.kernel.events import SignalReceived
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Job, Listening
from avtomatika.kernel.time import Span
from avtomatika.ports.node import NodeContext
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore
from avtomatika.stores.registry import MemoryRegistry
from avtomatika.testing.contract.values import CountedTokens, VirtualClock, a_job, create


def node(name: str, clock: VirtualClock) -> NodeContext:
    store = MemoryStore(now=clock.now, tokens=CountedTokens())
    return NodeContext(store, clock, SystemNames(), Supervisor().spawn, name)


def a_job_of(clock: VirtualClock) -> Job:
    return replace(a_job(), updated=clock.now())


async def test_who_beats_is_alive_and_nobody_is_suspected() -> None:
    clock, registry = VirtualClock(), MemoryRegistry()
    a, b = Nodes(node("a", clock), registry), Nodes(node("b", clock), registry)
    job = a_job_of(clock)
    for _ in range(10):
        await a.beat()
        await b.beat()
        await clock.advance(BEAT)
    assert not a.suspects(job)
    assert not b.suspects(job)


async def test_jobs_that_have_not_moved_since_a_node_fell_silent_are_suspects() -> None:
    clock, registry = VirtualClock(), MemoryRegistry()
    a, b = Nodes(node("a", clock), registry), Nodes(node("b", clock), registry)
    await a.beat()
    await b.beat()
    job = a_job_of(clock)
    await clock.advance(Span(SILENT + 1))
    await a.beat()
    assert a.suspects(job)
    await clock.advance(Span(1))
    moved = a_job_of(clock)
    await a.beat()
    assert not a.suspects(moved), "one death is noticed once"
    await b.beat()
    await a.beat()
    await clock.advance(Span(SILENT + 1))
    await a.beat()
    assert a.suspects(moved), "it has died again"


async def test_a_node_that_left_in_order_has_not_died() -> None:
    clock, registry = VirtualClock(), MemoryRegistry()
    a, b = Nodes(node("a", clock), registry), Nodes(node("b", clock), registry)
    await a.beat()
    await b.beat()
    await b.leave()
    await clock.advance(Span(2 * SILENT))
    await a.beat()
    assert not a.suspects(a_job())


async def test_a_process_that_takes_the_place_of_a_dead_one_knows_at_once() -> None:
    clock, registry = VirtualClock(), MemoryRegistry()
    await Nodes(node("a", clock), registry).beat()
    job = a_job_of(clock)
    await clock.advance(Span(5))
    again = Nodes(node("a", clock), registry)
    await again.beat()
    assert again.suspects(job)
    await clock.advance(Span(5))
    await again.beat()
    assert not again.suspects(a_job_of(clock))


async def test_an_older_process_does_not_sign_off_its_successor() -> None:
    clock, registry = VirtualClock(), MemoryRegistry()
    old, new, other = (Nodes(node(name, clock), registry) for name in "aab")
    for each in (old, new, other):
        await each.beat()
    await old.leave()
    await clock.advance(Span(2 * SILENT))
    await other.beat()
    assert other.suspects(a_job())


async def a_listening_job(suspected: bool) -> tuple[MemoryStore, list[str]]:
    """What became of a job whose handler an event made due, and which handlers ran with it."""
    ran: list[str] = []
    blueprint = Blueprint("b", version="1")

    @blueprint.handler(is_start=True)
    async def begin() -> None:
        ran.append("begin")

    @blueprint.handler("on", is_end=True)
    async def on() -> None:
        ran.append("on")

    clock = VirtualClock()
    here = node("a", clock)
    assert isinstance(here.store, MemoryStore)
    decider = Decider((blueprint,), lambda name: ClientConfig(id=name, plan=""))
    writer = Writer(here, decider, suspects=lambda _: suspected)
    waiting = replace(a_job(), blueprint="b", edition="1", phase=Listening(1, "go", {"success": "on"}))
    await create(here.store, waiting)
    await writer.apply(JobId("j"), SignalReceived("go", Raw(b"null")), owned=True)
    return here.store, ran


async def test_the_handler_of_a_suspect_is_a_message_whose_deliveries_are_counted() -> None:
    store, ran = await a_listening_job(suspected=True)
    assert ran == []
    assert await store.next_due(run_queue("b", "1")) is not None


async def test_that_of_any_other_runs_with_the_event() -> None:
    store, ran = await a_listening_job(suspected=False)
    assert ran == ["on"]
    assert await store.next_due(run_queue("b", "1")) is None
