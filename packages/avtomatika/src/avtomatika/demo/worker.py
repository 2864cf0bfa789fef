"""The worker of the document pipeline: a program of its own, run as often as there is work to share.

It needs WORKER_TOKEN, and ORCHESTRATOR_URL unless that is http://localhost:8080.
"""

from typing import Any

import analysis
import collecting
import report
from avtomatika_worker import Worker
from avtomatika_worker.types import InvalidInputError, PermanentError

worker = Worker(worker_type="documents")


@worker.task("list_files")
def list_files(roots: list[str], suffixes: list[str], out: str) -> dict[str, Any]:
    """The files at and under the roots, without those that an earlier report left."""
    try:
        listing = collecting.find(roots, suffixes, out)
    except (ValueError, OSError) as error:
        raise InvalidInputError(f"The roots cannot be listed: {error}") from error
    return dict(listing)


@worker.task("analyse")
def analyse(file: analysis.File, bits: int) -> dict[str, Any]:
    """What can be said of one file."""
    try:
        return dict(analysis.analyse(file, bits))
    except OSError as error:
        raise PermanentError(f"cannot be read: {error.strerror}") from error


@worker.task("render")
def render(params: report.Contents) -> dict[str, Any]:
    """The report is in the folder, as a page for people and as JSON. Writing it twice is harmless."""
    return dict(report.write(params))


if __name__ == "__main__":
    worker.run()
