"""What happened to jobs, as it is kept: facts, and facts on their way to the history outside."""

from avtomatika.kernel.events import Event
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Status, Value
from avtomatika.kernel.time import Instant


class Fact(Value, frozen=True):
    """One event that moved a job to `version`. The facts of a job are its history, without a gap."""

    job: JobId
    version: int
    at: Instant
    event: Event


class Standing(Value, frozen=True):
    """Where a fact left its job."""

    state: str
    status: Status


class Record(Value, frozen=True):
    """Facts of one job to be written to the history outside, once more beside the facts of the job.

    `after` tells where each of them left the job, which belongs to `client` and runs `blueprint`.
    """

    facts: tuple[Fact, ...]
    after: tuple[Standing, ...] = ()
    client: str = ""
    blueprint: str = ""
