"""Bytes that arrive become messages, or a ProtocolError that says where they are wrong."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxon.codec import decode, encode
from rxon.errors import ProtocolError
from rxon.messages import (
    Heartbeat,
    Registration,
    ResultBatch,
    TaskBatch,
    TaskError,
    TaskOffer,
    TaskResult,
)

KINDS = (Heartbeat, Registration, ResultBatch, TaskBatch, TaskOffer, TaskResult)


def test_user_data_passes_through_unaltered() -> None:
    body = b'{"a":null,"b":1.0,"c":1e300,"d":123456789012345678901234567890}'
    result = decode(TaskResult, b'{"job_id":"j","task_id":"t","data":' + body + b"}")
    assert bytes(result.data or b"") == body
    assert body in encode(result)


def test_a_field_equal_to_its_default_is_left_out() -> None:
    result = TaskResult(job_id="j", task_id="t")
    assert encode(result) == b'{"job_id":"j","task_id":"t"}'


def test_an_offer_always_carries_params_and_tracing_context() -> None:
    offer = TaskOffer(job_id="j", task_id="t", type="x")
    assert encode(offer) == b'{"job_id":"j","task_id":"t","type":"x","params":{},"tracing_context":{}}'


def test_unknown_fields_are_skipped() -> None:
    assert decode(Registration, b'{"worker_id":"w","novelty":{"x":[1]}}') == Registration("w")


def test_nulls_of_earlier_generations_are_absent_values() -> None:
    text = (
        b'{"job_id":"J","task_id":"J","type":"blur","params":{"src":"a.png"},"tracing_context":{},'
        b'"params_metadata":null,"priority":0.0,"deadline":null,"security":null,"metadata":null}'
    )
    offer = decode(TaskOffer, text)
    assert (offer.deadline, offer.metadata, offer.security) == (None, None, None)
    result = decode(TaskResult, b'{"job_id":"J","task_id":"T","data":null,"error":null,"data_metadata":null}')
    assert (result.data, result.error) == (None, None)


@pytest.mark.parametrize("number", ["1790000020", "1790000020.0", "1790000020.25"])
def test_moments_become_whole_seconds(number: str) -> None:
    offer = decode(TaskOffer, f'{{"job_id":"j","task_id":"t","type":"x","timestamp":{number}}}'.encode())
    assert offer.timestamp == 1790000020
    assert isinstance(offer.timestamp, int)
    assert b'"timestamp":1790000020' in encode(offer)


def test_a_moment_out_of_range_is_refused() -> None:
    with pytest.raises(ProtocolError, match="timestamp"):
        decode(TaskResult, b'{"job_id":"j","task_id":"t","timestamp":1e300}')


def test_an_error_given_as_text_is_transient() -> None:
    result = decode(TaskResult, b'{"job_id":"j","task_id":"t","status":"failure","error":"disk full"}')
    assert result.error == TaskError("TRANSIENT_ERROR", "disk full")


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (Registration, b'{"worker_type":"x"}', "worker_id"),
        (Registration, b'{"worker_id":7}', "worker_id"),
        (ResultBatch, b'{"results":[{"task_id":"t"}]}', "results[0].job_id"),
        (TaskOffer, b'{"job_id":"j","task_id":"t","type":"x","priority":"high"}', "priority"),
        (Registration, b"[1]", None),
        (Registration, b"", None),
    ],
)
def test_a_refusal_names_the_field(kind: type[msgspec.Struct], body: bytes, field: str | None) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(kind, body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body",
    [
        b'{"job_id":"j","task_id":"t","data":"\xff"}',
        b'{"job_id":"j","task_id":"t","costs":{"\xff":1}}',
        b'{"job_id":"j","task_id":"t","data":NaN}',
        b'{"job_id":"j","task_id":"t","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"job_id":"j","task_id":"t","costs":{"a":1e999}}',
    ],
)
def test_bytes_that_are_no_json_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(TaskResult, body)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = sorted({name for kind in KINDS for name in kind.__struct_fields__})


@given(kind=st.sampled_from(KINDS), body=st.dictionaries(st.sampled_from(FIELDS), json))
def test_arbitrary_objects_decode_or_are_refused(kind: type[msgspec.Struct], body: dict[str, object]) -> None:
    try:
        message = decode(kind, encode(body))
    except ProtocolError:
        return
    assert decode(kind, encode(message)) == message


@given(kind=st.sampled_from(KINDS), body=st.binary())
def test_arbitrary_bytes_raise_nothing_but_protocol_errors(kind: type[msgspec.Struct], body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(kind, body)
