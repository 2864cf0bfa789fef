"""Who did the work that another one sends: proven, or not believed (feature E3).

The signatures are made here from what the reference says, and from nothing of ours.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.generations.processes import single
from tests.integration.generations.speakers import G4, NUMBERS, plain
from tests.integration.http.conftest import OPERATOR_TOKEN, WORKER_TOKEN, Orchestrator, Start

CAM, GATE = "the-own-token-of-cam-01", "the-own-token-of-gate-1"
PAIR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PEM = PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
FILE = f"""
[cam-01]
token = "{CAM}"
[gate-1]
token = "{GATE}"
[gate-2]
token_sha256 = "{hashlib.sha256(b"a token that opens and signs nothing").hexdigest()}"
[eye]
public_key = '''
{PEM}'''
"""
LEFT_OUT = {"security", "_signature", "bubbling_chain", "lease_token", "worker_id"}

Message = dict[str, Any]
Sign = Callable[[bytes], str]
Change = Callable[[Message], None]


def text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def with_token(token: str) -> Sign:
    key = hmac.new(token.encode(), b"rxon hop", hashlib.sha256).hexdigest()
    return lambda message: hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def with_pair(pair: Ed25519PrivateKey) -> Sign:
    return lambda message: pair.sign(message).hex()


SIGN = {
    "cam-01": with_token(CAM),
    "gate-1": with_token(GATE),
    "eye": with_pair(PAIR),
    "common": with_token(WORKER_TOKEN),
}


def passed(message: Message, *chain: str, sign: dict[str, Sign] | None = None) -> Message:
    """The message as the last of the chain sends it, signed by each."""
    message = message | {"origin_worker_id": chain[0], "worker_id": chain[-1]}
    message.setdefault("timestamp", int(time.time()))
    covered = plain({name: value for name, value in message.items() if name not in LEFT_OUT})
    digest = hashlib.sha256(text(covered)).hexdigest()
    keys = SIGN | (sign or {})
    hops = [keys[name](text([digest, *chain[:place]])) for place, name in enumerate(chain, 1)]
    return message | {"security": {"identity_chain": list(chain), "hops": hops}}


def event(task: Message) -> Message:
    return {
        "event_id": f"e-{next(NUMBERS)}",
        "event_type": "seen",
        "payload": {"n": 1.0, "none": None},
        "target_job_id": task["job_id"],
        "target_task_id": task["task_id"],
    }


def result(task: Message) -> Message:
    return {"job_id": task["job_id"], "task_id": task["task_id"], "data": {"n": 1.0, "text": "é"}}


Make = Callable[[Message], Message]
PATHS: dict[Make, str] = {event: "/_worker/events", result: "/_worker/tasks/result"}


class Stage:
    """A node, and the worker `gate-1`, which holds a task and has others do it."""

    def __init__(self, node: Orchestrator, gate: G4, job: str, task: Message) -> None:
        self.node, self.gate, self.job, self.task = node, gate, job, task

    async def send(self, make: Make, message: Message) -> tuple[int, Any]:
        return await self.node.call("POST", PATHS[make], message, headers=self.gate.headers)

    async def facts(self, kind: str) -> list[Message]:
        _, history = await self.node.get(f"/api/v1/jobs/{self.job}/history")
        return [fact["data"] for fact in history["events"] if fact["event_type"] == kind]

    async def origins(self) -> list[tuple[str, str | None]]:
        """Who sent each event and the result, and who is on record as having done the work."""
        told = await self.facts("task_signalled")
        told += [fact["report"] for fact in await self.facts("task_reported")]
        return [(each["worker"], each.get("origin")) for each in told]


Begin = Callable[..., Any]


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Begin:
    async def begun(**settings: Any) -> Stage:
        (tmp_path / "workers.toml").write_text(FILE)
        node = await start(single(), WORKERS_CONFIG_PATH=tmp_path / "workers.toml", **settings)
        gate = G4(node, "gate-1", GATE, signed=settings.get("WORKER_SIGNATURES") == "required")
        assert (await gate.register())[0] == 200
        job = await node.create({"skill": gate.skill, "params": {}}, "/api/v1/jobs/single")
        return Stage(node, gate, job, await gate.take())

    return begun


@pytest.mark.parametrize("chain", [("cam-01", "gate-1"), ("eye", "gate-1"), ("eye", "cam-01", "gate-1")])
async def test_who_did_the_work_is_on_record_when_it_is_proven(begin: Begin, chain: tuple[str, ...]) -> None:
    stage = await begin()
    heard: list[tuple[str, Any]] = []

    async def hook(worker: str, told: Any) -> None:
        heard.append((worker, told["origin_worker_id"]))

    stage.node.engine.on_worker_event.append(hook)
    for make in (event, result):
        assert (await stage.send(make, passed(make(stage.task), *chain)))[0] == 200
    assert await stage.origins() == [("gate-1", chain[0])] * 2
    assert (await stage.node.ended(stage.job))["result"] == {"n": 1.0, "text": "é"}
    assert heard == [("gate-1", chain[0])]
    news = await follow(stage)
    assert (news["worker_id"], news["origin_worker_id"]) == ("gate-1", chain[0])


async def follow(stage: Stage) -> Message:
    """What a follower hears of the event."""
    url = f"{stage.node.url}/api/v1/jobs/{stage.job}/events"
    headers = {"X-Client-Token": OPERATOR_TOKEN}
    async with stage.node.session.get(url, headers=headers) as response:
        lines = (await response.text()).split("\n\n")
    (found,) = [piece for piece in lines if piece.startswith("event: worker_event")]
    told: Message = json.loads(found.partition("data: ")[2])["data"]
    return told


def changed(**members: Any) -> Change:
    return lambda message: message.update(members)


def chain_of(*names: str) -> Change:
    return lambda message: message["security"].update(identity_chain=list(names))


def hops(change: Callable[[list[str]], list[str]]) -> Change:
    return lambda message: message["security"].update(hops=change(message["security"]["hops"]))


def cut(message: Message) -> None:
    """Without the one in the middle."""
    del message["security"]["identity_chain"][1], message["security"]["hops"][1]


def taken_over(message: Message) -> None:
    """As if the sender had done the work."""
    message["origin_worker_id"] = "gate-1"
    message["security"] = {"identity_chain": ["gate-1"], "hops": message["security"]["hops"][-1:]}


def beheaded(message: Message) -> None:
    """Without the one that did the work."""
    message["origin_worker_id"] = "cam-01"
    del message["security"]["identity_chain"][0], message["security"]["hops"][0]


CHAIN = ("eye", "cam-01", "gate-1")
FALSE: dict[str, tuple[Change, str]] = {
    "another order": (chain_of("cam-01", "eye", "gate-1"), "does not begin with the origin"),
    "another order of signatures": (hops(lambda all: [all[1], all[0], all[2]]), "Invalid signature of 'eye'"),
    "one left out": (cut, "Invalid signature of 'gate-1'"),
    "the end cut off": (
        lambda message: message["security"].update(
            identity_chain=["eye", "cam-01"], hops=message["security"]["hops"][:2]
        ),
        "does not end with the sender",
    ),
    "the beginning cut off": (
        beheaded,
        "Invalid signature of 'cam-01'",
    ),
    "taken over": (taken_over, "Invalid signature of 'gate-1'"),
    "fewer signatures": (hops(lambda all: all[:2]), "2 signatures of 3 workers"),
    "no signatures": (hops(lambda all: []), "0 signatures of 3 workers"),
    "no chain": (lambda message: message["security"].pop("identity_chain"), "1 to 64 workers"),
    "one twice": (
        lambda message: message["security"].update(
            identity_chain=["eye", "eye", "gate-1"], hops=message["security"]["hops"]
        ),
        "twice",
    ),
    "another origin": (changed(origin_worker_id="cam-01"), "does not begin with the origin"),
    "other data": (changed(data={"n": 2}, payload={"n": 2}), "Invalid signature of 'eye'"),
    "another task": (changed(task_id="x", target_task_id="x"), "Invalid signature of 'eye'"),
    "another time": (
        lambda message: message.update(timestamp=message["timestamp"] - 1),
        "Invalid signature of 'eye'",
    ),
    "no time": (lambda message: message.pop("timestamp"), "has no timestamp"),
    "a signature that is none": (hops(lambda all: ["é", *all[1:]]), "Invalid signature of 'eye'"),
    "too many": (chain_of("eye", *["cam-01"] * 63, "gate-1"), "1 to 64 workers"),
}


@pytest.mark.parametrize("make", PATHS, ids=lambda make: str(make.__name__))
async def test_a_chain_that_was_tampered_with_is_refused_and_has_no_effect(begin: Begin, make: Make) -> None:
    stage = await begin()
    honest = passed(make(stage.task), *CHAIN)
    for name, (change, says) in FALSE.items():
        forged = json.loads(json.dumps(honest))
        change(forged)
        status, answer = await stage.send(make, forged)
        assert (status, answer["code"]) == (403, "forbidden"), name
        assert says in answer["error"], name
        assert abs(answer["server_time"] - time.time()) < 60
    assert await stage.origins() == []
    assert (await stage.send(make, honest))[0] == 200
    assert await stage.origins() == [("gate-1", "eye")]


@pytest.mark.parametrize(
    ("chain", "sign", "says"),
    [
        (("eye", "gate-1"), {"eye": with_pair(STRANGER)}, "'eye'"),
        (("cam-01", "gate-1"), {"cam-01": SIGN["common"]}, "'cam-01'"),
        (("cam-01", "gate-1"), {"cam-01": SIGN["gate-1"]}, "'cam-01'"),
        (("cam-01", "gate-1"), {"gate-1": SIGN["common"]}, "'gate-1'"),
        (("gate-2", "gate-1"), {"gate-2": with_token("a token that opens and signs nothing")}, "'gate-2'"),
    ],
)
async def test_a_chain_that_one_of_its_workers_has_not_signed_is_refused(
    begin: Begin, chain: tuple[str, ...], sign: dict[str, Sign], says: str
) -> None:
    stage = await begin()
    for make in PATHS:
        status, answer = await stage.send(make, passed(make(stage.task), *chain, sign=sign))
        assert (status, answer["error"]) == (403, f"Invalid signature of {says} in the identity chain")


@pytest.mark.parametrize(("seconds", "status"), [(-58, 200), (-63, 403), (63, 403)])
async def test_a_chain_is_of_today(begin: Begin, seconds: int, status: int) -> None:
    stage = await begin()
    for make in PATHS:
        message = make(stage.task) | {"timestamp": int(time.time()) + seconds}
        found, answer = await stage.send(make, passed(message, "cam-01", "gate-1"))
        assert found == status
        if status == 403:
            assert answer["error"] == "Identity chain expired (replay protection)"


async def test_a_chain_of_another_message_proves_nothing(begin: Begin) -> None:
    stage = await begin()
    first, second = passed(event(stage.task), "cam-01", "gate-1"), passed(event(stage.task), "eye", "gate-1")
    assert (await stage.send(event, first))[0] == 200
    assert (await stage.send(event, second | {"security": first["security"]}))[0] == 403
    assert (await stage.send(event, first))[0] == 200  # the same once more is the same
    assert len(await stage.origins()) == 1


async def test_who_has_no_token_of_its_own_signs_with_the_one_for_all(begin: Begin) -> None:
    stage = await begin()
    known = {"hut": SIGN["common"]}
    assert (await stage.send(result, passed(result(stage.task), "hut", "gate-1", sign=known)))[0] == 200
    assert await stage.origins() == [("gate-1", "hut")]


async def test_the_bubbling_chain_of_an_event_is_the_way_that_was_signed(begin: Begin) -> None:
    stage = await begin()
    for way, status in (
        (["cam-01", "gate-1"], 200),
        (["cam-01"], 200),
        (["gate-1"], 403),
        (["gate-1", "cam-01"], 403),
        (["cam-01", "elsewhere"], 403),
        ([], 403),
    ):
        message = passed(event(stage.task), *CHAIN) | {"bubbling_chain": way}
        assert (await stage.send(event, message))[0] == status, way


async def test_a_chain_does_not_make_up_for_a_task_that_is_not_held(begin: Begin) -> None:
    stage = await begin()
    stranger = G4(stage.node, "cam-01", CAM)
    await stranger.register()
    message = passed(event(stage.task), "gate-1", "cam-01")
    path = PATHS[event]
    assert (await stage.node.call("POST", path, message, headers=stranger.headers))[0] == 403
    assert await stage.origins() == []


async def test_what_nobody_proved_is_not_on_record(begin: Begin) -> None:
    stage = await begin()
    claim = {"worker_id": "gate-1", "origin_worker_id": "cam-01"}
    chained = {"bubbling_chain": ["gate-1"], "security": {"identity_chain": ["cam-01", "gate-1"]}}
    assert (await stage.send(event, event(stage.task) | claim | chained))[0] == 200
    assert (await stage.send(result, result(stage.task) | claim))[0] == 200
    assert await stage.origins() == [("gate-1", None)] * 2


async def test_where_signatures_are_required_so_are_those_of_chains(begin: Begin) -> None:
    stage = await begin(WORKER_SIGNATURES="required")
    gate, task = stage.gate, stage.task
    for claim in (
        {"origin_worker_id": "cam-01"},
        {"origin_worker_id": "gate-1", "bubbling_chain": ["cam-01"]},
    ):
        message = gate.in_shape(event(task) | {"worker_id": "gate-1"} | claim)
        status, answer = await stage.send(event, message)
        assert (status, answer["error"]) == (403, "Missing required identity chain")
    for make in PATHS:
        stamped = make(task) | {"timestamp": gate.now()}
        vouched = passed(stamped, "cam-01", "gate-1")
        assert (await stage.send(make, vouched))[0] == 403  # the sender has not signed the message
        bare = {name: value for name, value in vouched.items() if name != "security"}
        both = gate.in_shape(bare)
        both["security"] |= vouched["security"]
        assert (await stage.send(make, both))[0] == 200
    assert await stage.origins() == [("gate-1", "cam-01")] * 2
