"""The frames of a stream on the wire."""

import msgspec
import pytest

from rxon.codec import encode
from rxon.errors import (
    AuthError,
    ForbiddenError,
    ProtocolError,
    RateLimitError,
    RxonError,
    StaleLeaseError,
    TooLargeError,
    UnavailableError,
    WorkerUnknownError,
)
from rxon.messages import Heartbeat, TaskOffer, TaskResult
from rxon.stream.frames import (
    Beat,
    Error,
    Ready,
    Results,
    Tasks,
    decode_client_frame,
    decode_server_frame,
    error_of,
    refusal,
    sequence_of,
    task_frames,
)


def offer(number: int, params: bytes = b"{}") -> TaskOffer:
    return TaskOffer(job_id="j", task_id=f"t{number}", type="work", params=msgspec.Raw(params))


def test_a_frame_is_told_by_its_name_and_members_that_hold_their_default_are_left_out() -> None:
    assert encode(Ready(credits=3)) == b'{"frame":"ready","credits":3}'
    assert encode(Ready(credits=0, seen=2, available_skills=())) == (
        b'{"frame":"ready","credits":0,"seen":2,"available_skills":[]}'
    )
    assert encode(Beat(seq=1, beat=Heartbeat("w1"))) == (
        b'{"frame":"beat","seq":1,"beat":{"worker_id":"w1"}}'
    )


def test_members_that_are_not_known_are_skipped() -> None:
    data = b'{"new":[1],"frame":"ready","credits":3,"colour":"red"}'
    assert decode_client_frame(data) == Ready(credits=3)


def test_results_keep_the_data_of_the_user_byte_for_byte() -> None:
    data = b'{"frame":"results","seq":7,"results":[{"job_id":"j","task_id":"t","data":[1.50,"\\u00e9"]}]}'
    frame = decode_client_frame(data)
    assert isinstance(frame, Results)
    (result,) = frame.results
    assert isinstance(result, TaskResult)
    assert bytes(result.data or b"") == b'[1.50,"\\u00e9"]'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"{}",
        b'{"frame":"nothing"}',
        b'{"frame":"tasks","tasks":[]}',
        b'{"frame":"ready"}',
        b'{"frame":"ready","credits":"3"}',
        b'{"frame":"results","seq":1,"results":[{}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_frame_of_a_worker_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_client_frame(data)


def test_a_broken_frame_still_tells_its_number() -> None:
    assert sequence_of(b'{"frame":"results","seq":9,"results":3}') == 9
    assert sequence_of(b'{"frame":"results","results":3}') is None
    assert sequence_of(b'{"frame":') is None


@pytest.mark.parametrize(
    "kind",
    [
        AuthError,
        ForbiddenError,
        ProtocolError,
        StaleLeaseError,
        TooLargeError,
        UnavailableError,
        WorkerUnknownError,
    ],
)
def test_an_error_arrives_as_the_error_that_it_was(kind: type[RxonError]) -> None:
    arrived = decode_server_frame(encode(refusal(kind("why"), 4)))
    assert isinstance(arrived, Error)
    assert arrived.seq == 4
    error = error_of(arrived)
    assert type(error) is kind
    assert error.message == "why"


def test_an_error_tells_when_to_come_back_and_which_field_is_wrong() -> None:
    later = error_of(refusal(RateLimitError("slow", retry_after=2.5)))
    assert isinstance(later, UnavailableError)
    assert later.retry_after == 2.5
    wrong = error_of(refusal(ProtocolError("bad", details={"field": "results[0].job_id"})))
    assert isinstance(wrong, ProtocolError)
    assert wrong.field == "results[0].job_id"


def test_an_error_that_is_not_known_can_be_tried_again() -> None:
    assert isinstance(error_of(Error(code="of_the_future", message="?", retry_after=-1)), UnavailableError)


def test_tasks_are_spread_over_frames_that_are_not_too_large() -> None:
    offers = [offer(n, b'"' + b"x" * 300 + b'"') for n in range(10)]
    frames = list(task_frames(offers, 1_000))
    assert len(frames) > 1
    assert all(len(frame) <= 1_000 for frame in frames)
    arrived = [decode_server_frame(frame) for frame in frames]
    assert [each for frame in arrived if isinstance(frame, Tasks) for each in frame.tasks] == offers


def test_a_task_that_is_larger_than_a_frame_has_a_frame_of_its_own() -> None:
    offers = [offer(1), offer(2, b'"' + b"x" * 3_000 + b'"'), offer(3)]
    frames = [decode_server_frame(frame) for frame in task_frames(offers, 1_000)]
    assert [len(frame.tasks) for frame in frames if isinstance(frame, Tasks)] == [1, 1, 1]
    assert list(task_frames([], 1_000)) == []
