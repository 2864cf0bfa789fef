"""What a worker and a server know of each other, from one request to the next."""

import copy
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from rxon.errors import AuthError, RxonError, TransportError
from rxon.http.access import Access
from rxon.http.answers import EXPIRED, SIGNATURE_TROUBLES, Answer, arrived, raise_error
from rxon.http.channel import Channel, Unreachable
from rxon.http.keys import Keys
from rxon.http.server_clock import ServerClock
from rxon.http.speech.choice import keeping, speeches
from rxon.http.speech.signed import Pen, Signed
from rxon.http.speech.speech import Memory, Speech
from rxon.messages import Registration
from rxon.vocabulary import PROTOCOL_VERSION, VERSION_HEADER, WORKER_ID_HEADER, WORKER_TOKEN_HEADER

__all__ = ["Body", "Conversation"]

QUIET: Final = 300.0  # seconds without a task, after which a server may have forgotten the worker

MOST_LESSONS: Final = (
    3  # in one refusal each: how to speak, what time it is, that a token is not good any more
)

Body = Callable[[Speech], bytes]


class Conversation:
    """Speaks as the server understands it, which shows in the version that its answers name.

    A request that was refused is made again when the refusal taught how to make it.
    """

    def __init__(self, channel: Channel, worker_id: str, keys: Keys) -> None:
        self.memory = Memory()
        self._channel = channel
        self._keys = keys
        self._access = Access(keys.token, keys.exchange)
        self._clock = ServerClock(time.time)
        self._pen = Pen(worker_id, keys.token, keys.token, self._clock)
        self._headers = {
            WORKER_ID_HEADER: worker_id,
            VERSION_HEADER: PROTOCOL_VERSION,
            "Content-Type": "application/json",
        }
        self._version: str | None = None
        self._choice = speeches(None, keys, self._pen, self.memory)
        self.speech = self._choice[0]
        self._learned = 0  # counts what changes how requests are made
        self._introduce_at = 0.0

    def twin(self, channel: Channel) -> "Conversation":
        """Another conversation with the server, which begins with all that this one has learned.

        It may be had in another thread.
        """
        twin = copy.copy(self)
        twin.memory = Memory()
        twin.memory.jobs.update(dict(self.memory.jobs))
        twin._channel = channel
        twin._access = copy.copy(self._access)
        twin._choice = speeches(self._version, self._keys, self._pen, twin.memory)
        twin.speech = keeping(self.speech.pen if isinstance(self.speech, Signed) else None, twin._choice)
        return twin

    def headers(self) -> dict[str, str]:
        """Those of every request at this moment."""
        return {**self._headers, WORKER_TOKEN_HEADER: self._access.shown}

    def learn(self, version: str | None) -> None:
        """The server has named this ``version``, if it is one."""
        if version is None or version == self._version:
            return
        before = self.speech
        self._version = version
        self._choice = speeches(version, self._keys, self._pen, self.memory)
        self.speech = keeping(before.pen if isinstance(before, Signed) else None, self._choice)
        if type(self.speech) is not type(before):
            self._learned += 1
            self._introduce_at = 0.0  # another server than the one that knew the worker

    async def ask(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        about: str = "",
        timeout: float | None = None,
    ) -> Answer:
        """The answer to a request, the body of which is ``about`` a task or an event. Raises RxonError."""
        for _ in range(MOST_LESSONS):
            learned = self._learned
            try:
                return await self._once(method, path, body, about, timeout)
            except TransportError:
                raise
            except RxonError as error:
                if _about_token(error) and self._access.rejected(time.monotonic()):
                    self._learned += 1
                if self._learned == learned:
                    raise
        return await self._once(method, path, body, about, timeout)

    async def introduce(self, registration: Registration) -> Answer:
        """The worker is known. All keys are tried that may be the right one. Raises RxonError."""
        try:
            answer = await self._introduce(registration)
        except AuthError as error:
            if not _about_signature(error):
                raise
            answer = await self._introduce_otherwise(registration, error)
        self._introduce_at = time.monotonic() + QUIET
        return answer

    async def stay_known(self) -> None:
        """The worker is introduced again, if the server may have forgotten it without saying so.

        That is after the connection broke, and now and then while there are no tasks.
        """
        registration, now = self.memory.registration, time.monotonic()
        if registration is None or not self.speech.forgets or now < self._introduce_at:
            return
        if self._introduce_at and self.memory.jobs:
            self.remembered()
        else:
            await self.introduce(registration)

    def remembered(self) -> None:
        """The server has shown that it knows the worker."""
        self._introduce_at = time.monotonic() + QUIET

    async def renew_access(self) -> None:
        """A token that expires was asked for, if one is wanted and it is time."""
        while due := self._access.due(time.monotonic()):
            try:
                answer = await self._call("POST", due.path, due.body, None)
                self._access.granted(answer.body, time.monotonic())
            except TransportError:
                return
            except RxonError:
                self._access.denied(time.monotonic())

    async def _introduce(self, registration: Registration) -> Answer:
        return await self.ask("POST", "/workers/register", lambda how: how.registration(registration))

    async def _introduce_otherwise(self, registration: Registration, refused: AuthError) -> Answer:
        first = self.speech
        for other in self._choice:
            if other is first:
                continue
            self.speech = other
            try:
                return await self._introduce(registration)
            except AuthError as error:
                if not _about_signature(error):
                    raise
        self.speech = first
        raise refused

    async def _once(
        self, method: str, path: str, body: Body | None, about: str, timeout: float | None
    ) -> Answer:
        try:
            written = None if body is None else body(self.speech)
            answer = await self._call(method, path, written, timeout)
        except RxonError as error:
            if about and arrived(error):
                self.memory.renew(about, uuid4().hex)
            raise
        self.memory.settled(about)
        return answer

    async def _call(self, method: str, path: str, body: bytes | None, timeout: float | None) -> Answer:
        try:
            answer = await self._channel.call(method, path, self.headers(), body, timeout)
        except Unreachable:
            self._introduce_at = 0.0
            raise
        self.learn(answer.headers.get(VERSION_HEADER))
        if answer.status >= 300:
            self._refused(answer)
        return answer

    def _refused(self, answer: Answer) -> None:
        try:
            raise_error(answer)
        except AuthError as error:
            if EXPIRED in error.message.lower() and self._clock.told(answer.headers.get("Date")):
                self._learned += 1
            raise


def _about_token(error: RxonError) -> bool:
    return isinstance(error, AuthError) and not _about_signature(error)


def _about_signature(error: AuthError) -> bool:
    return error.message.lower().startswith(SIGNATURE_TROUBLES)
