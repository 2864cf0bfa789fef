"""Values are read back as they were written, also by the release before and after."""

import msgspec
import pytest
from msgspec import Raw

from avtomatika.errors import InvalidInput
from avtomatika.kernel.model import Job
from avtomatika.ports.store import Body, Record
from avtomatika.stores.codec import (
    decode_body,
    decode_job,
    encode,
    encode_data,
    encode_head,
    page_cursor,
    place_of,
    same_data,
)
from avtomatika.testing.contract.kinds import bodies, odd_job
from avtomatika.testing.contract.values import a_job, at


def test_a_job_is_taken_apart_and_put_together_again() -> None:
    job = odd_job()
    assert decode_job(encode_head(job), encode_data(job)) == job


@pytest.mark.parametrize(
    "body", [body for body in bodies() if body != Record(())], ids=lambda b: type(b).__name__
)
def test_the_sample_of_a_message_says_more_than_the_default_in_every_field(body: Body) -> None:
    assert decode_body(encode(body)) == body
    for field in msgspec.structs.fields(body):
        assert getattr(body, field.name) != field.default, field.name


def test_the_head_holds_no_user_data() -> None:
    job = msgspec.structs.replace(odd_job(), input={"secret": Raw(b"1")}, history={"secret": Raw(b"1")})
    assert b"secret" not in encode_head(job)


def test_a_member_of_a_later_release_is_passed_over() -> None:
    head = msgspec.json.decode(encode_head(a_job()))
    head["new"] = {"a": 1}
    head["phase"]["new"] = [1]
    assert decode_job(msgspec.json.encode(head), encode_data(a_job())) == a_job()


def test_what_an_earlier_release_left_out_has_its_default() -> None:
    head = msgspec.json.decode(encode_head(a_job()))
    assert "webhook_url" not in head
    assert isinstance(decode_job(msgspec.json.encode(head), b"[{},{},null]"), Job)


def test_data_is_the_same_only_if_nobody_replaced_it() -> None:
    job = odd_job()
    assert same_data(job, msgspec.structs.replace(job, version=9))
    assert not same_data(job, msgspec.structs.replace(job, history=dict(job.history)))


@pytest.mark.parametrize("name", ["j", "a~b", "~", "é"])
def test_a_cursor_names_a_place(name: str) -> None:
    assert place_of(page_cursor(a_job(name, created=at(5)))) == (at(5), name)


@pytest.mark.parametrize("cursor", ["", "~", "1~", "~a", "x~a", "1", "-1~a", "٣~a", "1" * 40 + "~a"])
def test_any_other_text_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        place_of(cursor)
    assert caught.value.field == "after"
