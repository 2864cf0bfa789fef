"""What each party of a run writes down, as lines of JSON. `t` is in seconds of the machine's monotonic clock.

A line is written by the party that saw it, when it saw it. `began` is when what it tells of began: the truth
lies between the two.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", tag=str.lower, omit_defaults=True):
    """Something that was seen."""

    t: float


class Request(Line, frozen=True, kw_only=True):
    """A client asked a node for something; `status` is 0 when there was no answer.

    `key` is the client's own name of the job, and its Idempotency-Key.
    """

    began: float
    verb: str
    key: str
    node: str
    status: int
    kind: str = ""
    n: int = 0
    job: str = ""
    code: str = ""
    shown: str = ""
    version: int = 0


class Offer(Line, frozen=True, kw_only=True):
    """A worker was given a task, for a lease that is renewed by heartbeats."""

    began: float
    worker: str
    node: str
    job: str
    task: str
    token: str


class Began(Line, frozen=True, kw_only=True):
    """A handler has begun."""

    worker: str
    task: str


class Ended(Line, frozen=True, kw_only=True):
    """A handler has come to its end."""

    worker: str
    task: str


class Report(Line, frozen=True, kw_only=True):
    """A worker has reported a result; `verdict` is empty when there was no answer."""

    began: float
    worker: str
    node: str
    task: str
    token: str
    verdict: str = ""
    duplicate: bool = False
    why: str = ""


class Beat(Line, frozen=True, kw_only=True):
    """A heartbeat that listed `held` was answered: the worker has them for a whole lease, but for `lost`."""

    began: float
    worker: str
    node: str
    held: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


class Withdrawn(Line, frozen=True, kw_only=True):
    """A worker was told over a stream to stop."""

    worker: str
    tasks: tuple[str, ...]


class Delivery(Line, frozen=True, kw_only=True):
    """A webhook has arrived, and was answered so."""

    name: str
    job: str
    event: str
    sequence: int
    status: str
    digest: str
    answer: int


class Fault(Line, frozen=True, kw_only=True):
    """Something was done to a party, from `t` until `until`. `skipped` tells why it was not."""

    until: float
    kind: str
    target: str
    detail: str = ""
    skipped: str = ""


class Up(Line, frozen=True, kw_only=True):
    """A node that was killed or stopped takes requests again."""

    node: str
    after: float


class Gone(Line, frozen=True, kw_only=True):
    """A process ended though nobody had touched it."""

    party: str
    code: int


class Silent(Line, frozen=True, kw_only=True):
    """A node did not answer an operator long after all faults had been taken back."""

    node: str
    why: str


class Complaint(Line, frozen=True, kw_only=True):
    """A node has written something that nobody foresaw into its log."""

    node: str
    text: str


class Mark(Line, frozen=True, kw_only=True):
    """A phase of the run has begun: `load`, `heal`, `settled`, `unsettled`, `end`."""

    name: str
    detail: str = ""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history of a job. `at` is the time of the store, in milliseconds since the epoch."""

    version: int
    at: int
    event: str
    status: str
    state: str
    before: str | None = None
    data: dict[str, Any] = {}


class Final(Line, frozen=True, kw_only=True):
    """A job as the API showed it in the end, with all of its facts."""

    id: str
    status: str
    version: int
    blueprint: str
    labels: dict[str, str] = {}
    source: str = ""
    parent: str = ""
    result: Any = None
    error: str = ""
    facts: tuple[Fact, ...] = ()


AnyLine = (
    Request
    | Offer
    | Began
    | Ended
    | Report
    | Beat
    | Withdrawn
    | Delivery
    | Fault
    | Up
    | Gone
    | Silent
    | Complaint
    | Mark
    | Final
)

_decoder = msgspec.json.Decoder(AnyLine)
_encoder = msgspec.json.Encoder()


class Journal:
    """A file that lines are added to. Each is there when `add` returns, whatever becomes of the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, line: Line) -> None:
        """The line is in the file."""
        os.write(self._file, _encoder.encode(line) + b"\n")


def now() -> float:
    """The clock that all parties share."""
    return time.monotonic()


def read(folder: Path, files: str = "*.jsonl") -> Iterator[AnyLine]:
    """Every line of every party, in no order."""
    for path in sorted(folder.glob(files)):
        for line in path.read_bytes().splitlines():
            yield _decoder.decode(line)
