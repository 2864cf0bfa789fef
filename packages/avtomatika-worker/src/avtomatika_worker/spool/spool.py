"""Where results wait for their acknowledgement, so that a restart of the worker does not lose them."""

from typing import Protocol

import msgspec

from rxon.messages import TaskResult

__all__ = ["NoSpool", "Spool", "Spooled"]


class Spooled(msgspec.Struct, frozen=True, omit_defaults=True):
    """A result, and the orchestrator ``to`` which it belongs; its lease was for ``lease`` seconds."""

    to: str
    result: TaskResult
    lease: float | None = None


class Spool(Protocol):
    """Keeps results. No verb raises: a worker whose disk is full works on without."""

    def put(self, spooled: Spooled) -> None:
        """The next process with this spool finds the result, however this one ends."""
        ...

    def done(self, to: str, task_id: str) -> None:
        """The result need not be kept any more; ``flush`` says so on the disk."""
        ...

    def flush(self) -> None:
        """The next process does not find what is done."""
        ...

    def close(self) -> None:
        """Another process may use the spool."""
        ...


class NoSpool:
    """Keeps nothing."""

    def put(self, spooled: Spooled) -> None:
        """Nothing is kept."""

    def done(self, to: str, task_id: str) -> None:
        """Nothing was kept."""

    def flush(self) -> None:
        """There is nothing to write."""

    def close(self) -> None:
        """There is nothing to close."""
