"""News are repeated until they are taken, under one id, and put aside when they never are."""

import hmac
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise

import pytest
from msgspec import Raw

from avtomatika.clock import SystemNames
from avtomatika.commands.outbox import WEBHOOKS, message_of
from avtomatika.commands.webhooks import (
    DEAD,
    Links,
    WebhookPolicy,
    Webhooks,
    anew,
    keys_of,
    secret_of,
    signed,
)
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.ids import JobId, TaskId
from avtomatika.kernel.model import Failure
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.delivery import Delivered, Outcome, Refused, TryAgain
from avtomatika.ports.node import NodeContext
from avtomatika.ports.store import Commit, Lease, LeaseLost, Message
from avtomatika.services.supervisor import Supervisor
from avtomatika.stores.memory import MemoryStore

KEY = b"a key of thirty-two bytes, nearly"
JOB = JobId("0190")
AT = Instant(1_790_000_000_123)
DAY = 86_400_000
AGAIN = TryAgain("the server answered 500")
FAR = Instant(AT + 400 * DAY)


class HandClock:
    def __init__(self) -> None:
        self.time = AT

    def now(self) -> Instant:
        return self.time

    async def sleep_until(self, when: Instant) -> None:
        self.time = when


class Server:
    """The other end, with its next answers; the last one stays."""

    def __init__(self, clock: HandClock, *answers: Outcome, took: int = 0) -> None:
        self.answers, self.took = list(answers), took
        self.got: list[tuple[Instant, str, Mapping[str, str], bytes]] = []
        self._clock = clock

    def check(self, url: str) -> None:
        raise AssertionError("the creation of a job asks, a delivery does not")

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        self.got.append((self._clock.now(), url, headers, body))
        self._clock.time = Instant(self._clock.time + self.took)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class World:
    """A store, a clock that is moved by hand, and a server."""

    def __init__(
        self,
        *answers: Outcome,
        policy: WebhookPolicy | None = None,
        took: int = 0,
        links: Links | None = None,
    ) -> None:
        self.clock = HandClock()
        names = SystemNames()
        self.store = MemoryStore(now=self.clock.now, tokens=names.token)
        self.server = Server(self.clock, *answers, took=took)
        node = NodeContext(self.store, self.clock, names, Supervisor().spawn, "n1")
        self.webhooks = Webhooks(node, self.server, lambda client: (KEY, client.encode()), policy, links)

    async def tell(self, news: SendWebhook) -> Message:
        message = message_of(news)
        await self.store.commit(Commit(now=self.clock.now(), send=(message,)))
        return message

    async def lease(self, queue: str = WEBHOOKS) -> Lease | None:
        leases = await self.store.lease(
            (queue,), owner="node:n1", now=self.clock.now(), ttl=Span(30_000), limit=1
        )
        return leases[0] if leases else None

    async def deliver(self) -> Lease:
        lease = await self.lease()
        assert lease is not None
        await self.webhooks.deliver(lease)
        return lease

    async def until_quiet(self) -> None:
        """Every attempt has been made, each at its time."""
        while (due := await self.store.next_due(WEBHOOKS)) is not None:
            self.clock.time = max(self.clock.time, due)
            await self.deliver()


def news(**fields: object) -> SendWebhook:
    values = {
        "job": JOB,
        "version": 7,
        "url": "https://app.example/hook?secret=1",
        "event": "job_finished",
        "status": "finished",
        "client": "a client of twenty-four by",
        "result": Raw(b'{"n":1.0}'),
        "at": AT,
    }
    return SendWebhook(**(values | fields))  # type: ignore[arg-type]  # a test may give any of the fields


async def test_the_body_has_the_five_fields_of_the_published_form_and_two_of_ours() -> None:
    world = World(Delivered())
    await world.tell(news())
    await world.deliver()
    ((_, url, headers, body),) = world.server.got
    assert url == "https://app.example/hook?secret=1"
    assert headers["Content-Type"] == "application/json"
    assert list(json.loads(body)) == [
        "event",
        "job_id",
        "status",
        "result",
        "error",
        "timestamp",
        "sequence",
    ]
    assert body == (
        b'{"event":"job_finished","job_id":"0190","status":"finished","result":{"n":1.0},"error":null,'
        b'"timestamp":1790000000,"sequence":7}'
    )


async def test_a_question_has_its_link_in_every_attempt_and_none_that_is_kept() -> None:
    world = World(
        AGAIN, Delivered(), links=lambda job, since: f"https://a.example/{job}?token={since}.s3cret"
    )
    question = Raw(b'{"message":"ship?","decisions":["yes"]}')
    await world.tell(news(event="approval_requested", result=question, question=6))
    await world.deliver()
    (waiting,) = await world.store.peek(WEBHOOKS, limit=9)
    assert "s3cret" not in repr(waiting)
    await world.until_quiet()
    first, second = (body for _, _, _, body in world.server.got)
    link = "https://a.example/0190?token=6.s3cret"
    asked = {"message": "ship?", "decisions": ["yes"], "approval_url": link}
    assert json.loads(first)["result"] == asked
    assert first == second


async def test_a_failure_is_told_as_reads_of_the_job_tell_it() -> None:
    world = World(Delivered())
    failure = Failure("PERMANENT_ERROR", "no luck", TaskId("0190-3-0"))
    await world.tell(news(event="job_failed", status="failed", failure=failure, result=Raw(b"null")))
    await world.deliver()
    told = json.loads(world.server.got[0][3])
    assert told["error"] == {"code": "PERMANENT_ERROR", "message": "no luck", "task_id": "0190-3-0"}
    assert told["result"] is None


@pytest.mark.parametrize(
    ("name", "moment", "body", "secret", "signature"),
    [
        (
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            b'{"event_type":"ping","data":{"success":true}}',
            "plJ3nmyCDGBKInavdOK15jsl",
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
        (
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b'{"test": 2432232314}',
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
)
def test_signatures_are_those_that_other_implementations_publish(
    name: str, moment: int, body: bytes, secret: str, signature: str
) -> None:
    headers = signed(name, Instant(moment * 1_000 + 999), body, (b64decode(secret),))
    assert headers["webhook-id"] == name
    assert headers["webhook-timestamp"] == str(moment)
    assert headers["webhook-signature"] == signature


async def test_every_key_of_the_client_signs_the_very_bytes_that_are_sent() -> None:
    world = World(Delivered())
    await world.tell(news())
    await world.deliver()
    ((_, _, headers, body),) = world.server.got
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    keys = (KEY, b"a client of twenty-four by")
    expected = (b64encode(hmac.new(key, text, sha256).digest()).decode() for key in keys)
    assert headers["webhook-signature"] == " ".join(f"v1,{signature}" for signature in expected)


def test_a_secret_is_the_text_of_its_key() -> None:
    key = bytes(range(32))
    assert secret_of(key).startswith("whsec_")
    assert keys_of(f"{secret_of(key)} {secret_of(KEY)}") == (key, KEY)


async def test_what_was_taken_is_gone() -> None:
    world = World(Delivered())
    await world.tell(news())
    await world.deliver()
    assert await world.store.next_due(WEBHOOKS) is None
    assert await world.webhooks.dead(JOB) == []


async def test_all_attempts_have_one_id_and_one_body_and_the_time_of_the_attempt() -> None:
    world = World(AGAIN, AGAIN, AGAIN, Delivered())
    await world.tell(news())
    await world.until_quiet()
    assert {headers["webhook-id"] for _, _, headers, _ in world.server.got} == {"0190:7:job_finished"}
    assert len({body for *_, body in world.server.got}) == 1
    for moment, _, headers, _ in world.server.got:
        assert headers["webhook-timestamp"] == str(moment // 1_000)
    assert len(world.server.got) == 4


async def test_a_failure_and_its_repetition_are_one_commit() -> None:
    world = World(AGAIN)
    sent = await world.tell(news())
    commits: list[Commit] = []
    commit = world.store.commit

    async def noting(one: Commit) -> None:
        commits.append(one)
        await commit(one)

    world.store.commit = noting  # type: ignore[method-assign]  # the store stays real; the test looks on
    lease = await world.deliver()
    (one,) = commits
    assert one.ack == (lease,)
    (later,) = one.send
    assert (later.id, later.queue) == (sent.id, WEBHOOKS)
    assert isinstance(later.body, SendWebhook)
    assert (later.body.attempt, later.body.first_try, later.body.trouble) == (2, AT, AGAIN.reason)


async def test_nothing_is_committed_when_the_lease_was_lost_meanwhile() -> None:
    world = World(AGAIN, Delivered(), took=40_000)
    await world.tell(news())
    with pytest.raises(LeaseLost):
        await world.deliver()
    again = await world.lease()
    assert again is not None
    assert isinstance(again.message.body, SendWebhook)
    assert again.message.body.attempt == 1


async def test_the_pauses_double_with_up_to_half_off_and_end_within_a_day() -> None:
    world = World(AGAIN)
    await world.tell(news())
    await world.until_quiet()
    moments = [moment for moment, *_ in world.server.got]
    assert len(moments) == 15
    for n, (one, next_one) in enumerate(pairwise(moments)):
        assert 2_500 << n <= next_one - one <= 5_000 << n
    assert moments[-1] - moments[0] <= DAY


async def test_the_pause_is_the_same_when_it_is_decided_again_and_another_for_other_news() -> None:
    async def pause(version: int) -> int:
        world = World(AGAIN)
        await world.tell(news(version=version))
        await world.deliver()
        due = await world.store.next_due(WEBHOOKS)
        assert due is not None
        return due - AT

    assert await pause(7) == await pause(7)
    assert len({await pause(version) for version in range(1, 21)}) > 10


async def test_the_pause_has_an_upper_end() -> None:
    world = World(AGAIN, policy=WebhookPolicy(backoff_most=Span(20_000)))
    await world.tell(news())
    await world.until_quiet()
    moments = [moment for moment, *_ in world.server.got]
    assert max(b - a for a, b in pairwise(moments)) <= 20_000


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(0, 2_500, 5_000), (60_000, 60_000, 60_000), (10**12, 3_600_000, 3_600_000)],
)
async def test_a_server_can_ask_for_a_longer_pause_of_up_to_an_hour(
    asked: int, least: int, most: int
) -> None:
    world = World(TryAgain("the server answered 503", Span(asked)))
    await world.tell(news())
    await world.deliver()
    due = await world.store.next_due(WEBHOOKS)
    assert due is not None
    assert least <= due - AT <= most


async def test_a_patient_server_is_given_up_after_a_day() -> None:
    policy = WebhookPolicy(tries=1_000, backoff_most=Span(3_600_000))
    world = World(TryAgain("the server answered 503", Span(3_600_000)), policy=policy)
    await world.tell(news())
    await world.until_quiet()
    assert len(world.server.got) == 25
    assert len(await world.webhooks.dead(JOB)) == 1


async def test_what_waited_for_a_node_for_days_is_tried_all_the_same() -> None:
    world = World(AGAIN, Delivered())
    await world.tell(news())
    world.clock.time = Instant(AT + 3 * DAY)
    await world.until_quiet()
    assert len(world.server.got) == 2
    assert await world.webhooks.dead(JOB) == []


async def test_what_will_never_be_taken_is_put_aside_at_once_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(Refused("the server answered 410: it wants no more"))
    sent = await world.tell(news())
    with caplog.at_level(logging.DEBUG, "avtomatika"):
        await world.deliver()
    (dead,) = await world.webhooks.dead(JOB)
    assert (dead.id, dead.queue) == (sent.id, DEAD)
    assert isinstance(dead.body, SendWebhook)
    assert dead.body.trouble == "the server answered 410: it wants no more"
    assert await world.store.next_due(WEBHOOKS) is None
    assert "webhook.dead" in caplog.text
    assert "secret" not in caplog.text, "a URL may hold a password"


async def test_what_was_given_up_is_kept_for_thirty_days_and_then_forgotten() -> None:
    world = World(Refused("no"))
    await world.tell(news())
    await world.deliver()
    world.clock.time = Instant(AT + 30 * DAY - 1)
    assert await world.lease(DEAD) is None
    world.clock.time = Instant(AT + 30 * DAY)
    lease = await world.lease(DEAD)
    assert lease is not None
    await world.webhooks.deliver(lease)
    assert await world.webhooks.dead(JOB) == []
    assert len(world.server.got) == 1


async def test_what_was_given_up_can_be_sent_again_as_if_it_were_new() -> None:
    world = World(AGAIN, AGAIN, AGAIN, Delivered(), policy=WebhookPolicy(tries=2))
    await world.tell(news())
    await world.until_quiet()
    world.clock.time = Instant(AT + 2 * DAY)
    (dead,) = await world.webhooks.dead(JOB)
    again = anew(dead, world.clock.time)
    await world.store.commit(Commit(now=world.clock.time, send=(again,)))
    assert await world.webhooks.dead(JOB) == []
    await world.until_quiet()
    assert len(world.server.got) == 4
    assert len({body for *_, body in world.server.got}) == 1
    assert len({headers["webhook-id"] for _, _, headers, _ in world.server.got}) == 1
    assert await world.webhooks.dead(JOB) == []


async def test_what_was_given_up_is_found_by_its_job() -> None:
    world = World(Refused("no"))
    first = await world.tell(news(version=2, event="approval_requested", question=2))
    second = await world.tell(news(version=12))
    other = await world.tell(news(job=JobId("01901")))
    await world.until_quiet()
    assert [dead.id for dead in await world.webhooks.dead(JOB)] == sorted([first.id, second.id])
    assert [dead.id for dead in await world.webhooks.dead(JobId("01901"))] == [other.id]
