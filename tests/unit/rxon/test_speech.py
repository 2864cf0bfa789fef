"""What is sent to earlier servers is what they believe; judged by code of its own."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxon.errors import ForbiddenError, ProtocolError, UnavailableError
from rxon.http.keys import Keys
from rxon.http.speech.choice import keeping, speeches
from rxon.http.speech.signed import Pen, Signed
from rxon.http.speech.speech import MOST_NONCES, Memory, Speech
from rxon.http.speech.third import key_of_own_token
from rxon.messages import Heartbeat, HeartbeatAnswer, Registration, SecurityContext, TaskResult, WorkerEvent
from rxon.signing.identity import vouched
from tests.integration.worker.earlier.signatures import of_o21, of_r14

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.integers(-999, 999).map(lambda n: n / 4)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


def spoken(version: str | None, memory: Memory | None = None, keys: Keys | None = None) -> list[Speech]:
    pen = Pen("w1", "token", "token", lambda: 1790000000.5)
    return speeches(version, keys or Keys("token"), pen, memory or Memory())


def result(data: Any = None, **more: Any) -> TaskResult:
    return TaskResult(job_id="j", task_id="t", data=msgspec.Raw(msgspec.json.encode(data)), **more)


@pytest.mark.parametrize(("version", "judge"), [("1.0b7", of_o21), ("1.0b14", of_r14), ("1.0b17", of_r14)])
@settings(max_examples=60, deadline=None)
@given(data=OBJECTS)
def test_whatever_a_result_carries_its_signature_is_good(version: str, judge: Any, data: Any) -> None:
    (speech,) = spoken(version)
    sent = json.loads(speech.result(result(data)))
    assert sent["data"] == data
    assert sent["timestamp"] == 1790000000
    assert sent["security"] == {"signature": judge(sent, "token"), "signer_id": "w1"}


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("1.0b7", [("own", "own"), ("all", key_of_own_token("own"))]),
        ("1.0b14", [("own", "own"), ("all", "all")]),
        ("1.0b17", [("own", "own"), ("all", "all")]),
    ],
)
def test_each_generation_verifies_with_keys_of_its_own(version: str, keys: list[tuple[str, str]]) -> None:
    found = spoken(version, keys=Keys("own", "all"))
    assert [(s.pen.registration_key, s.pen.key) for s in found if isinstance(s, Signed)] == keys


@pytest.mark.parametrize(
    ("version", "signs"),
    [("1.0b4", True), ("1.0b13", True), ("1.0b999", True), ("1.0.0", True), ("2.0.0", False), ("3", False)],
)
def test_servers_before_protocol_2_get_signatures_at_once(version: str, signs: bool) -> None:
    first = spoken(version)[0]
    assert isinstance(first, Signed) is signs
    assert first.batches is not signs


def test_a_server_of_today_gets_signatures_when_it_demands_them() -> None:
    plain, own, shared = spoken("2.0.0", keys=Keys("own", "all"))
    assert json.loads(plain.result(result({}))).keys().isdisjoint({"security", "timestamp"})
    for speech, key in ((own, "own"), (shared, "all")):
        assert speech.batches
        sent = json.loads(speech.result(result({"n": 1.0})))
        assert sent["timestamp"] == 1790000000
        assert sent["security"] == {"signature": of_r14(sent, key), "signer_id": "w1"}


def test_the_time_of_a_message_that_others_vouch_for_stays() -> None:
    told = vouched(msgspec.structs.replace(result({}), timestamp=1789999990), "w0", lambda _: "00")
    (_, speech) = spoken("2.0.0")
    sent = json.loads(speech.result(vouched(told, "w1", lambda _: "11")))
    assert sent["timestamp"] == 1789999990
    assert sent["origin_worker_id"] == "w0"
    assert sent["security"]["identity_chain"] == ["w0", "w1"]
    assert sent["security"]["hops"] == ["00", "11"]


def test_a_server_that_has_said_nothing_is_spoken_to_plainly_first() -> None:
    first, *others = spoken(None)
    assert json.loads(first.registration(Registration("w1"))) == {"worker_id": "w1"}
    assert not first.batches
    assert others
    assert all(isinstance(speech, Signed) for speech in others)


def test_the_keys_that_were_right_stay_when_the_version_becomes_known() -> None:
    keys = Keys("own", "all")
    *_, last = spoken("1.0b7", keys=keys)
    assert isinstance(last, Signed)
    among = speeches("1.0b7", keys, last.pen, Memory())
    assert keeping(last.pen, among) is among[1]
    assert keeping(None, among) is among[0]


def test_nulls_in_arrays_are_signed_from_1_0b14_on_only() -> None:
    signatures = {
        version: json.loads(spoken(version)[0].result(result({"a": [1, None]})))["security"]["signature"]
        for version in ("1.0b13", "1.0b14")
    }
    sent = {"job_id": "j", "task_id": "t", "timestamp": 1790000000}
    assert signatures["1.0b13"] == of_r14({**sent, "data": {"a": [1]}}, "token")
    assert signatures["1.0b14"] == of_r14({**sent, "data": {"a": [1, None]}}, "token")


def test_a_chain_is_sent_and_not_signed_and_what_the_user_has_signed_stays() -> None:
    event = WorkerEvent(
        event_id="e",
        worker_id="w1",
        origin_worker_id="w0",
        event_type="x",
        payload=msgspec.Raw(b"{}"),
        bubbling_chain=("w0",),
        security=SecurityContext(identity_chain=("a", "b")),
    )
    sent = json.loads(spoken("1.0b14")[0].event(event))
    assert sent["bubbling_chain"] == ["w0"]
    assert sent["security"]["identity_chain"] == ["a", "b"]
    assert sent["security"]["signature"] == of_r14(sent, "token", "bubbling_chain")


class TestHeartbeats:
    def test_jobs_are_named_for_tasks_and_tasks_are_heard_for_jobs(self) -> None:
        memory = Memory()
        (speech,) = spoken("1.0b14", memory)
        memory.jobs.update({"t1": "j1", "t2": "j1", "t3": "j2", "gone": "j3"})
        sent = json.loads(speech.heartbeat(Heartbeat(current_tasks=("t1", "t2", "t3"))))
        assert sent["current_tasks"] == ["j1", "j2"]
        assert "gone" not in memory.jobs
        heard = speech.heard(HeartbeatAnswer("ok", cancel_task_ids=("j1", "elsewhere")))
        assert heard.cancel_task_ids == ("t1", "t2")

    def test_an_answer_that_names_none_is_left_alone(self) -> None:
        assert spoken("1.0b7")[0].heard(HeartbeatAnswer("ok", True)) == HeartbeatAnswer("ok", True)


class TestOffers:
    @pytest.mark.parametrize("params", ["null", "{}"])
    def test_parameters_are_an_object_always(self, params: str) -> None:
        body = f'{{"job_id":"j","task_id":"t","type":"x","params":{params},"deadline":1.5}}'.encode()
        offer = spoken("1.0b7")[0].offer(body)
        assert (bytes(offer.params), offer.deadline) == (b"{}", 1)

    def test_what_is_no_task_is_an_error(self) -> None:
        with pytest.raises(ProtocolError):
            spoken("1.0b7")[0].offer(b'{"job_id":"j"}')


class TestNonces:
    def test_the_nonce_stays_until_the_server_has_judged_the_message(self) -> None:
        memory = Memory()
        (speech,) = spoken("1.0b17", memory)
        nonces = [json.loads(speech.result(result()))["nonce"] for _ in range(2)]
        memory.renew("t", "another")
        nonces.append(json.loads(speech.result(result()))["nonce"])
        memory.forget("t")
        nonces.append(json.loads(speech.result(result()))["nonce"])
        assert nonces[0] == nonces[1]
        assert nonces[2] == "another"
        assert nonces[3] not in nonces[:3]

    def test_every_heartbeat_is_a_new_message(self) -> None:
        (speech,) = spoken("1.0b17")
        first, second = (json.loads(speech.heartbeat(Heartbeat(worker_id="w1"))) for _ in range(2))
        assert first["nonce"] != second["nonce"]
        assert first["security"]["signature"] != second["security"]["signature"]

    def test_only_a_refusal_as_a_duplicate_is_good_news(self) -> None:
        (fifth,), (fourth,) = spoken("1.0b17"), spoken("1.0b14")
        duplicate = ForbiddenError("Duplicate message detected (replay attack)")
        assert fifth.repeated(duplicate)
        assert not fifth.repeated(ForbiddenError("Forbidden: another worker"))
        assert not fifth.repeated(UnavailableError("Duplicate message detected"))
        assert not fourth.repeated(duplicate)

    def test_those_that_nobody_asks_for_again_are_forgotten(self) -> None:
        memory = Memory()
        for n in range(MOST_NONCES + 1):
            memory.renew(f"t{n}", "old")
        assert memory.nonce("t0", "new") == "new"
        assert memory.nonce("t1", "new") == "old"
