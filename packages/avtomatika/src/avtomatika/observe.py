"""What the system says of itself: one structured log line an event, through the standard logging."""

import logging
from typing import Final

_LOG: Final = logging.getLogger("avtomatika")


def event(name: str, **fields: object) -> None:
    """The event *name* (a dotted noun) with *fields* is on the log at level INFO."""
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info("%s %s", name, " ".join(f"{key}={value}" for key, value in fields.items()))


def detail(name: str, **fields: object) -> None:
    """The event is on the log at level DEBUG: what happens too often for everyday."""
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s %s", name, " ".join(f"{key}={value}" for key, value in fields.items()))


def warning(name: str, **fields: object) -> None:
    """The event is on the log at level WARNING."""
    _LOG.warning("%s %s", name, " ".join(f"{key}={value}" for key, value in fields.items()))


def failure(name: str, error: BaseException, **fields: object) -> None:
    """The event is on the log at level ERROR with the trace of *error*."""
    _LOG.error("%s %s", name, " ".join(f"{key}={value}" for key, value in fields.items()), exc_info=error)
