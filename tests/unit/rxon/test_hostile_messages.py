"""Whatever arrives becomes a message or a ProtocolError, within a bounded time.

The messages are built after the fields of the real ones, and then spoilt: values of another kind, members
twice, members missing, bytes cut off or exchanged.
"""

import contextlib
import json
import time
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rxon.messages
from rxon.codec import decode, encode
from rxon.errors import ForbiddenError, ProtocolError
from rxon.requirements import Machine, lacks, parse
from rxon.signing.message import EVERY_FORM, admit, open_envelope

KINDS = [
    kind
    for name in rxon.messages.__all__
    if isinstance(kind := getattr(rxon.messages, name), type) and issubclass(kind, msgspec.Struct)
]

SCALARS = [
    "null", "true", "0", "-1", "1.5", "1e300", "-0.0", "1e999", "9" * 40, "9" * 5000, '""', '"x"',
    '"\\ud800"', '"\\u0000"', '"' + "y" * 300 + '"', "[]", "{}", "[null]", '{"":null}', "NaN", "",
]  # fmt: skip
junk = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(st.sampled_from(["a", "code", "name", "uri", "type"]), inner), max_size=3).map(
            lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
        )
    ),
    max_leaves=6,
)


def sound(kind: Any) -> st.SearchStrategy[str]:
    """JSON texts that fit the field."""
    with contextlib.suppress(Exception):
        return st.from_type(kind).map(lambda value: encode(value).decode())
    return junk


@st.composite
def bodies(draw: st.DrawFn, kind: type[msgspec.Struct]) -> bytes:
    hints = get_type_hints(kind)
    members: list[str] = []
    for field in msgspec.structs.fields(kind):
        for _ in range(
            draw(st.sampled_from([0, 1, 1, 1, 2]) if not field.required else st.sampled_from([1] * 9 + [0]))
        ):
            plain = hints[field.name] in (str, int, float, bool, str | None, int | None)
            value = draw(sound(hints[field.name]) if plain and draw(st.integers(0, 3)) else junk)
            members.append(f"{json.dumps(field.name)}:{value}")
    body = ("{" + ",".join(draw(st.permutations(members))) + "}").encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=4)) + body[place + draw(st.integers(0, 3)) :]
    return body


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_spoilt_message_is_understood_or_refused(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    body = data.draw(bodies(kind))
    began = time.process_time()
    with contextlib.suppress(ProtocolError):
        message = decode(kind, body)
        assert decode(kind, encode(message)) == message
    assert time.process_time() - began < 1.0


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_spoilt_message_is_never_admitted(data: st.DataObject) -> None:
    body = data.draw(bodies(data.draw(st.sampled_from([rxon.messages.Heartbeat, rxon.messages.TaskResult]))))
    with pytest.raises((ProtocolError, ForbiddenError)):
        admit(body, open_envelope(body, "w", 0), ["k"], forms=EVERY_FORM)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_spoilt_requirements_are_understood_or_refused(data: st.DataObject) -> None:
    names = [
        "gpu_info",
        "installed_models",
        "resources",
        "installed_artifacts",
        "installed_software",
        "skill",
    ]
    members = data.draw(st.dictionaries(st.sampled_from(names), junk, max_size=3))
    text = "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
    with contextlib.suppress(ProtocolError):
        given_ = decode(dict, text.encode("utf-8", "surrogatepass"))
        lacks(parse(given_), Machine(properties={"a": 1}), {})


@pytest.mark.parametrize(
    "body",
    [
        b'{"job_id":"j","task_id":"t","costs":{%s"z":0}}' % (b'"a":1e300,' * 100_000),
        b'{"job_id":"j","task_id":"t","costs":{"a":[%s0]}}' % (b"[]," * 349_000),
        b'{"job_id":"j","task_id":"t","data":[%s0]}' % (b"1e300," * 174_000),
        b'{"job_id":"j","task_id":"t",%s"x":0}' % (b'"x":{},' * 149_000),
        b'{"job_id":"j","task_id":"t","data":%s1%s}' % (b'{"a":' * 174_000, b"}" * 174_000),
        b'{"job_id":"j","task_id":"%s"}' % (b"\\u0041" * 174_000),
    ],
    ids=["large numbers", "arrays", "raw numbers", "unknown members", "levels", "escapes"],
)
def test_a_mebibyte_is_judged_in_less_than_a_second(body: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(ProtocolError):
        decode(rxon.messages.TaskResult, body)
    assert time.process_time() - began < 1.0
