"""Reaches an orchestrator over HTTP: ours, or an earlier one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from ssl import SSLContext
from typing import Final, NamedTuple, NoReturn
from urllib.parse import urlencode

import aiohttp
import msgspec

from rxon.codec import decode, encode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    TransportError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.http.retry_after import seconds_to_wait
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
from rxon.transport import PollRequest
from rxon.vocabulary import (
    PATH_PREFIX,
    PROTOCOL_VERSION,
    VERSION_HEADER,
    WORKER_ID_HEADER,
    WORKER_TOKEN_HEADER,
    AnswerStatus,
    IgnoredReason,
)

__all__ = ["HttpTransport"]

MAX_BATCH_BYTES: Final = 512 * 1024  # below the smallest usual limit for a request body
LARGE_BODY: Final = 1024 * 1024  # aiohttp sends more than this in pieces only from a stream
POLL_GRACE: Final = 5.0
DEFAULT_POLL_TIMEOUT: Final = 30.0

_FINAL_ERRORS: Final = (ProtocolError, ForbiddenError, StaleLeaseError, TooLargeError)
_ERROR_OF_STATUS: Final[dict[int, type[RxonError]]] = {
    kind.status: kind
    for kind in (AuthError, ForbiddenError, WorkerUnknownError, StaleLeaseError, TooLargeError)
}


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _ErrorBody(msgspec.Struct):
    error: str = ""
    code: str | None = None
    field: str | None = None


class _LooseAnswer(msgspec.Struct):
    """Earlier orchestrators have statuses of their own, such as ``result_accepted_success``."""

    status: str = "accepted"
    transition: str | None = None
    reason: str | None = None
    message: str | None = None
    duplicate: bool = False


class HttpTransport:
    """A WorkerTransport over HTTP.

    Tasks and results travel in batches once the server has shown that it speaks protocol 2 or
    later, one by one before that. ``timeout`` is how many seconds any request but a poll may
    take. A ``session`` that is passed in stays open after ``close``.
    """

    def __init__(
        self,
        base_url: str,
        worker_id: str,
        token: str,
        session: aiohttp.ClientSession | None = None,
        *,
        timeout: float = 30.0,
        ssl: SSLContext | None = None,
    ) -> None:
        self.speaks_batches = False
        self._root = _http_url(base_url) + PATH_PREFIX
        self._worker = f"{self._root}/workers/{validate_identifier(worker_id, 'worker_id')}"
        self._headers = {
            WORKER_TOKEN_HEADER: token,
            WORKER_ID_HEADER: worker_id,
            VERSION_HEADER: PROTOCOL_VERSION,
            "Content-Type": "application/json",
        }
        self._session = session
        self._owns_session = session is None
        self._timeout = timeout
        self._ssl = ssl

    def __repr__(self) -> str:
        return f"HttpTransport({self._worker!r})"

    async def register(self, registration: Registration) -> Registered:
        """The server knows the worker."""
        answer = await self._call("POST", f"{self._root}/workers/register", encode(registration))
        return decode(Registered, answer.body)

    async def poll(self, request: PollRequest) -> Sequence[TaskOffer]:
        """Tasks for this worker; empty when none came in time."""
        wait = DEFAULT_POLL_TIMEOUT if request.timeout is None else request.timeout
        batch = self.speaks_batches
        url = f"{self._worker}/tasks/next{_query(request, batch)}"
        answer = await self._call("GET", url, timeout=wait + POLL_GRACE)
        if answer.status == 204 or not answer.body:
            return ()
        if batch:
            return decode(TaskBatch, answer.body).tasks
        return (decode(TaskOffer, answer.body),)

    async def heartbeat(self, beat: Heartbeat | None) -> HeartbeatAnswer:
        """The server knows that the worker is alive."""
        body = None if beat is None else encode(beat)
        answer = await self._call("PATCH", self._worker, body)
        if answer.body.strip() in (b"", b"null"):
            return HeartbeatAnswer("ok")
        return decode(HeartbeatAnswer, answer.body)

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
        answer = await self._call("POST", f"{self._root}/events", encode(event))
        return decode(EventAnswer, answer.body)

    async def close(self) -> None:
        """Connections are closed; calling it again does nothing."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def _report_batch(self, results: Sequence[TaskResult]) -> Sequence[ResultAnswer]:
        parts: list[bytes] = []
        size = 0
        for result in results[:MAX_BATCH]:
            part = encode(result)
            size += len(part) + 1
            if parts and size > MAX_BATCH_BYTES:
                break
            parts.append(part)
        body = b'{"results":[' + b",".join(parts) + b"]}"
        answer = await self._call("POST", f"{self._root}/tasks/results", body)
        answers = decode(ResultAnswers, answer.body).results
        if len(answers) != len(parts):
            raise TransportError(f"{len(answers)} answers to {len(parts)} results")
        return answers

    async def _report_one(self, result: TaskResult) -> ResultAnswer:
        try:
            answer = await self._call("POST", f"{self._root}/tasks/result", encode(result))
        except _FINAL_ERRORS as error:
            return _refused(error)
        except WorkerUnknownError as error:
            if "job not found" in error.message.lower():
                return ResultAnswer(
                    status=AnswerStatus.IGNORED,
                    reason=IgnoredReason.JOB_NOT_FOUND,
                    message=error.message,
                )
            raise
        try:
            loose = decode(_LooseAnswer, answer.body)
        except ProtocolError as error:
            # The body of a 200 from something that is no orchestrator decides nothing.
            raise TransportError(error.message) from None
        ignored = loose.status == AnswerStatus.IGNORED
        return ResultAnswer(
            status=AnswerStatus.IGNORED if ignored else AnswerStatus.ACCEPTED,
            transition=loose.transition,
            reason=loose.reason,
            message=loose.message,
            duplicate=loose.duplicate,
        )

    async def _call(
        self, method: str, url: str, body: bytes | None = None, timeout: float | None = None
    ) -> _Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=True
            )
        limit = aiohttp.ClientTimeout(total=timeout or self._timeout)
        try:
            async with self._session.request(
                method,
                url,
                data=body if body is None or len(body) < LARGE_BODY else BytesIO(body),
                headers=self._headers,
                timeout=limit,
                ssl=self._ssl if self._ssl is not None else True,
                allow_redirects=False,  # the token must not follow one to another host
            ) as response:
                answer = _Answer(response.status, response.headers, await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error
        version = answer.headers.get(VERSION_HEADER)
        if version is not None:
            self.speaks_batches = _major(version) >= 2
        if answer.status >= 300:
            _raise_error(answer)
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


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isascii() and head.isdecimal() else 0


def _refused(error: RxonError) -> ResultAnswer:
    return ResultAnswer(status=AnswerStatus.REFUSED, code=error.code, message=error.message)


def _raise_error(answer: _Answer) -> NoReturn:
    try:
        body = decode(_ErrorBody, answer.body)
    except ProtocolError:
        body = _ErrorBody(answer.body[:200].decode(errors="replace"))
    message = body.error or f"HTTP status {answer.status}"
    details = {"status": answer.status, "code": body.code}
    if body.field is not None:
        details["field"] = body.field
    if answer.status == 429 or answer.status >= 500:
        kind = RateLimitError if answer.status == 429 else UnavailableError
        wait = seconds_to_wait(answer.headers.get("Retry-After"), datetime.now(UTC))
        raise kind(message, retry_after=wait, details=details)
    if answer.status == 403 and message.lower().startswith("unauthorized"):
        raise AuthError(message, details=details)  # how some earlier servers refuse a token
    raise _ERROR_OF_STATUS.get(answer.status, ProtocolError)(message, details=details)
