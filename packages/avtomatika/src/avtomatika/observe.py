"""What the system says of itself: one structured log line an event, through the standard logging.

Metrics are made of the same events: whoever listens hears all of them, whatever the level of the log.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

Listener = Callable[[str, Mapping[str, object]], None]

_LOG: Final = logging.getLogger("avtomatika")
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """The listener hears of every event of the process from now on, once, and must not raise."""
    if listener not in _listeners:
        _listeners.append(listener)


def measured(name: str, **fields: object) -> None:
    """The event is told to the listeners; it is never on the log."""
    _tell(name, fields)


def event(name: str, **fields: object) -> None:
    """The event *name* (a dotted noun) with *fields* is on the log at level INFO."""
    _tell(name, fields)
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info("%s %s", name, _text(fields))


def detail(name: str, **fields: object) -> None:
    """The event is on the log at level DEBUG: what happens too often for everyday."""
    _tell(name, fields)
    if _LOG.isEnabledFor(logging.DEBUG):
        _LOG.debug("%s %s", name, _text(fields))


def warning(name: str, **fields: object) -> None:
    """The event is on the log at level WARNING."""
    _tell(name, fields)
    _LOG.warning("%s %s", name, _text(fields))


def failure(name: str, error: BaseException, **fields: object) -> None:
    """The event is on the log at level ERROR with the trace of *error*."""
    _tell(name, fields)
    _LOG.error("%s %s", name, _text(fields), exc_info=error)


def _tell(name: str, fields: Mapping[str, object]) -> None:
    for listener in _listeners:
        listener(name, fields)


def _text(fields: Mapping[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in fields.items())
