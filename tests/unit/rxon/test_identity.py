"""Who did the work is who began the chain, if everybody in it has signed it."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxon.codec import decode, encode
from rxon.errors import ForbiddenError
from rxon.messages import TaskResult, WorkerEvent
from rxon.signing.chain import hop_key
from rxon.signing.identity import proven_origin, vouched
from rxon.signing.shared_key import mac, same

NOW = 1790000000
CHAINS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)
MESSAGES = (
    TaskResult(job_id="j", task_id="t", data=msgspec.Raw(b'{"n": 1.0}'), timestamp=NOW),
    WorkerEvent(
        event_id="e",
        worker_id="w",
        origin_worker_id="w",
        event_type="x",
        payload=msgspec.Raw(b"{}"),
        timestamp=NOW,
    ),
)
Message = TaskResult | WorkerEvent


def pen(worker: str) -> Callable[[bytes], str]:
    return lambda message: mac(message, hop_key(f"token of {worker}"))


def fits(worker: str, message: bytes, signature: str) -> bool:
    return same(pen(worker)(message), signature)


def travelled(message: Any, chain: Sequence[str]) -> Any:
    """The message as the last of the chain sends it, which each got over the wire."""
    for worker in chain:
        message = decode(type(message), encode(vouched(message, worker, pen(worker))))
    return message


def origin(message: Message, now: float = NOW, required: bool = False) -> str | None:
    sender = message.worker_id or ""
    return proven_origin(message, encode(message), sender, now=now, fits=fits, required=required)


@pytest.mark.parametrize("message", MESSAGES)
@given(chain=CHAINS)
def test_the_first_of_the_chain_did_the_work(message: Message, chain: list[str]) -> None:
    sent = travelled(message, chain)
    assert origin(sent, required=True) == (chain[0] if len(chain) > 1 else None)
    assert (sent.worker_id, sent.origin_worker_id) == (chain[-1], chain[0])


@pytest.mark.parametrize("message", MESSAGES)
@given(chain=CHAINS.filter(lambda chain: len(chain) > 1), data=st.data())
def test_nobody_can_be_left_out_moved_or_replaced(
    message: Message, chain: list[str], data: st.DataObject
) -> None:
    sent = travelled(message, chain)
    names, hops = list(sent.security.identity_chain), list(sent.security.hops)
    place = data.draw(st.integers(0, len(chain) - 1))
    match data.draw(st.sampled_from(["drop", "rename", "swap", "unsign"])):
        case "drop":
            del names[place], hops[place]
        case "rename":
            names[place] = data.draw(st.sampled_from([name for name in "abcdefghi" if name != names[place]]))
        case "swap":
            names[0], names[-1], hops[0], hops[-1] = names[-1], names[0], hops[-1], hops[0]
        case _:
            hops[place] = "00" * 32
    security = msgspec.structs.replace(sent.security, identity_chain=tuple(names), hops=tuple(hops))
    forged = msgspec.structs.replace(sent, security=security)
    with pytest.raises(ForbiddenError):
        origin(forged)


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_claimed_without_proof_is_nothing(message: Message) -> None:
    claim = msgspec.structs.replace(message, worker_id="a", origin_worker_id="b")
    assert origin(claim) is None
    with pytest.raises(ForbiddenError, match="Missing required identity chain"):
        origin(claim, required=True)
    assert (
        origin(msgspec.structs.replace(message, worker_id="a", origin_worker_id="a"), required=True) is None
    )


@pytest.mark.parametrize("message", MESSAGES)
def test_what_was_said_a_minute_ago_is_no_proof(message: Message) -> None:
    sent = travelled(message, ["a", "b"])
    assert origin(sent, NOW + 60) == "a"
    for now in (NOW + 61, NOW - 61):
        with pytest.raises(ForbiddenError, match="expired"):
            origin(sent, now)
    with pytest.raises(ValueError, match="timestamp"):
        vouched(msgspec.structs.replace(message, timestamp=None), "a", pen("a"))
