"""Tasks find workers: a worker that asks leases from the classes it may have, or waits parked.

Late binding (architecture 5.8.1): a task waits in the queue of its class until a worker asks, so that no
idle worker starves beside a loaded one. Of those that are parked the best has it. One that others are
preferred to gets it when it has waited for `spill_after`, or when they are saturated (5.8.2).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from avtomatika import observe
from avtomatika.commands.apply import Writer
from avtomatika.commands.classes import Classes
from avtomatika.commands.fleet import Fleet, Member, Parked, Wanted, owner_of
from avtomatika.commands.grants import Grants
from avtomatika.commands.placement_class import PlacementClass
from avtomatika.errors import Unavailable
from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.matching.placement import FAMILY
from avtomatika.matching.strategies import DispatchRules
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Lease, Message

T = TypeVar("T")

LOOK_AGAIN: Final = SECOND

__all__ = ["Offers", "Wanted", "owner_of"]


class _Line(msgspec.Struct, frozen=True):
    """A queue of tasks, the class that they are of, and the worker that failed at them."""

    queue: str
    members: PlacementClass
    avoid: str


class Offers:
    """The meeting place of tasks and workers on this node."""

    def __init__(
        self,
        node: NodeContext,
        writer: Writer,
        lease_ttl: Span,
        fleet: Fleet | None = None,
        rules: DispatchRules | None = None,
    ) -> None:
        """*fleet* are the workers that this node knows; without it those that ask here."""
        self._store, self._clock, self._spawn = node.store, node.clock, node.spawn
        self._owner = node.owner
        self.lease_ttl = lease_ttl
        self.fleet = fleet or Fleet()
        self.rules = rules or DispatchRules()
        self.classes = Classes(self.fleet, self.rules, node.clock)
        self._grants = Grants(node, writer)
        self._places = 0
        self._parked = 0
        self._kept_for_others = False
        self._serves_soon = False
        self._somebody = asyncio.Event()
        self._closed = False

    async def take(self, wanted: Wanted, until: Instant) -> Sequence[Lease]:
        """Tasks that the worker now holds; none when none came until then, or the node is draining."""
        member = self.fleet.asks(wanted.worker, self._clock.now())
        while True:
            leases, look_again = await self._lease(wanted, member)
            if not leases and not self._closed and self._clock.now() < until:
                leases = await self._park(wanted, member, until, look_again)
                if not leases:
                    return ()
            try:
                begun = await self._grants.begin(leases, wanted, member)
            except asyncio.CancelledError:
                for lease in leases:
                    member.let_go(lease.message.id)
                await self.release(leases)
                raise
            finally:
                member.asked = self._clock.now()
            if begun and self._kept_for_others:
                self._serve_soon()  # whom tasks were kept for may be saturated now
            if begun or not leases:
                return begun

    async def release(self, leases: Iterable[Lease]) -> None:
        """The messages are available again, as if these leases had never been granted."""
        await self._grants.give_back(leases)
        await self.serve()

    async def serve_for_ever(self) -> None:
        """Parked workers get tasks as they come, until this is cancelled."""
        while True:
            try:
                due = await self.serve()
                if self._parked:
                    await self._store.wait((FAMILY,), until=due)
                else:
                    self._somebody.clear()
                    await self._somebody.wait()
            except Unavailable as error:
                observe.warning("offers.paused", why=error.message)
                await self._clock.sleep_until(after(self._clock.now(), LOOK_AGAIN))

    def _serve_soon(self) -> None:
        """Parked workers are served once more. Not by the request: it may end while others get a task."""
        if not self._serves_soon:
            self._serves_soon = True
            self._spawn(self._serve_once(), name="serve parked workers")

    async def _serve_once(self) -> None:
        self._serves_soon = False
        await self.serve()

    async def serve(self) -> Instant:
        """Every task that a parked worker may have now is its; the time to look again at the latest."""
        look_again = after(self._clock.now(), LOOK_AGAIN)
        self._kept_for_others = False
        if not self._parked:
            return look_again
        queues = await self._store.queues(FAMILY)
        self.classes.forget(queues)
        for line in self._turned(self._lines(queues)):
            if line.members.waits():
                due = await self._hand_out(line)
                look_again = look_again if due is None else min(look_again, due)
        return look_again

    def close(self) -> None:
        """Nobody is parked any more; whoever asks from now on is answered at once."""
        self._closed = True
        for member in self.fleet.everyone():
            for parked in member.parked.values():
                _settle(parked, ())

    def _lines(self, queues: Mapping[str, Message]) -> list[_Line]:
        lines: list[_Line] = []
        for queue, sample in queues.items():
            members = self.classes.of(queue, sample)
            if members is not None:
                body = sample.body
                lines.append(_Line(queue, members, body.task.avoid if isinstance(body, OfferTask) else ""))
        return lines

    def _turned(self, listed: list[T]) -> list[T]:
        """The same from another one on each time: no class waits behind another for ever."""
        if not listed:
            return listed
        self._places += 1
        turn = self._places % len(listed)
        return [*listed[turn:], *listed[:turn]]

    async def _hand_out(self, line: _Line) -> Instant | None:
        """The parked workers have what they may have; when there may be more, None when nothing tells."""
        members = line.members
        while True:
            due, now = await self._store.next_due(line.queue), self._clock.now()
            if due is None or due > now:
                return due
            chosen = members.best(now, line.avoid)
            if chosen is None:
                return None
            parked = chosen.parked
            if self._is_kept(line, parked.member, now) and not self._is_spilled(line, parked.member, due):
                members.park(parked, now)
                self._kept_for_others = True
                return after(due, self.rules.spill_after) if self.rules.stealing or line.avoid else None
            limit = parked.wanted.limit if chosen.alone else 1
            leases = await self._store.lease(
                (line.queue,), owner=self._owner, now=self._clock.now(), ttl=self.lease_ttl, limit=limit
            )
            if parked.answer.done():
                await self.release(leases)
            elif leases:
                self.fleet.given(parked.member)
                _settle(parked, leases)
            else:
                members.park(parked, now)
                return None

    def _is_kept(self, line: _Line, member: Member, now: Instant) -> bool:
        """True while tasks of the line are for others."""
        worker = member.profile.id
        if worker == line.avoid:
            return line.members.others(worker, now)
        return line.members.is_for_another(member, now)

    def _is_spilled(self, line: _Line, member: Member, due: Instant) -> bool:
        """True when a task that is due since then has waited for others long enough."""
        if not self.rules.stealing and member.profile.id != line.avoid:
            return False
        return self._clock.now() >= after(due, self.rules.spill_after)

    async def _lease(self, wanted: Wanted, member: Member) -> tuple[Sequence[Lease], Instant | None]:
        """What the worker may have at once; and when it may have what others should have first."""
        lines = self._lines(await self._store.queues(FAMILY))
        queues: list[str] = []
        worker, now, look_again = wanted.worker.id, self._clock.now(), list[Instant]()
        for line in lines:
            members = line.members
            if not members.admits(worker) or not wanted.includes(members.order.skill):
                continue
            less = members.prefers_who_waits(member, now)
            if less or worker == line.avoid or members.prefers_anybody_to(worker):
                due = await self._store.next_due(line.queue)
                if due is None or due > now:
                    continue
                if less or (self._is_kept(line, member, now) and not self._is_spilled(line, member, due)):
                    look_again.append(now if less else after(due, self.rules.spill_after))
                    continue
            queues.append(line.queue)
        if not queues:
            return (), min(look_again, default=None)
        leases = await self._store.lease(
            self._turned(queues),
            owner=self._owner,
            now=self._clock.now(),  # much time may have passed while the store was asked what there is
            ttl=self.lease_ttl,
            limit=wanted.limit,
        )
        if leases:
            self.fleet.given(member)
        return leases, min(look_again, default=None)

    async def _park(
        self, wanted: Wanted, member: Member, until: Instant, look_again: Instant | None
    ) -> Sequence[Lease]:
        loop = asyncio.get_running_loop()
        self._places += 1
        parked = Parked(self._places, wanted, member, loop.create_future())
        member.parked[parked.place] = parked
        self._parked += 1
        self.classes.park(parked)
        self._somebody.set()
        now = self._clock.now()
        alarms = [loop.call_later((until - now) / 1_000, _settle, parked, ())]
        if look_again is not None:
            alarms.append(loop.call_later(max(0, look_again - now) / 1_000, self._serve_soon))
        try:
            return await parked.answer
        except asyncio.CancelledError:
            if parked.answer.done() and not parked.answer.cancelled():
                await self.release(parked.answer.result())
            raise
        finally:
            for alarm in alarms:
                alarm.cancel()
            self._parked -= 1
            del member.parked[parked.place]


def _settle(parked: Parked, leases: Sequence[Lease]) -> None:
    if not parked.answer.done():
        parked.answer.set_result(leases)
