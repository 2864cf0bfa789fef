"""How workers stand with this node: what they hold, and what their results say of them."""

from avtomatika.commands.fleet import Fleet
from avtomatika.commands.reputations import Reputations
from avtomatika.kernel.model import Report
from avtomatika.matching.reputation import ReputationRules
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import MessageId


class Standing:
    """The fleet, and the reputation of each worker in it."""

    def __init__(self, node: NodeContext, rules: ReputationRules) -> None:
        self._clock = node.clock
        self.fleet = Fleet(self.reputation)
        self.reputations = Reputations(node.store.shelf, node.clock, rules, self.fleet.changed)

    def reputation(self, worker_id: str) -> float:
        """What the worker is worth, from 0 to 1."""
        return self.reputations.of(worker_id)

    def load(self, worker_id: str) -> int:
        """How many tasks the worker holds."""
        member = self.fleet.get(worker_id)
        return 0 if member is None else member.load(self._clock.now())

    async def reported(self, report: Report, message: MessageId) -> None:
        """A result was accepted: the worker does not hold the task any more, and is known better."""
        self.fleet.let_go(report.worker, message)
        await self.reputations.reported(report)
