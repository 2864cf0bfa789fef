"""The parts of a node, put together: what stands on what, and what runs in the background."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from avtomatika.app.backends import open_history
from avtomatika.app.files import FileSide, file_side
from avtomatika.app.workers import Behind, WorkerSide, worker_side
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.blueprints.client import ClientConfig
from avtomatika.commands import measures
from avtomatika.commands.access import Access
from avtomatika.commands.apply import Writer, WriterPolicy
from avtomatika.commands.approvals import Approvals
from avtomatika.commands.control import Control
from avtomatika.commands.decide import Decider
from avtomatika.commands.explain import Explain
from avtomatika.commands.export import Export
from avtomatika.commands.hooks import Hooks
from avtomatika.commands.nodes import BEAT, Nodes
from avtomatika.commands.offers import Offers
from avtomatika.commands.operator import Operator
from avtomatika.commands.parked import parked
from avtomatika.commands.pauses import LOOK_AGAIN, Pauses
from avtomatika.commands.presence import Presence
from avtomatika.commands.queries import Queries
from avtomatika.commands.reputations import WRITE_EVERY
from avtomatika.commands.results import Results
from avtomatika.commands.standing import Standing
from avtomatika.commands.submit import Submit
from avtomatika.commands.ticks import Planned, Ticks
from avtomatika.commands.webhooks import Webhooks, keys_of
from avtomatika.delivery.webhook import WebhookDelivery
from avtomatika.http.approval_api import ApprovalApi, ApprovalLinks
from avtomatika.http.blueprint_api import BlueprintApi
from avtomatika.http.callers import Callers
from avtomatika.http.client_api import ClientApi
from avtomatika.http.files_api import FilesApi
from avtomatika.http.follow_api import FollowApi
from avtomatika.http.operator_api import OperatorApi
from avtomatika.http.overview_api import OverviewApi, Sources
from avtomatika.http.routes import ClientArea
from avtomatika.http.worker_api import WorkerApi
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Registry
from avtomatika.schedules.loader import load
from avtomatika.services.duties import consumers, file_consumer, sweeper, webhook_consumer
from avtomatika.services.exporter import Exporter
from avtomatika.services.pulse import Pulse
from avtomatika.services.repeated import Repeated
from avtomatika.services.ticking import Armer, tick_consumer
from avtomatika.settings import Settings

DEFAULT_CLIENT: Final = ClientConfig(id="default", plan="default")

DutyOf = tuple[str, Callable[[], Coroutine[Any, Any, None]]]


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a node consists of, except its store and its port."""

    node: NodeContext
    access: Access
    decider: Decider
    writer: Writer
    nodes: Nodes
    offers: Offers
    presence: Presence
    standing: Standing
    pauses: Pauses
    queries: Queries
    workers: WorkerSide
    submit: Submit
    control: Control
    approvals: Approvals
    webhooks: Webhooks
    delivery: WebhookDelivery
    files: FileSide
    ticks: Ticks | None
    exporter: Exporter | None


def assemble(
    node: NodeContext,
    registry: Registry,
    settings: Settings,
    blueprints: Sequence[Blueprint],
    hooks: Hooks,
    reached_at: Callable[[], str],
) -> Parts:
    """The parts of the node, which others reach at this URL. Raises ConfigError."""
    access = access_of(settings)
    pauses = Pauses(node.store.shelf)
    secret = settings.approval_secret or node.names.token()
    files = file_side(node, settings.files, secret, reached_at)
    whole = None if files.values is None else files.values.whole
    offered = None if files.values is None else files.values.offered
    decider = Decider(blueprints, access.client_of, pauses.holds, node.store.shelf, files.beside)
    export = settings.history_uri
    policy = WriterPolicy(run_lease=settings.run_lease, export=export is not None)
    nodes = Nodes(node, registry)
    told = (measures.committed, hooks.witness(node.spawn))
    writer = Writer(node, decider, policy, told, nodes.suspects)
    standing = Standing(node, settings.dispatch.reputation)
    presence = Presence(node, registry, settings.worker_ttl, standing.fleet)
    offers = Offers(node, writer, settings.task_lease, standing.fleet, settings.dispatch.rules)
    results = Results(node, writer, standing.reported, standing.fleet.lease)
    queries = Queries(node, decider.held, whole)
    approvals = Approvals(writer, queries, secret)
    links = ApprovalLinks(approvals, reached_at)
    wanted, keys = settings.webhooks, keys_of(settings.webhook_secret or "")
    delivery = WebhookDelivery(wanted.reach, timeout=wanted.timeout, now=node.clock.now)
    return Parts(
        node=node,
        access=access,
        decider=decider,
        writer=writer,
        nodes=nodes,
        offers=offers,
        presence=presence,
        standing=standing,
        pauses=pauses,
        queries=queries,
        workers=worker_side(node, settings, Behind(access, registry, presence, offers, results, offered)),
        submit=Submit(node, writer, settings.policy, delivery.check, settings.room),
        control=Control(writer, queries),
        approvals=approvals,
        webhooks=Webhooks(node, delivery, lambda _: keys, wanted.policy, links),
        delivery=delivery,
        files=files,
        ticks=_ticks(node, writer, settings, blueprints),
        exporter=None if export is None else Exporter(node, Export(node, open_history(export))),
    )


def access_of(settings: Settings) -> Access:
    """Who may come in."""
    clients = () if settings.client_token is None else ((settings.client_token, DEFAULT_CLIENT),)
    return Access(clients, worker_token=settings.worker_token, operator_token=settings.operator_token)


def _ticks(
    node: NodeContext, writer: Writer, settings: Settings, blueprints: Sequence[Blueprint]
) -> Ticks | None:
    wanted = settings.schedules
    if wanted.file is None:
        return None
    names = [blueprint.name for blueprint in blueprints]
    schedules = load(wanted.file, zone=wanted.zone, blueprints=names)
    return Ticks(node, writer, settings.policy, schedules, blueprints)


def duties(parts: Parts, settings: Settings) -> Iterator[DutyOf]:
    """What the node does in the background, by name."""
    node, lease, width = parts.node, settings.run_lease, settings.width
    editions, rests = parts.decider.editions, parts.pauses.holds
    for consumer in consumers(node, parts.writer, editions, run_lease=lease, width=width, rests=rests):
        yield consumer.name, consumer.run
    timeout, senders = settings.webhooks.timeout, settings.webhooks.width
    webhooks = webhook_consumer(node, parts.webhooks, timeout=timeout, width=senders)
    yield webhooks.name, webhooks.run
    if settings.storage.shared:
        beats = Repeated(node.clock, parts.nodes.beat, every=BEAT, trouble="nodes.unknown")
        yield "nodes", beats.run
    if settings.files.keep is not None:
        yield "files", file_consumer(node, parts.files.files).run
    yield "offers", parts.offers.serve_for_ever
    pauses, reputations = parts.pauses.refresh, parts.standing.reputations.refresh
    yield "pauses", Repeated(node.clock, pauses, every=LOOK_AGAIN, trouble="pauses.unknown").run
    written = Repeated(node.clock, reputations, every=WRITE_EVERY, trouble="reputations.unwritten")
    yield "reputations", written.run
    yield "pulse", Pulse(node, parts.presence).run
    yield "sweeper", sweeper(node, parts.presence, settings.keep_finished).run
    if parts.exporter is not None:
        yield "history", parts.exporter.run
    if parts.ticks is not None:
        yield "schedules", Armer(node, parts.ticks).run
        if parts.ticks.queues:
            ticks = tick_consumer(node, parts.ticks, width=width)
            yield ticks.name, ticks.run


def client_area(parts: Parts, settings: Settings, blueprints: Sequence[Blueprint]) -> ClientArea:
    """The objects that answer clients and operators."""
    callers, queries = Callers(parts.access), parts.queries
    sources = Sources(
        queries=queries,
        presence=parts.presence,
        pauses=parts.pauses,
        parked=partial(parked, parts.node.store, parts.decider.editions),
        schedules=partial(_planned, parts.ticks),
        explain=Explain(parts.node, queries, parts.offers),
        standing=parts.standing,
    )
    jobs = ClientApi(
        callers=callers,
        submit=parts.submit,
        queries=queries,
        control=parts.control,
        clock=parts.node.clock,
        detailed=settings.http.detailed,
    )
    operator = Operator(parts.node, parts.writer, queries, parts.webhooks)
    return ClientArea(
        jobs=jobs,
        following=FollowApi(callers, queries, parts.node.clock),
        approvals=ApprovalApi(callers, parts.approvals, queries),
        operator=OperatorApi(callers, operator, parts.pauses, [each.name for each in blueprints]),
        blueprints=BlueprintApi(blueprints, callers.client_of),
        overview=OverviewApi(callers, sources, blueprints),
        workers=WorkerApi(callers, parts.presence, parts.workers.reload, parts.node.names.token),
        files=FilesApi(callers, queries, parts.files.files, parts.files.links),
    )


async def _planned(ticks: Ticks | None) -> Sequence[Planned]:
    return () if ticks is None else await ticks.schedules()
