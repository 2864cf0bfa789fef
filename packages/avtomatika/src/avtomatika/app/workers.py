"""The parts that workers talk to."""

from collections.abc import Awaitable, Callable

import msgspec

from avtomatika import observe
from avtomatika.commands.access import Access
from avtomatika.commands.admission import Admission
from avtomatika.commands.desk import Desk
from avtomatika.commands.gateway import Gateway
from avtomatika.commands.offers import Offers
from avtomatika.commands.passes import Passes
from avtomatika.commands.presence import Presence
from avtomatika.commands.results import Results
from avtomatika.commands.translation import Terms
from avtomatika.kernel.effects import OfferTask
from avtomatika.ports.node import NodeContext
from avtomatika.ports.registry import Registry
from avtomatika.settings import Settings
from avtomatika.settings.workers import read_tokens


class Behind(msgspec.Struct, frozen=True):
    """What the worker side stands on."""

    access: Access
    registry: Registry
    presence: Presence
    offers: Offers
    results: Results
    whole: Callable[[OfferTask], Awaitable[OfferTask]] | None = None


class WorkerSide(msgspec.Struct, frozen=True):
    """Who answers workers, and how their tokens are read again."""

    gateway: Gateway
    desk: Desk
    reload: Callable[[], None]


def worker_side(node: NodeContext, settings: Settings, behind: Behind) -> WorkerSide:
    """The worker side, which knows the tokens of the file. Raises ConfigError."""
    roll, wanted = behind.access.roll, settings.workers

    def reload() -> None:
        tokens = read_tokens(wanted.tokens)
        roll.replace(tokens)
        observe.event("workers.loaded", tokens=len(tokens))

    reload()
    passes = Passes(node, behind.registry, roll, wanted.access_life)
    gateway = Gateway(
        node,
        admission=Admission(roll, passes, node.clock, signed=wanted.signed, proof=settings.http.tls.proof),
        presence=behind.presence,
        offers=behind.offers,
        results=behind.results,
        terms=Terms(settings.longest_poll, wanted.task_key, behind.whole, wanted.events),
    )
    desk = Desk(
        node.clock,
        gateway=gateway,
        presence=behind.presence,
        results=behind.results,
        passes=passes,
    )
    return WorkerSide(gateway, desk, reload)
