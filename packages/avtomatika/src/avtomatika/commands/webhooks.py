"""News for the servers of clients: signed, repeated until taken, put aside when they never are.

Headers, signature and the form of secrets are those of the Standard Webhooks specification. All attempts at
one piece of news have the same `webhook-id` and the same body; a server that sees an id twice has seen a
repetition.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final
from zlib import crc32

import msgspec

from avtomatika import observe
from avtomatika.commands.outbox import WEBHOOKS
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import Failure
from avtomatika.kernel.time import SECOND, Instant, Span, after
from avtomatika.ports.delivery import Delivered, Delivery, Refused, TryAgain
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, Message, MessageId

DEAD: Final = "webhook-dead"
MOST_DEAD_OF_A_JOB: Final = 1_000

SECRET_PREFIX: Final = "whsec_"

Keys = Callable[[str], Sequence[bytes]]
"""The keys that news for this client are signed with: one, and during a change of keys another."""


Links = Callable[[JobId, int], str]
"""The link by which whoever has it answers the question that the job asks since this version of it.

It is made for each delivery anew: it holds a secret, which is never stored.
"""


class WebhookPolicy(msgspec.Struct, frozen=True):
    """How often and for how long a delivery is tried, and how long one that failed can be sent again."""

    tries: int = 15
    life: Span = Span(24 * 3_600 * SECOND)
    backoff_first: Span = Span(5 * SECOND)
    backoff_most: Span = Span(12 * 3_600 * SECOND)
    most_patience: Span = Span(3_600 * SECOND)
    keep_dead: Span = Span(30 * 86_400 * SECOND)


class _Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    task_id: str | None = None


class _News(msgspec.Struct, frozen=True):
    event: str
    job_id: str
    status: str
    result: msgspec.Raw
    error: _Trouble | None
    timestamp: int
    sequence: int


class Webhooks:
    """Delivers what the moves of jobs have to tell."""

    def __init__(
        self,
        node: NodeContext,
        delivery: Delivery,
        keys: Keys,
        policy: WebhookPolicy | None = None,
        links: Links | None = None,
    ) -> None:
        """News of a question have its link in them when *links* makes one."""
        self._store, self._clock = node.store, node.clock
        self._delivery, self._keys, self._links = delivery, keys, links
        self._policy = policy or WebhookPolicy()

    async def deliver(self, lease: Lease) -> None:
        """The server has the news, or will be told again later, or they lie among the dead; in one commit.

        Dead ones that come up again have been kept for long enough. Raises LeaseLost, Unavailable.
        """
        message, news = lease.message, lease.message.body
        if message.queue == DEAD or not isinstance(news, SendWebhook):
            await self._store.commit(Commit(now=self._clock.now(), ack=(lease,)))
            return
        began, body = self._clock.now(), _body(news, self._links)
        headers = signed(webhook_id(message.id), began, body, self._keys(news.client))
        outcome = await self._delivery.send(news.url, headers, body)
        match outcome:
            case Delivered():
                observe.detail("webhook.delivered", job=news.job, event=news.event, attempt=news.attempt)
                left = None
            case Refused(reason=reason):
                left = self._dead(message, news, reason)
            case TryAgain():
                left = self._again(message, news, outcome, began)
        send = () if left is None else (left,)
        await self._store.commit(Commit(now=self._clock.now(), ack=(lease,), send=send))

    async def dead(self, job: JobId) -> Sequence[Message]:
        """What could not be delivered of the news of this job. Each body says what the trouble was."""
        prefix = f"{WEBHOOKS}:{job}:"
        found = await self._store.peek(DEAD, after=MessageId(prefix), limit=MOST_DEAD_OF_A_JOB)
        return [message for message in found if message.id.startswith(prefix)]

    def _again(self, message: Message, news: SendWebhook, failed: TryAgain, began: Instant) -> Message:
        first = began if news.first_try is None else news.first_try
        due = after(self._clock.now(), self._pause(message.id, news.attempt, failed.retry_after))
        if news.attempt >= self._policy.tries or due > after(first, self._policy.life):
            return self._dead(message, news, failed.reason)
        observe.detail("webhook.postponed", job=news.job, event=news.event, why=failed.reason)
        later = msgspec.structs.replace(
            news, attempt=news.attempt + 1, first_try=first, trouble=failed.reason
        )
        return msgspec.structs.replace(message, queue=WEBHOOKS, visible_at=due, body=later)

    def _dead(self, message: Message, news: SendWebhook, reason: str) -> Message:
        observe.warning("webhook.dead", job=news.job, event=news.event, attempts=news.attempt, why=reason)
        buried = msgspec.structs.replace(news, trouble=reason)
        until = after(self._clock.now(), self._policy.keep_dead)
        return msgspec.structs.replace(message, queue=DEAD, visible_at=until, body=buried)

    def _pause(self, name: str, attempt: int, asked: Span | None) -> Span:
        """Twice as long each time, less up to half of it, drawn from the name; longer if the server asks."""
        longest = min(self._policy.backoff_most, self._policy.backoff_first << min(attempt - 1, 40))
        pause = longest - (longest * crc32(f"{name}/{attempt}".encode()) >> 33)
        return Span(max(pause, min(asked or 0, self._policy.most_patience)))


def keys_of(secrets: str) -> Sequence[bytes]:
    """The keys of secrets that blanks separate. Raises ValueError for any that is not of the usual form."""
    return tuple(_key(secret) for secret in secrets.split())


def secret_of(chance: bytes) -> str:
    """The secret whose key is this."""
    return SECRET_PREFIX + b64encode(chance).decode()


def webhook_id(message: MessageId) -> str:
    """The name that a server knows the news by."""
    return message.removeprefix(f"{WEBHOOKS}:")


def signed(name: str, now: Instant, body: bytes, keys: Sequence[bytes]) -> Mapping[str, str]:
    """The headers of an attempt made now."""
    timestamp = str(now // SECOND)
    signed_text = b".".join((name.encode(), timestamp.encode(), body))
    signatures = (b64encode(hmac.digest(key, signed_text, sha256)).decode() for key in keys)
    return {
        "Content-Type": "application/json",
        "User-Agent": "avtomatika",
        "webhook-id": name,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    if not (secret.startswith(SECRET_PREFIX) and 24 <= len(key) <= 64):
        raise ValueError("a secret is whsec_ and the Base64 of 24 to 64 bytes")
    return key


def _body(news: SendWebhook, links: Links | None) -> bytes:
    return msgspec.json.encode(
        _News(
            event=news.event,
            job_id=news.job,
            status=news.status,
            result=_result(news, links),
            error=_trouble(news.failure),
            timestamp=news.at // SECOND,
            sequence=news.version,
        )
    )


def _result(news: SendWebhook, links: Links | None) -> msgspec.Raw:
    if news.question is None or links is None:
        return news.result
    question = msgspec.json.decode(news.result, type=dict[str, msgspec.Raw])
    link = msgspec.json.encode(links(news.job, news.question))
    return msgspec.Raw(msgspec.json.encode({**question, "approval_url": msgspec.Raw(link)}))


def _trouble(failure: Failure | None) -> _Trouble | None:
    return None if failure is None else _Trouble(failure.code, failure.message, failure.task)


def anew(dead: Message, now: Instant) -> Message:
    """The dead news, to be tried as if they were new."""
    body = dead.body
    if isinstance(body, SendWebhook):
        body = msgspec.structs.replace(body, attempt=1, first_try=None, trouble="")
    return msgspec.structs.replace(dead, queue=WEBHOOKS, visible_at=now, body=body)
