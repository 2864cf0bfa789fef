"""The placement classes that this node knows, by queue and by skill."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from avtomatika.commands.fleet import Fleet, Member, Parked
from avtomatika.commands.placement_class import PlacementClass
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.model import Order
from avtomatika.matching.placement import class_of
from avtomatika.matching.strategies import DispatchRules
from avtomatika.ports.clock import Clock
from avtomatika.ports.store import Message

KEPT: Final = 256
"""So many classes are remembered although no task of theirs waits."""


class Classes:
    """Made when a task of the class is first seen, kept right as workers change, forgotten when many."""

    def __init__(self, fleet: Fleet, rules: DispatchRules, clock: Clock) -> None:
        self._fleet, self._rules, self._clock = fleet, rules, clock
        self._by_queue: dict[str, PlacementClass] = {}
        self._by_name: dict[str, PlacementClass] = {}
        self._by_skill: dict[str, dict[str, PlacementClass]] = {}
        fleet.listen(self._changed)

    def of(self, queue: str, sample: Message) -> PlacementClass | None:
        """The class of the tasks in the queue, which *sample* is one of."""
        known = self._by_queue.get(queue)
        if known is None and isinstance(sample.body, OfferTask):
            known = self._by_queue[queue] = self.of_order(sample.body.task.order)
        return known

    def of_order(self, order: Order) -> PlacementClass:
        """The class of the order."""
        name = class_of(order)
        known = self._by_name.get(name)
        if known is None:
            known = self._by_name[name] = PlacementClass(order, self._fleet, self._rules)
            self._by_skill.setdefault(order.skill, {})[name] = known
        return known

    def park(self, parked: Parked) -> None:
        """The worker waits for what it asks for."""
        now = self._clock.now()
        for each in self._with(parked.member.profile.skills):
            each.park(parked, now)

    def forget(self, queues: Collection[str]) -> None:
        """Classes of other queues than these are no longer known, if there are many."""
        if len(self._by_queue) <= KEPT or len(self._by_queue) <= 2 * len(queues):
            return
        self._by_queue = {queue: each for queue, each in self._by_queue.items() if queue in queues}
        needed = {id(each) for each in self._by_queue.values()}
        for name, each in list(self._by_name.items()):
            if id(each) not in needed:
                del self._by_name[name]
                of_skill = self._by_skill[each.order.skill]
                del of_skill[name]
                if not of_skill:
                    del self._by_skill[each.order.skill]

    def _changed(self, member: Member, skills: Iterable[str]) -> None:
        now = self._clock.now()
        for each in self._with(skills):
            each.place(member, now)

    def _with(self, skills: Iterable[str]) -> Iterator[PlacementClass]:
        for skill in skills:
            if skill in self._by_skill:
                yield from self._by_skill[skill].values()
