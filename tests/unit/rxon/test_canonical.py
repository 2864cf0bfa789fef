"""The bytes that signatures cover, for whatever JSON arrives."""

import contextlib
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxon.canonical import MAX_BYTES, Form, canonical, canonical_of
from rxon.codec import decode
from rxon.errors import ProtocolError, TooLargeError
from rxon.messages import TaskOffer
from tests.conformance.oracle_json import canonical_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
forms = st.sampled_from(list(Form))


@given(json_values, forms)
def test_it_is_what_the_standard_library_makes_of_it(value: Any, form: Form) -> None:
    text = json.dumps(value)
    assert canonical(text.encode(), form=form).decode() == canonical_text(text, form)


@given(json_values, forms)
def test_the_canonical_form_is_its_own(value: Any, form: Form) -> None:
    once = canonical(json.dumps(value).encode(), form=form)
    assert canonical(once, form=form) == once


@given(st.dictionaries(st.text(), json_values), st.randoms(use_true_random=False))
def test_neither_order_nor_blanks_nor_escapes_matter(value: dict[str, Any], chance: Any) -> None:
    names = list(value)
    chance.shuffle(names)
    other = json.dumps({name: value[name] for name in names}, indent=2, ensure_ascii=False)
    assert canonical(other.encode()) == canonical(json.dumps(value).encode())


@given(json_values, json_values)
def test_what_differs_in_more_than_nulls_and_points_has_other_bytes(one: Any, other: Any) -> None:
    def present(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: present(member) for name, member in value.items() if member is not None}
        return [present(item) for item in value] if isinstance(value, list) else value

    same_bytes = canonical(json.dumps(one).encode()) == canonical(json.dumps(other).encode())
    if same_bytes:
        assert present(one) == present(other)


@given(st.binary(max_size=200), forms)
def test_bytes_raise_nothing_but_protocol_errors(body: bytes, form: Form) -> None:
    with contextlib.suppress(ProtocolError):
        canonical(body, form=form)


def test_the_last_of_two_members_counts_as_in_the_message() -> None:
    body = b'{"job_id":"j","task_id":"t","type":"first","type":"last"}'
    assert decode(TaskOffer, body).type == "last"
    assert json.loads(canonical(body))["type"] == "last"


@pytest.mark.parametrize("depth", [100, 101, 900, 5_000, 100_000])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"a":', b"1}")])
def test_a_hundred_levels_are_the_limit(depth: int, shape: tuple[bytes, bytes]) -> None:
    start, end = shape
    body = start * depth + (b"1" if end == b"1}" else b"") + (b"}" if end == b"1}" else end) * depth
    if depth <= 100:
        assert canonical(body) == body
    else:
        with pytest.raises(ProtocolError, match="too deeply"):
            canonical(body)


def test_a_body_beyond_the_limit_is_not_read() -> None:
    with pytest.raises(TooLargeError):
        canonical(b" " * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    "unit",
    [b"[],", b"{},", b"0.0,", b"null,", b'"",', b"[[[[]]]],", b'{"a":1,"a":2},', b"1e300,", b'"\\u0000",'],
)
def test_a_mebibyte_takes_less_than_a_second_whatever_is_in_it(unit: bytes) -> None:
    body = b"[" + unit * (2**20 // len(unit)) + b"0]"
    began = time.process_time()
    canonical(body)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1.0, "a": None}, b'{"b":1}'),
        ({2: "two", 1: "one"}, b'{"1":"one","2":"two"}'),
        (TaskOffer(job_id="j", task_id="t", type="x"),
         b'{"job_id":"j","params":{},"task_id":"t","tracing_context":{},"type":"x"}'),
        ((Form.R14,), b'["r14"]'),
        (float("nan"), b"null"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_it_would_be_sent(value: Any, text: bytes) -> None:
    assert canonical_of(value) == text


def test_a_value_that_json_cannot_hold_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for value in (object(), cycle, "\ud800", {("a",): 1}):
        with pytest.raises(ProtocolError):
            canonical_of(value)


@settings(max_examples=20)
@given(st.integers(min_value=-(10**4298), max_value=10**4299))
def test_integers_keep_all_their_digits(value: int) -> None:
    assert canonical(b"[%b]" % str(value).encode()) == f"[{value}]".encode()
    assert msgspec.json.decode(canonical(str(value).encode())) == value
