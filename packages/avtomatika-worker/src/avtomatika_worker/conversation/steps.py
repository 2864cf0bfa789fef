"""What a session can say is due, and how often."""

import msgspec

from rxon.messages import TaskResult
from rxon.transport import PollRequest

__all__ = ["Beat", "Pace", "Poll", "Register", "Report", "Wait"]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often, how long, how many times; durations in seconds."""

    heartbeat_interval: float = 15.0
    poll_timeout: float = 30.0
    idle_poll_delay: float = 0.01
    registration_initial: float = 1.0
    registration_maximum: float = 60.0
    poll_initial: float = 1.0
    poll_maximum: float = 60.0
    poll_factor: float = 2.0
    result_initial: float = 1.0
    result_retries: int = 5
    beat_debounce: float = 0.1
    beat_cooldown: float = 2.0
    rate_limit_floor: float = 30.0


class Wait(msgspec.Struct, frozen=True):
    """Nothing is due before ``until``, or before something changes."""

    until: float | None = None


class Register(msgspec.Struct, frozen=True):
    """Introduce the worker."""


class Poll(msgspec.Struct, frozen=True):
    """Ask for tasks."""

    request: PollRequest


class Beat(msgspec.Struct, frozen=True):
    """Say that the worker is alive and holds ``tasks``; with all its skills if ``full``."""

    tasks: tuple[str, ...]
    full: bool


class Report(msgspec.Struct, frozen=True):
    """Send ``results``."""

    results: tuple[TaskResult, ...]
