"""Whether what a server keeps hangs together: no half of a job, nothing in it that is of another past."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from avtomatika.kernel.ids import JobId, opened_by
from avtomatika.kernel.machine import replay
from avtomatika.kernel.model import Branch, Gathering, Job
from avtomatika.kernel.time import Instant
from avtomatika.ports.store import Lease, Message, MessageId, Token
from avtomatika.stores.codec import decode_branch, decode_fact, decode_job
from avtomatika.stores.redis.lists import names, place
from avtomatika.stores.redis.moments import moment, text
from avtomatika.stores.redis.packing import claim_of, message_of
from avtomatika.testing.armed import check_armed
from avtomatika.testing.message_ledger import Held
from tests.e2e.failover.image import Hash, Image

Faults = Iterator[str]
Named = dict[str, set[bytes]]


class Audit:
    """What an image holds, decoded. *known* are versions of jobs whose facts were replayed before."""

    def __init__(self, image: Image, known: dict[JobId, int]) -> None:
        self._image, self._known = image, known
        self.jobs = {JobId(name): decode_job(row["h"], row["d"]) for name, row in image.hashes("j:")}
        self._messages = {name: _held(name, row) for name, row in image.hashes("m:")}
        self._of_job: dict[JobId, dict[MessageId, Held]] = defaultdict(dict)
        for held in self._messages.values():
            self._of_job[held.message.job][held.message.id] = held

    def faults(self) -> Faults:
        """What does not hang together, in words that begin with what should be true."""
        for job in self.jobs.values():
            yield from self._row(job, self._image.hash(f"j:{job.id}"))
            yield from self._facts(job)
            yield from self._armed(job)
        yield from self._orphans()
        yield from self._lists()
        yield from self._counts()
        yield from self._claims()
        yield from self._queues()

    def _row(self, job: Job, row: Hash) -> Faults:
        ended = text(job.updated) + job.id if job.over else ""
        said = str(job.version), job.client, job.status.value, place(job), ended
        if said != tuple(row[field].decode() for field in "vcsku") or row["x"] != names(job):
            yield f"the fields of a job are those of its head: {job.id} {row}"

    def _facts(self, job: Job) -> Faults:
        found = self._image.order(f"f:{job.id}")
        if sorted(found.values()) != [*range(1, job.version + 1)]:
            yield f"the facts of a job are 1 to its version: {job.id} {job.version}: {sorted(found.values())}"
            return
        if self._known.get(job.id) == job.version:
            return
        facts = sorted(map(decode_fact, found), key=lambda fact: fact.version)
        if [fact.version for fact in facts] != sorted(found.values()):
            yield f"a fact is at the place of its version: {job.id}"
        elif replay((fact.event, fact.at) for fact in facts) != job:
            yield f"its facts give the job: {job.id} {job.version}"
        else:
            self._known[job.id] = job.version

    def _armed(self, job: Job) -> Faults:
        wrong: list[str] = []
        present, branches = self._of_job.get(job.id, {}), self._branches(job)
        check_armed(job, present, branches, lambda rule, detail: wrong.append(f"{rule}: {detail}"))
        yield from wrong

    def _branches(self, job: Job) -> list[Branch]:
        if not isinstance(job.phase, Gathering):
            return []
        rows = self._image.hash(f"b:{job.id}").values()
        found = map(decode_branch, rows)
        return [branch for branch in found if opened_by(branch.task.id)[1] == job.phase.opened]

    def _orphans(self) -> Faults:
        for held in self._messages.values():
            if held.message.job and held.message.job not in self.jobs:
                yield f"a message belongs to a job: {held.message}"
        for family in ("f:", "b:"):
            of = (self._image.orders if family == "f:" else self._image.hashes)(family)
            for job, _ in of:
                if job not in self.jobs:
                    yield f"facts and branches belong to a job: {family}{job}"

    def _lists(self) -> Faults:
        expected: Named = defaultdict(set)
        for job in self.jobs.values():
            for name in msgspec.msgpack.decode(names(job), type=list[str]):
                expected[name].add(place(job).encode())
        found = {name: set(order) for name, order in self._image.orders("x:")}
        yield from _differences("a list holds the jobs that are in it", expected, found)
        ended = {(text(job.updated) + job.id).encode() for job in self.jobs.values() if job.over}
        if set(self._image.order("e")) != ended:
            yield f"who is over will be forgotten: {set(self._image.order('e')) ^ ended}"

    def _counts(self) -> Faults:
        expected: dict[str, Counter[str]] = defaultdict(Counter)
        for job in self.jobs.values():
            expected["t"][job.status.value] += 1
            expected[f"t:{job.client}"][job.status.value] += 1
        for name, row in [("t", self._image.hash("t")), *self._image.hashes("t:")]:
            key = name if name == "t" else f"t:{name}"
            counted = {status: int(number) for status, number in row.items()}
            if counted != expected.pop(key, Counter()):
                yield f"counts are those of the jobs: {key} {counted}"
        if any(expected.values()):
            yield f"counts are those of the jobs: {dict(expected)} is not counted"

    def _claims(self) -> Faults:
        ends: set[bytes] = set()
        for key, value in self._image.texts("c:"):
            claim = claim_of(key, value)
            ends.add((text(claim.expires_at) + key).encode())
            if claim.job not in self.jobs:
                yield f"a claim is of a job: {claim}"
        if set(self._image.order("ce")) != ends:
            yield f"claims end: {set(self._image.order('ce')) ^ ends}"

    def _queues(self) -> Faults:
        places: dict[str, Named] = {order: defaultdict(set) for order in "irahl"}
        for name, held in self._messages.items():
            row, queue = self._image.hash(f"m:{name}"), held.message.queue
            places["i"][queue].add(name.encode())
            for order in "ra" if row["w"] == b"r" else row["w"].decode():
                places[order][queue].add(row["k"])
        for order, expected in places.items():
            found = {name: set(members) for name, members in self._image.orders(f"{order}:")}
            yield from _differences(f"order {order} holds its messages", expected, found)
        if {queue.decode() for queue in self._image.order("q")} != set(places["i"]):
            yield f"queues that hold messages are listed: {self._image.order('q')}"


def _held(name: str, row: Hash) -> Held:
    message: Message = message_of((name.encode(), row["q"], row["j"], row["v"], row["b"], row["p"]))
    if "t" not in row:
        return Held(message)
    until: Instant = moment(row["u"])
    return Held(message, Lease(message, row["o"].decode(), Token(row["t"].decode()), until, int(row["c"])))


def _differences(rule: str, expected: Named, found: Named) -> Faults:
    for name in expected.keys() | found.keys():
        if expected.get(name, set()) != found.get(name, set()):
            yield f"{rule}: {name} {found.get(name)}, not {expected.get(name)}"
