"""Results that wait to be reported to one orchestrator; no I/O, no clock."""

from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final

import msgspec

from avtomatika_worker.conversation.work import is_same_work, work_of
from rxon.errors import StaleLeaseError
from rxon.messages import MAX_BATCH, ResultAnswer, TaskOffer, TaskResult

__all__ = ["Outbox"]

MAX_REFUSED: Final = 100


class _Pending(msgspec.Struct):
    result: TaskResult
    work: str
    failures: int = 0


class Outbox:
    """Results in the order in which they came, and the last ones that came too late.

    Those of a batch that was taken are on their way until ``answered`` or ``failed``.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Pending] = deque()
        self._on_the_way = 0
        self._by_work: dict[str, _Pending] = {}
        self._refused: dict[str, TaskResult] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, result: TaskResult) -> None:
        """The result waits."""
        pending = _Pending(result, work_of(result.task_id))
        self._waiting.append(pending)
        self._by_work[pending.work] = pending

    def renew(self, task_id: str, lease_token: str | None) -> None:
        """The result of the task, if it waits, goes with another token."""
        for pending in self._waiting:
            if pending.result.task_id == task_id:
                pending.result = msgspec.structs.replace(pending.result, lease_token=lease_token)

    def take(self) -> tuple[TaskResult, ...]:
        """Those that wait, up to one batch, are on their way."""
        batch = tuple(pending.result for pending in islice(self._waiting, MAX_BATCH))
        self._on_the_way = len(batch)
        return batch

    def answered(self, answers: Sequence[ResultAnswer]) -> list[tuple[str, ResultAnswer]]:
        """The first ones, with these answers, do not wait any more: their task ids and answers."""
        self._on_the_way = 0
        settled: list[tuple[str, ResultAnswer]] = []
        for answer in answers:
            pending = self._waiting.popleft()
            self._let_go(pending, keep=answer.code == StaleLeaseError.code)
            settled.append((pending.result.task_id, answer))
        return settled

    def failed(self, retries: int | None) -> list[str]:
        """Those on their way wait again, except that those which failed more than ``retries`` times are gone.

        Their task ids are returned. A failure with ``retries`` None does not count.
        """
        count, self._on_the_way = self._on_the_way, 0
        if retries is None:
            return []
        tried = [self._waiting.popleft() for _ in range(count)]
        for pending in tried:
            pending.failures += 1
        self._waiting.extendleft(reversed([pending for pending in tried if pending.failures <= retries]))
        given_up = [pending for pending in tried if pending.failures > retries]
        for pending in given_up:
            self._let_go(pending)
        return [pending.result.task_id for pending in given_up]

    def sending(self) -> set[str]:
        """Ids of the tasks whose results are on their way."""
        return {pending.result.task_id for pending in islice(self._waiting, self._on_the_way)}

    def drop(self, task_ids: Collection[str]) -> None:
        """The results of these tasks, none of which is on its way, do not wait any more."""
        gone = [pending for pending in self._waiting if pending.result.task_id in task_ids]
        for pending in gone:
            self._let_go(pending, keep=True)
        if gone:
            self._waiting = deque(p for p in self._waiting if p.result.task_id not in task_ids)

    def earlier(self, offer: TaskOffer) -> TaskResult | None:
        """The result of another delivery of the same work, as one of ``offer``; None if there is none."""
        work = work_of(offer.task_id)
        pending = self._by_work.get(work)
        known = self._refused.get(work) if pending is None else pending.result
        if known is None or not is_same_work(known, offer):
            return None
        self._refused.pop(work, None)
        return msgspec.structs.replace(known, task_id=offer.task_id, lease_token=offer.lease_token)

    def _let_go(self, pending: _Pending, keep: bool = False) -> None:
        """``keep`` the result for the case that the work is handed out again."""
        if self._by_work.get(pending.work) is pending:
            del self._by_work[pending.work]
        if keep:
            self._refused[pending.work] = pending.result
            if len(self._refused) > MAX_REFUSED:
                del self._refused[next(iter(self._refused))]
