"""Facts as rows of the history outside: the one place that knows which columns a fact gives."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from avtomatika.kernel.decisions import Dispatch
from avtomatika.kernel.events import Decided, Event, TaskAccepted, TaskEvent, TaskReported, TaskSignalled
from avtomatika.kernel.ids import task_id
from avtomatika.kernel.model import Status
from avtomatika.ports.fact import Fact, Record, Standing
from avtomatika.ports.history import Row

_JSON: Final = msgspec.json.Encoder()
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_names: Final[dict[type[Event], str]] = {}


def rows(record: Record) -> Iterator[Row]:
    """One row for each fact of *record*."""
    for fact, after in zip(record.facts, record.after, strict=True):
        task, attempt = _task_of(fact, after)
        yield Row(
            job=fact.job,
            version=fact.version,
            at=fact.at,
            client=record.client,
            blueprint=record.blueprint,
            state=after.state,
            status=after.status.value,
            event_type=event_type(type(fact.event)),
            worker=_worker_of(fact.event),
            task=task,
            attempt=attempt,
            data=_JSON.encode(fact.event),
        )


def event_type(kind: type[Event]) -> str:
    """The name of this kind of event, in lower case: `task_reported` for TaskReported."""
    found = _names.get(kind)
    if found is None:
        found = _names[kind] = _WORD.sub("_", kind.__name__).lower()
    return found


def _task_of(fact: Fact, after: Standing) -> tuple[str | None, int | None]:
    """The task, and its attempt, that the fact is about: the decision that gave the order included."""
    event = fact.event
    if isinstance(event, TaskEvent):
        return event.task, event.attempt
    ordered = isinstance(event, Decided) and isinstance(event.decision, Dispatch)
    if ordered and after.status is Status.WAITING_FOR_WORKER:
        return task_id(fact.job, fact.version, 0), 1
    return None, None


def _worker_of(event: Event) -> str | None:
    match event:
        case TaskAccepted(worker=worker) | TaskSignalled(worker=worker):
            return worker
        case TaskReported(report=report):
            return report.worker or None
        case _:
            return None
