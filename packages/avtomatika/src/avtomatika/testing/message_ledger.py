"""An account of messages and leases, kept beside the store's own and stricter than it."""

from collections.abc import Iterable, Mapping

from avtomatika.kernel.effects import OfferTask
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Commit, Lease, Message, MessageId
from avtomatika.testing.holding import Holding
from avtomatika.testing.violations import Log, Violated


class Held:
    """A message: its lease if it was ever given, and how often it was. `before` are those before that,
    `unrest` how many disturbances there had been when it was given.
    """

    __slots__ = ("before", "delivery", "lease", "message", "unrest")

    def __init__(self, message: Message, lease: Lease | None = None, delivery: int = 0) -> None:
        self.message, self.lease, self.delivery = message, lease, delivery
        self.before: dict[str, Lease] = {}
        self.unrest = 0


class MessageLedger:
    """Which messages there are, by the commits and leases that were heard of.

    A store that writes commits while it grants leases is not `exact`: a commit is judged when it is on its
    way, and by the time it takes effect its lease may have run out and its message been given again.
    `unrest` counts what may keep a node from doing its work in time, `slow` the calls that take long now.
    """

    def __init__(self, violated: Violated, log: Log, holding: Holding) -> None:
        self._violated, self._log, self._holding = violated, log, holding
        self.exact = True
        self.unrest = 0
        self.slow = 0
        self._latest = Instant(0)
        self._messages: dict[MessageId, Held] = {}
        self._of_job: dict[JobId, dict[MessageId, Held]] = {}

    def of_job(self, job: JobId) -> Mapping[MessageId, Held]:
        """The messages of the job."""
        return self._of_job.get(job, {})

    def get(self, name: MessageId) -> Held | None:
        """The message of that name, if it is there."""
        return self._messages.get(name)

    def exchanged(self, commit: Commit) -> list[JobId]:
        """The commit took messages away and brought others; the jobs whose messages those are."""
        touched: dict[JobId, None] = {} if commit.job is None else {commit.job.id: None}
        for lease in commit.ack:
            self.check(lease, commit.now, "acknowledged")
        for name in (*(lease.message.id for lease in commit.ack), *commit.drop):
            gone = self._messages.pop(name, None)
            if gone is not None:
                if gone.lease is None:
                    self._holding.waited(gone.message, gone.message.visible_at, commit.now)
                touched[gone.message.job] = None
                self._of_job[gone.message.job].pop(name, None)
        for message in commit.send:
            touched[message.job] = None
            self.put(Held(message))
        for lease in commit.take:
            touched[lease.message.job] = None
            self.put(Held(lease.message, lease, lease.delivery))
        return list(touched)

    def waiting_in(self, *queues: str) -> bool:
        """True when one of the queues holds messages."""
        return any(held.message.queue in queues for held in self._messages.values())

    def in_queue(self, queue: str) -> set[MessageId]:
        """The names of the messages in the queue."""
        return {name for name, held in self._messages.items() if held.message.queue == queue}

    def put(self, held: Held) -> None:
        """The message is there, in place of another of its name."""
        message = held.message
        self._messages[message.id] = held
        self._of_job.setdefault(message.job, {})[message.id] = held

    def replace_all(self, messages: Iterable[Held]) -> None:
        """These messages are there and no others."""
        self._messages, self._of_job = {}, {}
        for held in messages:
            self.put(held)

    def granted(self, leases: Iterable[Lease], now: Instant) -> None:
        """The store has leased these messages."""
        latest = self._latest = max(self._latest, now)
        for lease in leases:
            message = lease.message
            self._log("lease", message.id, lease.owner, lease.delivery)
            held = self._messages.get(message.id)
            if held is None or held.message != message:
                if self.exact:
                    self._violated("a lease is of a message that is there", lease)
                continue
            if held.lease is not None and held.lease.until > latest:
                self._violated("one lease holder at a time", f"{held.lease}, then {lease} at {now}")
            if lease.delivery != held.delivery + 1:
                self._violated("deliveries count grants", f"after {held.delivery}: {lease}")
            if message.visible_at > latest:
                self._violated("nothing comes before its time", f"{lease} at {now}")
            self._check_given_back(held)
            self._check_waiting(held, now)
            if held.lease is not None:
                held.before[held.lease.token] = held.lease
            held.lease, held.delivery = lease, lease.delivery
            held.unrest = self.unrest

    def _check_waiting(self, held: Held, now: Instant) -> None:
        last, since = held.lease, held.message.visible_at
        if last is not None:
            self._holding.lapsed(last)
            since = max(since, last.until)
        self._holding.waited(held.message, since, now)

    def _check_given_back(self, held: Held) -> None:
        """A node that leases a task for a worker hands it over or gives it back, if nothing disturbs it."""
        last = held.lease
        if (
            last is not None
            and last.token
            and last.owner.startswith("node:")
            and isinstance(held.message.body, OfferTask)
            and held.unrest == self.unrest
            and not self.slow
        ):
            self._violated("a task that no worker got is given back", last)

    def extended(self, lease: Lease, longer: Lease, now: Instant) -> None:
        """The store has extended a lease."""
        held = self.check(lease, now, "extended")
        if held is not None:
            held.lease = longer

    def check(self, lease: Lease, now: Instant, verb: str) -> Held | None:
        """The message of a lease that stands; a violation and None for another lease."""
        self._latest = max(self._latest, now)
        held = self._messages.get(lease.message.id)
        current = None if held is None else held.lease
        if held is not None and not self.exact:
            current = held.before.get(lease.token, current)
        if current is None or current.token != lease.token or current.until <= now:
            self._violated(f"only a lease that stands is {verb}", f"{lease} at {now}, but {current}")
            return None
        return held
