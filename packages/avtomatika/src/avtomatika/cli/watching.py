"""Following a job until it is over, also through a restart of the orchestrator."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from avtomatika.cli.connection import Connection
from avtomatika.cli.refusal import Answered, Unreachable
from avtomatika.cli.screen import Bar, is_over

GLANCE: Final = 0.2
"""How many seconds the orchestrator may keep back an answer while there is progress to show."""
AWAY: Final = 60.0
"""How many seconds the orchestrator may be away before we give up: the job does not mind."""
PAUSE: Final = 0.25


def follow(connection: Connection, job_id: str) -> Mapping[str, Any]:
    """The job, which is over; meanwhile its progress was on the screen. Raises Refusal."""
    bar = Bar()
    try:
        for job in views(connection, job_id, bar.note):
            if is_over(job):
                return job
            bar.show(job)
        raise AssertionError("views of a job end with its last")
    finally:
        bar.clear()


def views(connection: Connection, job_id: str, note: Callable[[str], None]) -> Iterator[Mapping[str, Any]]:
    """The job as it stands, several times a second, the last time when it is over. Raises Refusal."""
    job: Mapping[str, Any] = connection.job(job_id)
    yield job
    while not is_over(job):
        job = patiently(lambda: connection.job(job_id, wait=str(GLANCE)), note)
        yield job


def patiently(ask: Callable[[], Mapping[str, Any]], note: Callable[[str], None]) -> Mapping[str, Any]:
    """What *ask* gets, for as long as need be while the orchestrator restarts. Raises Refusal."""
    away_since: float | None = None
    while True:
        try:
            return ask()
        except (Unreachable, Answered) as error:
            if isinstance(error, Answered) and error.status != 503:
                raise
            if away_since is None:
                away_since = time.monotonic()
                note("The orchestrator is away; the job goes on when it is back.")
            if time.monotonic() - away_since > AWAY:
                raise
            time.sleep(PAUSE)
