"""Results in the words of RXON: taken in as work of the node, and answered one by one."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from avtomatika.commands.admission import Admission
from avtomatika.commands.presence import Presence
from avtomatika.commands.results import Handle, Results
from avtomatika.commands.translation import answered, refused, report_of
from avtomatika.errors import InvalidInput, Unavailable
from avtomatika.kernel.ids import JobId
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import LeaseLost
from rxon.errors import AuthError, ForbiddenError, ProtocolError, RxonError, UnavailableError
from rxon.generations.generation import Generation
from rxon.messages import ResultAnswer, TaskResult
from rxon.transport import Credentials
from rxon.vocabulary import AnswerStatus

OF_ONE: Final = (ProtocolError, AuthError, ForbiddenError)
"""What is wrong with one result of several, and does not stop the others."""


class Reports:
    """Takes in what workers report."""

    def __init__(self, node: NodeContext, admission: Admission, presence: Presence, results: Results) -> None:
        self._spawn = node.spawn
        self._admission, self._presence, self._results = admission, presence, results

    async def take(self, credentials: Credentials, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """One answer per result, each after it is durable; a worker that hangs up changes nothing.

        Raises AuthError, and what is wrong with a result that is the only one.
        """
        admitted = await self._admission.admit(credentials, credentials.worker_id)
        if credentials.worker_id is None:
            credentials = msgspec.structs.replace(credentials, worker_id=admitted.worker_id)
        if not results:
            return ()
        work = [self._spawn(self._answer(credentials, result), name="report") for result in results]
        refusals = OF_ONE if len(work) > 1 else ()
        answers = [await asyncio.shield(each) for each in work]  # all are the node's when this is cancelled
        return [_answer_of(answer, refusals) for answer in answers]

    async def _answer(self, credentials: Credentials, result: TaskResult) -> ResultAnswer | RxonError:
        worker_id = result.worker_id or credentials.worker_id
        if worker_id is None:
            return ProtocolError("A result names its worker.", details={"field": "worker_id"})
        try:
            origin = await self._admission.admit_message(credentials, worker_id, result)
            if credentials.generation is not Generation.OURS:
                await self._presence.holdings.discard(worker_id, (result.task_id,))
            return await self._taken_in(credentials, result, worker_id, origin or "")
        except Unavailable as error:
            return UnavailableError(error.message)
        except RxonError as error:
            return error

    async def _taken_in(
        self, credentials: Credentials, result: TaskResult, worker_id: str, origin: str
    ) -> ResultAnswer:
        job = JobId(result.job_id)
        try:
            handle = Handle.parse(result.task_id)
            report = report_of(result, worker_id, handle, origin)
            declared = await self._presence.declared(worker_id)
            return answered(await self._results.take(job, handle, report, result.lease_token, declared))
        except LeaseLost as error:
            return refused(result, error, await self._results.reason(job, result.task_id, worker_id))
        except InvalidInput as error:
            if credentials.generation is not Generation.OURS:
                return refused(result, error, await self._results.reason(job, result.task_id, worker_id))
            raise ProtocolError(error.message, details={"field": error.field}) from error


def _answer_of(answer: ResultAnswer | RxonError, refusals: tuple[type[RxonError], ...]) -> ResultAnswer:
    """The answer; errors that are *refusals* are answers too, the others are raised."""
    if isinstance(answer, refusals):
        return ResultAnswer(status=AnswerStatus.REFUSED, code=answer.code, message=answer.message)
    if isinstance(answer, RxonError):
        raise answer
    return answer
