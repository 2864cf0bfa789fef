"""Progress of long transfers, told as progress of the task."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from avtomatika_worker.skills.teller import Tell, Told
from rxon.storage import Progress
from rxon.vocabulary import PROGRESS

__all__ = ["told_progress"]

_FIRST: Final = 2.0  # seconds
_LONGEST: Final = 60.0
_GROWTH: Final = 1.5


def told_progress(tell: Tell, doing: str, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Says how far a transfer is: nothing at first, then at intervals that grow to a minute.

    So a short transfer says nothing, and a long one does not use up the events that a task may have.
    """
    pause, due = _FIRST, clock() + _FIRST

    def progress(done: int, total: int | None) -> None:
        nonlocal pause, due
        now = clock()
        if now < due:
            return
        pause = min(pause * _GROWTH, _LONGEST)
        due = now + pause
        share = round(done / total, 4) if total else 0.0
        of = f" of {_mebibytes(total)}" if total else ""
        payload = {"progress": share, "message": f"{doing}: {_mebibytes(done)}{of} MiB"}
        tell(Told(PROGRESS, msgspec.Raw(msgspec.json.encode(payload))))

    return progress


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
