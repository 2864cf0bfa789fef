"""Reaches an orchestrator over HTTP: ours, or an earlier one."""

import copy
from collections.abc import Sequence
from ssl import SSLContext
from typing import Final
from urllib.parse import urlencode

import aiohttp

from rxon.codec import decode
from rxon.errors import ProtocolError, RxonError, TooLargeError, TransportError
from rxon.http.answers import refusal, result_answer
from rxon.http.channel import Channel
from rxon.http.conversation import Body, Conversation
from rxon.http.keys import Keys
from rxon.http.speech.today import SignedToday
from rxon.identifiers import validate_identifier
from rxon.messages import (
    MAX_BATCH,
    EventAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Registered,
    Registration,
    ResultAnswer,
    ResultAnswers,
    TaskBatch,
    TaskOffer,
    TaskResult,
    WorkerEvent,
)
from rxon.signing.message import Signable
from rxon.transport import PollRequest
from rxon.vocabulary import PATH_PREFIX, AnswerStatus, EventStatus

__all__ = ["HttpTransport"]

MAX_BATCH_BYTES: Final = 512 * 1024  # below the smallest usual limit for a request body
POLL_GRACE: Final = 5.0
DEFAULT_POLL_TIMEOUT: Final = 30.0
EARLIER_POLL: Final = 60.0  # earlier servers wait as long as they like, and then a task is given away


class HttpTransport:
    """A WorkerTransport over HTTP.

    Tasks and results travel in batches once the server has shown that it speaks protocol 2 or
    later; before that one by one, and signed as that server demands. ``timeout`` is how many seconds
    any request but a poll may take. A ``session`` that is passed in stays open after ``close``.
    """

    def __init__(
        self,
        base_url: str,
        worker_id: str,
        token: str | Keys,
        session: aiohttp.ClientSession | None = None,
        *,
        timeout: float = 30.0,
        ssl: SSLContext | None = None,
    ) -> None:
        self._timeout, self._ssl = timeout, ssl
        self._worker = f"/workers/{validate_identifier(worker_id, 'worker_id')}"
        self._channel = Channel(_http_url(base_url) + PATH_PREFIX, session, timeout, ssl)
        self._talk = Conversation(self._channel, worker_id, Keys(token) if isinstance(token, str) else token)

    def __repr__(self) -> str:
        return f"HttpTransport({self._channel.root + self._worker!r})"

    def spare(self) -> "HttpTransport":
        """One for another event loop, with connections of its own, that speaks as this one has learned.

        It may be made in another thread.
        """
        twin = copy.copy(self)
        twin._channel = Channel(self._channel.root, None, self._timeout, self._ssl)
        twin._talk = self._talk.twin(twin._channel)
        return twin

    @property
    def speaks_batches(self) -> bool:
        """Whether the server has shown that it knows batches."""
        return self._talk.speech.batches

    def sealed(self, message: Signable) -> Signable:
        """The message as the server wants it over a stream: signed, if it does so here."""
        speech = self._talk.speech
        return speech.sealed(message) if isinstance(speech, SignedToday) else message

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        self._talk.memory.registration = registration
        answer = await self._talk.introduce(registration)
        registered = decode(Registered, answer.body)
        self._talk.learn(registered.version)
        self._talk.remembered()
        return registered

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        await self._talk.renew_access()
        await self._talk.stay_known()
        wait = DEFAULT_POLL_TIMEOUT if request.timeout is None else request.timeout
        batch = self.speaks_batches
        path = f"{self._worker}/tasks/next{_query(request, batch)}"
        limit = POLL_GRACE + (wait if batch else max(wait, EARLIER_POLL))
        answer = await self._talk.ask("GET", path, timeout=limit)
        if answer.status == 204 or not answer.body:
            return ()
        self._talk.remembered()
        if batch and self.speaks_batches:
            return decode(TaskBatch, answer.body).tasks
        return (self._talk.speech.offer(answer.body),)

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        body: Body | None = None if beat is None else lambda how: how.heartbeat(beat)
        answer = await self._talk.ask("PATCH", self._worker, body)
        if answer.body.strip() in (b"", b"null"):
            return HeartbeatAnswer("ok")
        return self._talk.speech.heard(decode(HeartbeatAnswer, answer.body))

    async def report(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        """Answers for at least the first of ``results``, in order."""
        if self.speaks_batches and len(results) > 1:
            try:
                return await self._report_batch(results)
            except (ProtocolError, TooLargeError):
                pass  # one result is at fault: only sending them singly shows which
        answers: list[ResultAnswer] = []
        for result in results:
            try:
                answers.append(await self._report_one(result))
            except RxonError:
                if answers:
                    break
                raise
        return answers

    async def emit(self, event: WorkerEvent) -> EventAnswer:
        """The server has judged the event."""
        try:
            answer = await self._talk.ask(
                "POST", "/events", lambda how: how.event(event), about=event.event_id
            )
        except RxonError as error:
            if self._talk.speech.repeated(error):
                return EventAnswer(EventStatus.ACCEPTED)
            raise
        return decode(EventAnswer, answer.body)

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        await self._channel.close()

    async def _report_batch(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        parts: list[bytes] = []
        size = 0
        for result in results[:MAX_BATCH]:
            part = self._talk.speech.result(result)
            size += len(part) + 1
            if parts and size > MAX_BATCH_BYTES:
                break
            parts.append(part)
        body = b'{"results":[' + b",".join(parts) + b"]}"
        answer = await self._talk.ask("POST", "/tasks/results", lambda how: body)
        answers = decode(ResultAnswers, answer.body).results
        if len(answers) != len(parts):
            raise TransportError(f"{len(answers)} answers to {len(parts)} results")
        return answers

    async def _report_one(self, result: TaskResult) -> ResultAnswer:
        try:
            sent = await self._talk.ask(
                "POST", "/tasks/result", lambda how: how.result(result), about=result.task_id
            )
        except RxonError as error:
            answer = refusal(error)
            if self._talk.speech.repeated(error):
                answer = ResultAnswer(status=AnswerStatus.ACCEPTED, duplicate=True)
            if answer is None:
                raise
        else:
            answer = result_answer(sent.body)
        self._talk.memory.forget(result.task_id)
        return answer


def _http_url(base_url: str) -> str:
    for scheme, replacement in (("ws://", "http://"), ("wss://", "https://")):
        if base_url.startswith(scheme):
            base_url = replacement + base_url.removeprefix(scheme)
    return base_url.rstrip("/")


def _query(request: PollRequest, batch: bool) -> str:
    pairs: list[tuple[str, str]] = []
    if request.timeout is not None:
        pairs.append(("timeout", f"{request.timeout:g}"))
    if request.available_skills is not None:
        pairs.append(("available_skills", ",".join(sorted(request.available_skills))))
    if request.hot_skills:
        pairs.append(("hot_skills", ",".join(request.hot_skills)))
    if batch:
        pairs.append(("limit", str(min(request.limit, MAX_BATCH))))
    return f"?{urlencode(pairs)}" if pairs else ""
