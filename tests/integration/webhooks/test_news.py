"""Jobs of real nodes tell real servers what became of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app_keys import STORAGE_KEY
from avtomatika.commands.webhooks import DEAD, SECRET_PREFIX, keys_of, signed
from avtomatika.delivery import webhook
from avtomatika.kernel.effects import SendWebhook
from avtomatika.kernel.time import Instant
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Start, on_every_store
from tests.integration.webhooks.conftest import SECRET
from tests.integration.webhooks.sinks import HERE, Sink, always, status
from tests.unit.delivery.hostile import cases

PATH = "/api/v1/jobs/ends"


def ends() -> Blueprint:
    """Ends as its input says, or waits for ever."""
    blueprint = Blueprint("ends", api_version="v1", api_endpoint="/jobs/ends", version="1")

    @blueprint.handler(is_start=True)
    async def begin(how: str, actions: ActionFactory) -> None:
        if how == "failed":
            actions.fail("no luck", "NO_LUCK")
        elif how == "finished":
            actions.finish({"n": 1.0})
        elif how == "asks":
            actions.await_human_approval("mail", "Shall we?", {"approved": "done", "rejected": "done"})
        elif how == "waits":
            actions.wait_for_event("never", "done")
        else:
            actions.dispatch_task("work", {}, {"success": "done"})

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    return blueprint


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


async def create(node: Orchestrator, receiver: Sink, how: str) -> str:
    url = f"http://{HERE}:{receiver.port}/hook?of={how}"
    return await node.create({"initial_data": {"how": how}, "webhook_url": url}, PATH)


def told(receiver: Sink) -> list[dict[str, Any]]:
    return [json.loads(received.body) for received in receiver.received]


async def quarantine(node: Orchestrator, job: str) -> None:
    worker = await node.worker()
    await worker.fail(await worker.take(), "PERMANENT_ERROR")


async def cancel(node: Orchestrator, job: str) -> None:
    await node.post(f"/api/v1/jobs/{job}/cancel")


async def nothing(node: Orchestrator, job: str) -> None:
    return None


@on_every_store
@pytest.mark.parametrize(
    ("how", "act", "event", "result", "error"),
    [
        ("finished", nothing, "job_finished", {"n": 1.0}, None),
        ("failed", nothing, "job_failed", None, "NO_LUCK"),
        ("works", quarantine, "job_quarantined", None, "PERMANENT_ERROR"),
        ("waits", cancel, "job_cancelled", None, "CANCELLED"),
    ],
)
async def test_the_end_of_a_job_is_told_once(
    sending: Start,
    receiver: Sink,
    how: str,
    act: Callable[[Orchestrator, str], Awaitable[None]],
    event: str,
    result: Any,
    error: str | None,
) -> None:
    node = await sending(ends())
    job = await create(node, receiver, how)
    await act(node, job)
    await node.ended(job)
    await until(lambda: receiver.received)
    # What ends later is told later: nothing else of the first job was on its way before it.
    last = await create(node, receiver, "finished")
    await until(lambda: [news for news in told(receiver) if news["job_id"] == last])
    (news,) = (news for news in told(receiver) if news["job_id"] == job)
    assert (news["event"], news["job_id"], news["status"]) == (event, job, event.removeprefix("job_"))
    assert news["result"] == result
    assert (news["error"] or {}).get("code") == error
    seen = await node.job(job)
    assert (news["error"], news["sequence"]) == (seen.get("error"), seen["version"])


async def test_the_request_is_signed_with_the_secret_of_the_node(sending: Start, receiver: Sink) -> None:
    node = await sending(ends())
    job = await create(node, receiver, "finished")
    await until(lambda: receiver.received)
    (received,) = receiver.received
    assert received.line == "POST /hook?of=finished HTTP/1.1"
    headers = received.headers
    moment = Instant(int(headers["webhook-timestamp"]) * 1_000)
    expected = signed(headers["webhook-id"], moment, received.body, keys_of(SECRET))
    assert headers["webhook-signature"] == expected["webhook-signature"]
    assert headers["webhook-id"] == f"{job}:{json.loads(received.body)['sequence']}:job_finished"
    assert headers["content-type"] == "application/json"


async def test_without_a_secret_in_the_settings_one_is_made_that_receivers_can_use(
    start: Start, tmp_path: Any
) -> None:
    node = await start(ends(), AVTOMATIKA_DATA_DIR=tmp_path, WEBHOOK_SECRET="")
    secret = node.engine.config.settings().webhook_secret
    assert secret is None, "it is no setting"
    file = tmp_path / "secrets.toml"
    kept = file.read_text() if file.exists() else f'webhook = "{SECRET}"'  # a store in memory keeps no key
    (line,) = (line for line in kept.splitlines() if line.startswith("webhook = "))
    made = line.removeprefix("webhook = ").strip('"')
    assert made.startswith(SECRET_PREFIX)
    assert len(keys_of(made)) == 1


@on_every_store
async def test_a_question_to_a_person_is_told_with_the_link_that_answers_it(
    sending: Start, receiver: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    node = await sending(ends())
    job = await create(node, receiver, "asks")
    await until(lambda: receiver.received)
    (news,) = told(receiver)
    assert (news["event"], news["job_id"], news["error"]) == ("approval_requested", job, None)
    asked = news["result"]
    assert (asked["integration"], asked["message"]) == ("mail", "Shall we?")
    assert asked["decisions"] == ["approved", "rejected"]
    assert asked["approval_url"].startswith(node.url)
    link = asked["approval_url"].removeprefix(node.url)
    assert (await node.call("POST", link, {"decision": "approved"}))[0] == 200
    await until(lambda: len(receiver.received) == 2)
    assert told(receiver)[1]["event"] == "job_finished"
    for record in caplog.records:
        assert "token=" not in record.getMessage(), "the log is no place for the secret of a link"


async def test_a_job_without_a_url_tells_nobody(sending: Start, receiver: Sink) -> None:
    node = await sending(ends())
    silent = await node.create({"initial_data": {"how": "finished"}}, PATH)
    await node.ended(silent)
    loud = await create(node, receiver, "finished")
    await until(lambda: receiver.received)
    assert [news["job_id"] for news in told(receiver)] == [loud]


async def test_a_server_that_is_down_for_a_while_is_told_later(sending: Start, receiver: Sink) -> None:
    receiver.answer = always(status(503))
    node = await sending(ends())
    await create(node, receiver, "finished")
    await until(lambda: len(receiver.received) >= 3)
    receiver.answer = always(status(200))
    count = len(receiver.received)
    await until(lambda: len(receiver.received) > count)
    assert len({received.body for received in receiver.received}) == 1
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1


@on_every_store
async def test_what_was_given_up_lies_in_a_queue_until_an_operator_sends_it_again(
    sending: Start, receiver: Sink
) -> None:
    receiver.answer = always(status(410))
    node = await sending(ends())
    job = await create(node, receiver, "finished")
    store = node.engine.app[STORAGE_KEY]
    async with asyncio.timeout(10):
        while not (dead := await store.peek(DEAD, limit=10)):
            await asyncio.sleep(0.01)
    assert [message.job for message in dead] == [job]
    assert isinstance(dead[0].body, SendWebhook)
    assert "410" in dead[0].body.trouble
    receiver.answer = always(status(200))
    answer = await node.post(f"/api/v1/jobs/{job}/webhook/resend", token=OPERATOR_TOKEN)
    assert answer[0] == 202
    await until(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert await store.peek(DEAD, limit=10) == []


async def test_a_question_that_nobody_took_is_sent_again_while_it_is_open(
    sending: Start, receiver: Sink
) -> None:
    receiver.answer = always(status(410))
    node = await sending(ends())
    job = await create(node, receiver, "asks")
    store, again = node.engine.app[STORAGE_KEY], f"/api/v1/jobs/{job}/webhook/resend"
    async with asyncio.timeout(10):
        while not await store.peek(DEAD, limit=10):
            await asyncio.sleep(0.01)
    receiver.answer = always(status(200))
    assert (await node.post(again, token=OPERATOR_TOKEN))[0] == 202
    await until(lambda: len(receiver.received) == 2)
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1
    link = told(receiver)[1]["result"]["approval_url"].removeprefix(node.url)
    async with asyncio.timeout(10):
        while await store.peek(DEAD, limit=10):
            await asyncio.sleep(0.01)
    assert (await node.post(again, token=OPERATOR_TOKEN))[0] == 409, "it was taken"
    assert (await node.call("POST", link, {"decision": "approved"}))[0] == 200
    await until(lambda: len(receiver.received) == 3)
    assert told(receiver)[2]["event"] == "job_finished"


async def test_a_job_is_refused_whose_webhook_could_never_be_sent(start: Start) -> None:
    node = await start(ends())
    urls = [case.url.replace("{port}", "8443") for case in cases() if case.kind not in ("resolved", "mixed")]
    for url in ["http://app.example/", *(url for url in urls if "public.example#" not in url)]:
        status_code, problem = await node.post(PATH, {"initial_data": {}, "webhook_url": url})
        assert status_code == 400, url
        assert (problem["error"]["code"], problem["error"]["field"]) == ("invalid_input", "webhook_url")
    assert (await node.get("/api/v1/jobs"))[1]["jobs"] == []


async def test_a_name_that_turns_out_to_be_of_this_network_is_never_connected_to(
    sending: Start, receiver: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def inside(_: Any, host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ("127.0.0.1", HERE)

    monkeypatch.setattr(webhook, "_system_lookup", inside)
    node = await sending(ends())
    body = {"initial_data": {"how": "finished"}, "webhook_url": f"http://app.example:{receiver.port}/"}
    await node.create(body, PATH)
    store = node.engine.app[STORAGE_KEY]
    async with asyncio.timeout(10):
        while not await store.peek(DEAD, limit=1):
            await asyncio.sleep(0.01)
    assert asked == ["app.example"]
    assert receiver.connections == 0
