"""Events of workers on the wire."""

import msgspec
import pytest

from rxon.codec import decode, encode
from rxon.errors import AuthError, ProtocolError, StaleLeaseError
from rxon.messages import EventAnswer, Registration, WorkerEvent
from rxon.testing.gateway import MemoryGateway
from rxon.testing.loopback import LoopbackTransport
from rxon.transport import PollRequest
from rxon.vocabulary import EventStatus

PUBLISHED = (
    b'{"event_id":"e-1","worker_id":"cam-01","origin_worker_id":"cam-01","event_type":"progress",'
    b'"payload":{"progress":0.50,"message":"half"},"origin_task_id":"task-1","bubbling_chain":["gw-1"],'
    b'"target_job_id":"j-1","target_task_id":"task-1","trace_context":{},"timestamp":1790000000,'
    b'"security":{"signature":"cf26","signer_id":"cam-01"}}'
)


def event(payload: bytes = b"{}", **fields: str) -> WorkerEvent:
    return WorkerEvent(
        event_id="e",
        worker_id="w1",
        origin_worker_id="w1",
        event_type="progress",
        payload=msgspec.Raw(payload),
        **fields,  # type: ignore[arg-type]
    )


def test_the_published_form_is_read_and_its_payload_is_kept_as_it_is() -> None:
    arrived = decode(WorkerEvent, PUBLISHED)
    assert bytes(arrived.payload) == b'{"progress":0.50,"message":"half"}'
    assert (arrived.bubbling_chain, arrived.timestamp) == (("gw-1",), 1790000000)
    assert decode(WorkerEvent, encode(arrived)) == arrived


def test_seconds_of_an_earlier_generation_may_have_a_fraction() -> None:
    assert decode(WorkerEvent, PUBLISHED.replace(b"1790000000", b"1790000000.7")).timestamp == 1790000000


@pytest.mark.parametrize("payload", [b"null", b"[1]", b'"{"', b"1"])
def test_a_payload_is_an_object(payload: bytes) -> None:
    whole = b'{"event_id":"e","worker_id":"w","origin_worker_id":"w","event_type":"x","payload":%b}' % payload
    with pytest.raises(ProtocolError, match="payload"):
        decode(WorkerEvent, whole)


def test_the_task_is_the_target_else_the_origin() -> None:
    assert event(target_task_id="t", origin_task_id="o").task_id == "t"
    assert event(origin_task_id="o").task_id == "o"
    assert event().task_id is None


def test_an_answer_is_accepted_or_an_error() -> None:
    assert encode(EventAnswer(EventStatus.ACCEPTED)) == b'{"status":"event_accepted"}'
    assert decode(EventAnswer, b'{"status":"error","message":"no"}') == EventAnswer(
        EventStatus.ERROR, None, "no"
    )


async def test_the_gateway_of_tests_hears_who_holds_the_task() -> None:
    gateway = MemoryGateway()
    loopback = LoopbackTransport(gateway, "w1", "token")
    await loopback.register(Registration("w1"))
    task_id = await gateway.offer("work")
    (offer,) = await loopback.poll(PollRequest())
    told = event(b'{"progress": 1}', target_task_id=task_id, lease_token=offer.lease_token or "")
    assert await loopback.emit(told) == EventAnswer(EventStatus.ACCEPTED)
    await loopback.emit(event())
    assert gateway.events == [told, event()]
    gateway.revoke(task_id)
    with pytest.raises(StaleLeaseError):
        await loopback.emit(told)
    with pytest.raises(AuthError):
        await LoopbackTransport(gateway, "w1", "wrong").emit(told)
