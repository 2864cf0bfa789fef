"""Signatures are verified, and nothing else passes for one."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from rxon.canonical import Form
from rxon.codec import encode
from rxon.errors import ForbiddenError, ProtocolError
from rxon.messages import Heartbeat, Registration, SecurityContext, TaskOffer, TaskResult, WorkerEvent
from rxon.signing import key_pair, shared_key
from rxon.signing.content import EVENT_IGNORES
from rxon.signing.freshness import is_fresh
from rxon.signing.message import admit, open_envelope, signed
from tests.conformance.oracle_ed25519 import private_pem, public_key, public_pem, signature

NOW = 1790000000
RESULT = TaskResult(
    job_id="j", task_id="t", worker_id="w", timestamp=NOW, data=msgspec.Raw(b'{"n":1.0,"x":null}')
)
EVENT = WorkerEvent(
    event_id="e",
    worker_id="w",
    origin_worker_id="w",
    event_type="x",
    payload=msgspec.Raw(b"{}"),
    timestamp=NOW,
)

members = st.dictionaries(
    st.text(), st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)


def admitted(body: bytes, *keys: str, now: float = NOW, **options: Any) -> str:
    return admit(body, open_envelope(body, "w", now), keys, **options)


# ---------------------------------------------------------------- shared keys


@given(members, st.text(min_size=1))
def test_what_was_signed_is_verified_in_whatever_order_it_arrives(message: dict[str, Any], key: str) -> None:
    made = shared_key.sign(json.dumps(message).encode(), key)
    arrived = json.dumps(dict(reversed(message.items())), indent=1).encode()
    assert shared_key.verify(arrived, made, key)


@given(members, st.text(min_size=1), st.text())
def test_no_other_signature_is(message: dict[str, Any], key: str, other: str) -> None:
    body = json.dumps(message).encode()
    made = shared_key.sign(body, key)
    for wrong in (None, "", made.upper() if made.upper() != made else "", made[:-1], made + "0", other):
        assert not shared_key.verify(body, wrong, key)
    assert not shared_key.verify(body, made, "")


@given(members.filter(bool), st.data())
def test_a_changed_member_is_noticed(message: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([n for n in message if n not in ("security", "_signature")] or ["new"]))
    made = shared_key.sign(json.dumps(message).encode(), "k")
    message[name] = [message.get(name), "changed"]
    assert not shared_key.verify(json.dumps(message).encode(), made, "k")


def test_a_key_is_not_empty() -> None:
    with pytest.raises(ValueError, match="empty"):
        shared_key.sign(b"{}", "")


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"{}"', b"", b"{", b"\xff"])
def test_only_an_object_is_signed(body: bytes) -> None:
    for attempt in (shared_key.sign, lambda b, k: shared_key.verify(b, "00", k)):
        with pytest.raises(ProtocolError):
            attempt(body, "k")


def test_a_task_keeps_its_signature_when_a_published_orchestrator_or_ours_adds_to_it() -> None:
    task = TaskOffer(job_id="j", task_id="t", type="x", timestamp=NOW)
    sig = shared_key.sign_task(encode(task), "k")
    sent = {
        **json.loads(encode(task)),
        "sig": sig,
        "skill_version": "2",
        "lease_token": "l",
        "lease_seconds": 30.0,
    }
    assert shared_key.verify_task(json.dumps(sent).encode(), sig, "k")
    sent["params"] = {"other": 1}
    assert not shared_key.verify_task(json.dumps(sent).encode(), sig, "k")


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "message",
    [
        Registration("w", timestamp=NOW),
        Heartbeat("w", timestamp=NOW, security=SecurityContext(identity_chain=("a",))),
        RESULT,
        EVENT,
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_signed_message_is_admitted_and_its_signature_known(message: Any) -> None:
    ignore = EVENT_IGNORES if isinstance(message, WorkerEvent) else ()
    sent = signed(message, "k", "w")
    assert sent.security.identity_chain == (message.security.identity_chain if message.security else None)
    found = admitted(encode(sent), "older", "k", ignore=ignore)
    assert found == sent.security.signature
    assert admitted(encode(sent), "k", ignore=ignore) == found  # an honest retry is known by it
    with pytest.raises(ForbiddenError, match=r"^Invalid cryptographic signature$"):
        admitted(encode(sent), "other", ignore=ignore)


def test_an_event_may_grow_its_chain_on_the_way() -> None:
    sent = json.loads(encode(signed(EVENT, "k", "w")))
    sent["bubbling_chain"] = ["gw-1"]
    assert admitted(json.dumps(sent).encode(), "k", ignore=EVENT_IGNORES)


@pytest.mark.parametrize("form", list(Form))
def test_a_message_of_every_generation_is_admitted(form: Form) -> None:
    sent = {"worker_id": "w", "load": 1.0, "hot": None, "list": [1, None], "timestamp": NOW + 0.5}
    made = shared_key.sign(json.dumps(sent).encode(), "k", form=form)
    body = json.dumps({**sent, "security": {"signature": made, "signer_id": "w", "identity_chain": None}})
    assert admitted(body.encode(), "k") == made


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"security": None}, "Missing required security context"),
        ({"security": {}}, "Missing required cryptographic signature"),
        ({"security": {"signature": ""}}, "Missing required cryptographic signature"),
        (
            {"security": {"signature": "00", "signer_id": "v"}},
            "Message signer ID 'v' does not match worker ID 'w'",
        ),
        ({"security": {"signature": "00"}}, "Message signer ID 'None' does not match worker ID 'w'"),
        ({"timestamp": None}, "Missing required timestamp for replay protection"),
        ({"timestamp": NOW - 61}, "Message timestamp expired (replay protection)"),
        ({"timestamp": NOW + 61}, "Message timestamp expired (replay protection)"),
        ({"data": 2}, "Invalid cryptographic signature"),
        ({"more": 2}, "Invalid cryptographic signature"),
    ],
)
def test_a_refusal_is_told_in_the_published_words(change: dict[str, Any], text: str) -> None:
    sent = {**json.loads(encode(signed(RESULT, "k", "w"))), **change}
    with pytest.raises(ForbiddenError) as caught:
        admitted(json.dumps(sent).encode(), "k")
    assert caught.value.message == text


@given(st.floats() | st.integers(), st.floats() | st.integers())
def test_moments_are_fresh_on_both_sides_of_the_window_or_on_neither(one: float, other: float) -> None:
    assert is_fresh(one, other) is is_fresh(other, one)


# ---------------------------------------------------------------- key pairs


def test_the_oracle_is_that_of_the_published_examples() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    assert public_key(seed).hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signature(seed, b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_wrong_signature_of_a_key_pair_is_refused_whatever_it_is() -> None:
    seed = bytes(32)
    made = key_pair.sign(b'{"a":1}', private_pem(seed))
    assert key_pair.verify(b'{"a":1.0,"b":null}', made, public_pem(seed))
    for wrong in (None, "", "00", made[:-2], made + "00", "zz" * 64, "é" * 128, "00" * 64):
        assert not key_pair.verify(b'{"a":1}', wrong, public_pem(seed))
    assert not key_pair.verify(b'{"a":1}', made, public_pem(b"\x01" * 32))


def test_a_key_of_another_kind_is_named() -> None:
    rsa = generate_private_key(65537, 1024)
    private = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for wrong in (private, public_pem(bytes(32)), "", "-----BEGIN PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="private key"):
            key_pair.sign(b"{}", wrong)
    for wrong in (public, private_pem(bytes(32)), ""):
        with pytest.raises(ValueError, match="public key"):
            key_pair.verify(b"{}", "00", wrong)


def test_nothing_else_imports_the_extra() -> None:
    program = (
        "import sys, rxon.signing.message, rxon.signing.chain, rxon.testing.vectors; "
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
