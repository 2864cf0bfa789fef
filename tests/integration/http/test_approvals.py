"""A job asks a person: the inbox, the decision of a client, and the decision by the link (A8, B4)."""

import asyncio
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from avtomatika import ActionFactory, Blueprint
from avtomatika.app import STORAGE_KEY
from avtomatika.commands.approvals import Approvals
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.model import AwaitingHuman
from tests.integration.http.conftest import (
    OPERATOR_TOKEN,
    OTHER_TOKEN,
    Orchestrator,
    Start,
    on_every_store,
    on_lasting_stores,
)
from tests.integration.webhooks.sinks import HERE, TAKEN, Answer, Received, Sink, always, sink

KEY = "the-key-of-approval-links"
SECRET = {"APPROVAL_SECRET": KEY}
SCHEMA = {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "number"}}}

runs: Counter[str] = Counter()
"""How often the handler behind each decision was run."""


@pytest.fixture(autouse=True)
def _nothing_was_run() -> None:
    runs.clear()


def asking(name: str = "ask", **options: Any) -> Blueprint:
    """Asks; the result is the name of the state that was decided for, and all that is known then."""
    blueprint = Blueprint(name, api_version="v1", api_endpoint=f"/{name}")

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        ways = {"approved": "shipped", "rejected": "dropped", "timeout": "late"}
        message = initial_data.get("message", "Ship it?")
        actions.await_human_approval("the shop", message, ways, **options)

    @blueprint.handler(is_end=True)
    async def shipped(state_history: dict[str, Any]) -> dict[str, Any]:
        runs["shipped"] += 1
        return state_history

    @blueprint.handler(is_end=True)
    async def dropped() -> str:
        runs["dropped"] += 1
        return "dropped"

    @blueprint.handler(is_end=True)
    async def late() -> str:
        return "late"

    return blueprint


async def asked(start: Start, **options: Any) -> tuple[Orchestrator, str]:
    """A job that asks."""
    node = await start(asking(**options), **SECRET)
    return node, await question(node)


async def question(node: Orchestrator, path: str = "/api/v1/ask", body: Any = None, **headers: str) -> str:
    """The id of a new job that asks by now."""
    job_id = await node.create(body, path, **headers)
    await asks(node, job_id)
    return job_id


async def asks(node: Orchestrator, job_id: str) -> None:
    """The job asks somebody."""
    async with asyncio.timeout(5):
        while (await node.job(job_id))["status"] != "waiting_for_human":
            await asyncio.sleep(0.002)


async def decide(
    node: Orchestrator, job_id: str, decision: Any = "approved", **fields: Any
) -> tuple[int, Any]:
    token = fields.pop("token", None)
    who = {} if token is None else {"token": token}
    return await node.post(f"/api/v1/jobs/{job_id}/approval", {"decision": decision, **fields}, **who)


async def by_link(
    node: Orchestrator, job_id: str, secret: str | None, decision: str = "approved", **fields: Any
) -> tuple[int, Any]:
    query = {} if secret is None else {"token": secret}
    body = {"decision": decision, **fields}
    return await node.call("POST", f"/_public/webhooks/approval/{job_id}", body, params=query)


async def secret_of(node: Orchestrator, job_id: str, key: str = KEY) -> str:
    """The secret of the question that the job asks."""
    job = await node.engine.app[STORAGE_KEY].load(JobId(job_id))
    assert job is not None
    assert isinstance(job.phase, AwaitingHuman)
    return made(job_id, job.phase.since, key)


def made(job_id: str, since: int, key: str = KEY) -> str:
    nobody: Any = None  # the secret depends on nothing but the key
    return Approvals(nobody, nobody, key).secret(JobId(job_id), since)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


async def test_the_inbox_tells_all_that_a_person_needs_to_decide(start: Start) -> None:
    node = await start(asking(timeout=60, data_schema=SCHEMA), **SECRET)
    body = {"initial_data": {"message": "Ship 7?"}, "labels": {"shop": "7"}}
    job_id = await question(node, body=body)
    job = await node.job(job_id)
    assert (job["status"], job["waiting"]["reason"]) == ("waiting_for_human", "human")
    status, page = await node.get("/api/v1/approvals")
    assert status == 200
    assert page["next"] is None
    (entry,) = page["approvals"]
    assert entry.pop("expires_at") - entry.pop("asked_at") == 60_000
    assert entry == {
        "approval_id": job["waiting"]["approval_id"],
        "job_id": job_id,
        "blueprint_name": "ask",
        "integration": "the shop",
        "message": "Ship 7?",
        "decisions": ["approved", "rejected"],
        "data_schema": SCHEMA,
        "labels": {"shop": "7"},
    }


async def test_the_moment_of_a_question_stays_when_something_else_happens_to_the_job(start: Start) -> None:
    node, job_id = await asked(start)
    (before,) = (await node.get("/api/v1/approvals"))[1]["approvals"]
    await asyncio.sleep(0.01)
    assert (await node.post(f"/api/v1/jobs/{job_id}/events/seen"))[0] == 202
    (after,) = (await node.get("/api/v1/approvals"))[1]["approvals"]
    assert after == before
    assert (await node.job(job_id))["updated_at"] > before["asked_at"]


@on_every_store
async def test_the_inbox_has_pages_filters_and_only_what_waits(start: Start) -> None:
    node = await start(asking(), asking("other"), **SECRET)
    path = "/api/v1/approvals"
    jobs = [await question(node, body={"initial_data": {}, "labels": {"n": str(n % 2)}}) for n in range(5)]
    others = await question(node, "/api/v1/other")
    assert (await decide(node, jobs[0]))[0] == 200
    _, theirs = await node.post("/api/v1/ask", {}, token=OTHER_TOKEN)
    while not (await node.get(path, token=OTHER_TOKEN))[1]["approvals"]:
        await asyncio.sleep(0.002)

    async def inbox(**query: Any) -> list[str]:
        token = query.pop("token", None)
        who = {} if token is None else {"token": token}
        _, page = await node.get(path, **query, **who)
        return sorted(entry["job_id"] for entry in page["approvals"])

    assert await inbox() == sorted([*jobs[1:], others])
    assert await inbox(blueprint="other") == [others]
    assert await inbox(label="n:0") == sorted([jobs[2], jobs[4]])
    assert await inbox(label="n:0", blueprint="other") == []
    assert await inbox(token=OTHER_TOKEN) == [theirs["job_id"]]
    assert len(await inbox(token=OPERATOR_TOKEN)) == 6
    _, first = await node.get(path, limit=3)
    _, second = await node.get(path, limit=3, after=first["next"])
    found = [entry["job_id"] for entry in first["approvals"] + second["approvals"]]
    assert sorted(found) == sorted([*jobs[1:], others])
    assert second["next"] is None
    assert code(await node.get(path, limit=0)) == (400, "invalid_input")


@on_every_store
async def test_a_client_decides_and_what_goes_with_it_is_laid_over_the_history(start: Start) -> None:
    node, job_id = await asked(start)
    answer = await decide(node, job_id, data={"sum": 1.0, "by": "ann"})
    assert answer == (200, {"status": "approval_received", "job_id": job_id})
    result = (await node.ended(job_id))["result"]
    kept = result.pop("approval")
    assert result == {"sum": 1.0, "by": "ann"}
    assert (kept["decision"], kept["by"], kept["data"]) == ("approved", "default", {"sum": 1.0, "by": "ann"})


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"metadata": {"by": "ann"}}, {"by": "ann"}),
        ({"metadata": {"by": "ann", "n": 1}, "data": {"n": 2}}, {"by": "ann", "n": 2}),
        ({"data": None, "metadata": None, "security": {"signer": "x"}}, {}),
        ({}, {}),
    ],
)
async def test_metadata_is_the_older_name_of_data(start: Start, fields: Any, known: Any) -> None:
    node, job_id = await asked(start)
    assert (await decide(node, job_id, **fields))[0] == 200
    result = (await node.ended(job_id))["result"]
    del result["approval"]
    assert result == known


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "burnt"}, "decision"),
        ({"decision": "timeout"}, "decision"),
        ({"decision": ""}, "decision"),
        ({"decision": 7}, "decision"),
        ({}, "decision"),
        ({"decision": "approved", "data": [1]}, "data"),
        ({"decision": "approved", "metadata": "x"}, "metadata"),
        ({"decision": "approved", "data": {}, "metadata": 1}, "metadata"),
        ({"decision": "approved", "colour": 1}, "colour"),
    ],
)
async def test_only_what_is_listed_can_be_decided(start: Start, body: Any, field: str) -> None:
    node, job_id = await asked(start)
    path, secret = f"/_public/webhooks/approval/{job_id}", await secret_of(node, job_id)
    for status, answer in (
        await node.post(f"/api/v1/jobs/{job_id}/approval", body),
        await node.call("POST", path, {**body, "token": secret}),
    ):
        assert (status, answer["error"]["code"]) == (400, "invalid_input")
        assert answer["error"]["field"] == field
    assert (await node.job(job_id))["status"] == "waiting_for_human"


async def test_data_must_be_as_the_question_says(start: Start) -> None:
    node, job_id = await asked(start, data_schema=SCHEMA)
    for wrong in ({}, {"data": {"sum": "much"}}, {"metadata": {"n": 1}}):
        status, body = await decide(node, job_id, **wrong)
        assert (status, body["error"]["field"]) == (400, "data")
    assert (await decide(node, job_id, data={"sum": 2.5}))[0] == 200
    assert (await node.ended(job_id))["result"]["sum"] == 2.5


@on_every_store
@pytest.mark.parametrize("way", ["client", "link"])
async def test_of_fifty_decisions_at_once_the_first_counts(start: Start, way: str) -> None:
    node, job_id = await asked(start)
    secret = await secret_of(node, job_id)
    words = ["approved", "rejected"] * 25
    if way == "client":
        answers = await asyncio.gather(*(decide(node, job_id, word) for word in words))
    else:
        answers = await asyncio.gather(*(by_link(node, job_id, secret, word) for word in words))
    statuses = [status for status, _ in answers]
    assert Counter(statuses) == {200: 1, 409 if way == "client" else 404: 49}
    job = await node.ended(job_id)
    won = {"approved": "shipped", "rejected": "dropped"}[words[statuses.index(200)]]
    assert job["current_state"] == won
    assert runs == {won: 1}


async def test_a_secret_counts_whatever_else_a_program_sends_along(start: Start) -> None:
    node, job_id = await asked(start)
    url = f"{node.url}/_public/webhooks/approval/{job_id}?token={await secret_of(node, job_id)}"
    headers = {"Authorization": "Basic c29tZTpib2R5"}
    async with node.session.post(url, json={"decision": "approved"}, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("place", ["query", "body"])
async def test_whoever_has_the_secret_decides_without_a_token(start: Start, place: str) -> None:
    node, job_id = await asked(start)
    secret = await secret_of(node, job_id)
    given = (secret, {}) if place == "query" else (None, {"token": secret})
    answer = await by_link(node, job_id, given[0], data={"n": 1}, **given[1])
    assert answer == (200, {"status": "approval_received", "job_id": job_id})
    result = (await node.ended(job_id))["result"]
    assert (result["n"], result["approval"]["by"]) == (1, "approval link")


async def test_the_client_may_decide_at_the_address_of_the_link(start: Start) -> None:
    node, job_id = await asked(start)
    path = f"/_public/webhooks/approval/{job_id}"
    assert code(await node.post(path, {"decision": "approved"}, token="nobody's token")) == (
        401,
        "unauthorized",
    )
    assert code(await node.post(path, {"decision": "approved"}, token=OTHER_TOKEN)) == (404, "not_found")
    assert code(await by_link(node, job_id, None)) == (401, "unauthorized")
    assert (await node.post(path, {"decision": "approved"}))[0] == 200


def twice() -> Blueprint:
    """Asks two questions, one after the other."""
    blueprint = Blueprint("twice", api_version="v1", api_endpoint="/twice")

    @blueprint.handler(is_start=True)
    async def first(actions: ActionFactory) -> None:
        actions.await_human_approval("x", "one?", {"yes": "second"})

    @blueprint.handler
    async def second(actions: ActionFactory) -> None:
        actions.await_human_approval("x", "two?", {"yes": "end"})

    @blueprint.handler(is_end=True)
    async def end() -> None:
        return None

    return blueprint


async def test_any_other_secret_is_answered_like_a_job_that_is_not_there(start: Start) -> None:
    node = await start(twice(), **SECRET)
    job_id = await question(node, "/api/v1/twice")
    other = await question(node, "/api/v1/twice")
    stale = await secret_of(node, job_id)
    assert (await by_link(node, job_id, stale, "yes"))[0] == 200
    right = await secret_of(node, job_id)
    assert right != stale
    tries = [
        (job_id, stale),
        (job_id, await secret_of(node, other)),
        (job_id, await secret_of(node, job_id, "another key than that")),
        (job_id, right[:-1]),
        (job_id, right + "0"),
        (job_id, right.partition(".")[2]),
        (job_id, "0"),
        (job_id, "9" * 500),
        (job_id, "é.ü"),
        ("there-is-no-such-job", right),
    ]
    answers = [await by_link(node, *each, "yes") for each in tries]
    assert (await by_link(node, job_id, right, "yes"))[0] == 200
    await node.ended(job_id)
    answers.append(await by_link(node, job_id, right, "yes"))
    for status, body in answers:
        del body["error"]["request_id"]
        assert (status, body) == (404, {"error": {"code": "not_found", "message": "Job not found"}})
    assert (await node.job(other))["current_state"] == "first"


async def test_an_answer_names_the_question_that_it_is_for(start: Start) -> None:
    node = await start(twice(), **SECRET)
    job_id = await question(node, "/api/v1/twice")
    (first,) = (await node.get("/api/v1/approvals"))[1]["approvals"]
    named = {"approval_id": first["approval_id"]}
    assert (await decide(node, job_id, "yes", **named))[0] == 200
    assert code(await decide(node, job_id, "yes", **named)) == (409, "conflict")
    assert (await by_link(node, job_id, await secret_of(node, job_id), "yes", **named))[0] == 404
    (second,) = (await node.get("/api/v1/approvals"))[1]["approvals"]
    assert second["message"] == "two?"
    assert (await decide(node, job_id, "yes", approval_id=second["approval_id"]))[0] == 200
    assert (await node.ended(job_id))["status"] == "finished"


async def test_others_jobs_are_not_there_and_operators_decide_for_all(start: Start) -> None:
    node, job_id = await asked(start)
    assert code(await decide(node, job_id, token=OTHER_TOKEN)) == (404, "not_found")
    assert code(await decide(node, "no-such-job")) == (404, "not_found")
    assert (await decide(node, job_id, token=OPERATOR_TOKEN))[0] == 200
    assert (await node.ended(job_id))["result"]["approval"]["by"] == "operator"


async def test_a_job_that_does_not_ask_cannot_be_answered(start: Start) -> None:
    node, job_id = await asked(start)
    assert (await decide(node, job_id, "rejected"))[0] == 200
    await node.ended(job_id)
    assert code(await decide(node, job_id)) == (409, "already_over")
    idle = Blueprint("idle", api_version="v1", api_endpoint="/idle")

    @idle.handler(is_start=True)
    async def start_here(actions: ActionFactory) -> None:
        actions.dispatch_task("work", {}, {"approved": "end"})

    @idle.handler(is_end=True)
    async def end() -> None:
        return None

    await node.engine.stop()
    other = await start(idle, **SECRET)
    busy = await other.create({}, "/api/v1/idle")
    async with asyncio.timeout(5):
        while (await other.job(busy))["status"] != "waiting_for_worker":
            await asyncio.sleep(0.002)
    assert code(await decide(other, busy)) == (409, "conflict")
    assert (await other.job(busy))["status"] == "waiting_for_worker"


@on_every_store
async def test_a_question_that_nobody_answers_in_time_follows_the_timeout(start: Start) -> None:
    node, job_id = await asked(start, timeout=0.2)
    job = await node.ended(job_id)
    assert (job["status"], job["result"]) == ("finished", "late")
    assert code(await decide(node, job_id)) == (409, "already_over")
    assert (await node.get("/api/v1/approvals"))[1]["approvals"] == []


@on_lasting_stores
async def test_a_question_and_its_link_outlive_the_node(start: Start) -> None:
    node, job_id = await asked(start)
    secret, before = await secret_of(node, job_id), (await node.get("/api/v1/approvals"))[1]
    await node.engine.stop()
    node = await start(asking(), **SECRET)
    assert (await node.get("/api/v1/approvals"))[1] == before
    assert (await by_link(node, job_id, secret))[0] == 200
    await node.ended(job_id)
    assert runs == {"shipped": 1}


HOOKS = {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_HOSTS": HERE, **SECRET}


async def received(server: Sink, count: int = 1) -> list[dict[str, Any]]:
    """The first pieces of news that the server got."""
    async with asyncio.timeout(5):
        while len(server.received) < count:
            await asyncio.sleep(0.005)
    return [json.loads(each.body) for each in server.received]


async def test_the_receiver_of_the_webhook_answers_by_the_link_in_it(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with sink(always(TAKEN)) as server:
        node = await start(asking(timeout=60, data_schema=SCHEMA), **HOOKS)
        body = {"initial_data": {}, "webhook_url": f"http://{HERE}:{server.port}/hook"}
        job_id = await node.create(body, "/api/v1/ask")
        (news,) = await received(server)
        assert (news["event"], news["job_id"], news["status"]) == (
            "approval_requested",
            job_id,
            "waiting_for_human",
        )
        (listed,) = (await node.get("/api/v1/approvals"))[1]["approvals"]
        same = ("approval_id", "integration", "message", "decisions", "data_schema", "expires_at")
        told = news["result"]
        link = told.pop("approval_url")
        assert told == {name: listed[name] for name in same}
        assert link.startswith(f"{node.url}/_public/webhooks/approval/{job_id}?token=")
        secret = link.partition("token=")[2]
        assert secret == await secret_of(node, job_id)
        async with node.session.post(link, json={"decision": "approved", "data": {"sum": 1}}) as answer:
            assert answer.status == 200
        assert [each["event"] for each in await received(server, 2)] == ["approval_requested", "job_finished"]
        assert (await node.ended(job_id))["result"]["approval"]["by"] == "approval link"
        await node.engine.stop()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret.partition(".")[2] not in caplog.text


async def test_the_link_leads_to_the_public_address_and_the_same_one_each_time(start: Start) -> None:
    async def once_more(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if len(server.received) < 2 else TAKEN)

    answer: Answer = once_more
    async with sink(answer) as server:
        public = {"PUBLIC_URL": "https://jobs.example/flow/", "WEBHOOK_BACKOFF_SECONDS": "0.05"}
        node = await start(asking(), **HOOKS, **public)
        body = {"initial_data": {}, "webhook_url": f"http://{HERE}:{server.port}/hook"}
        job_id = await node.create(body, "/api/v1/ask")
        first, second = await received(server, 2)
        assert first == second
        url = urlsplit(first["result"]["approval_url"])
        assert (url.scheme, url.netloc) == ("https", "jobs.example")
        assert url.path == f"/flow/_public/webhooks/approval/{job_id}"
