"""What one generation of servers understands, and how what it says is understood."""

from typing import Final, Protocol

from rxon.errors import RxonError
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, TaskOffer, TaskResult, WorkerEvent

__all__ = ["Speech", "Memory"]

MOST_NONCES: Final = 10_000


class Memory:
    """What is known about one server, whichever generation it is of.

    ``jobs`` are those of the tasks that the worker holds.
    """

    def __init__(self) -> None:
        self.registration: Registration | None = None
        self.jobs: dict[str, str] = {}
        self._nonces: dict[str, str] = {}

    def nonce(self, about: str, first: str) -> str:
        """That of the message ``about`` a task or an event: at first ``first``; then always the same."""
        return self._nonces.setdefault(about, first)

    def renew(self, about: str, nonce: str) -> None:
        """The next message about it is another one, as the server has judged the last one."""
        self._nonces[about] = nonce
        if len(self._nonces) > MOST_NONCES:
            del self._nonces[next(iter(self._nonces))]

    def forget(self, task_id: str) -> None:
        """The task is not held any more."""
        self.jobs.pop(task_id, None)
        self.settled(task_id)

    def settled(self, about: str) -> None:
        """There will be no message about it any more."""
        self._nonces.pop(about, None)


class Speech(Protocol):
    """Makes the bodies of requests. They raise ProtocolError and TooLargeError for what cannot be sent."""

    @property
    def batches(self) -> bool:
        """Whether several tasks and several results travel at once."""
        ...

    @property
    def forgets(self) -> bool:
        """Whether a server that does not know the worker lets it believe that all is well."""
        ...

    def registration(self, registration: Registration) -> bytes:
        """The worker introduces itself."""
        ...

    def heartbeat(self, beat: Heartbeat) -> bytes:
        """The worker is alive."""
        ...

    def result(self, result: TaskResult) -> bytes:
        """The task is over."""
        ...

    def event(self, event: WorkerEvent) -> bytes:
        """Something happened."""
        ...

    def offer(self, body: bytes) -> TaskOffer:
        """The task in ``body``, which the server has given away by now.

        Raises ProtocolError when there is no task in it.
        """
        ...

    def heard(self, answer: HeartbeatAnswer) -> HeartbeatAnswer:
        """What the server wants, in terms of tasks."""
        ...

    def repeated(self, error: RxonError) -> bool:
        """Whether ``error`` says that the same message had arrived before."""
        ...
