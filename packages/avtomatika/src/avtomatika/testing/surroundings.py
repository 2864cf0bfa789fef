"""What surrounds a simulated world: its disk, and whatever is logged or raised without being foreseen."""

import asyncio
import logging
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from avtomatika.stores.sql import group_commit
from avtomatika.testing.stage import Stage

LOGGERS: Final = ("avtomatika", "avtomatika_worker", "rxon")


class _Errors(logging.Handler):
    """What the system logs as an error that nobody foresaw is a finding."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(logging.ERROR)
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, asyncio.CancelledError):
            self._stage.ledger.violated("no error is unforeseen", f"{record.getMessage()}: {error!r}")


@contextmanager
def listening(stage: Stage) -> Generator[None]:
    """Errors in the log and in callbacks are findings; nothing else is logged."""
    handler, loggers = _Errors(stage), [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        logger.addHandler(handler)
    stage.loop.set_exception_handler(lambda _, context: _unforeseen(stage, context))
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def _unforeseen(stage: Stage, context: dict[str, Any]) -> None:
    """An error in a callback is a finding; one that nobody asked for, or of a closed file, is not."""
    if "handle" in context and not isinstance(context.get("exception"), sqlite3.ProgrammingError):
        stage.ledger.violated("no error is unforeseen", f"{context['message']}: {context['exception']!r}")


@contextmanager
def disk(stage: Stage) -> Generator[None]:
    """The disk is fast, or slow enough that every COMMIT runs beside the loop."""
    before = group_commit.SLOW_COMMIT_S
    slow = stage.options.slow_disk
    setattr(group_commit, "SLOW_COMMIT_S", 0.0 if slow else float("inf"))  # noqa: B010 - it is Final
    if slow:
        stage.loop.disk = stage.commit_time
    try:
        yield
    finally:
        setattr(group_commit, "SLOW_COMMIT_S", before)  # noqa: B010
