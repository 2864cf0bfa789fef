"""The way of an event is what its hops have signed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxon.errors import ProtocolError
from rxon.signing.chain import MAX_HOPS, chain_bytes, sign_chain, sign_hop, verify_chain, verify_hops

EVENT = {"event_id": "e", "worker_id": "a", "event_type": "x", "payload": {"n": 1}, "timestamp": 1790000000}
KEYS = {name: f"key of {name}" for name in "abcdefgh"}

chains = st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=8)


def body(**changes: object) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def travelled(chain: list[str]) -> list[str]:
    """The signatures of an event that every hop has sent on under its own name."""
    hops = range(1, len(chain) + 1)
    return [
        sign_hop(body(worker_id=chain[n - 1], bubbling_chain=chain[:n]), chain[:n], KEYS[chain[n - 1]])
        for n in hops
    ]


@given(chains)
def test_a_way_that_every_hop_signed_is_true(chain: list[str]) -> None:
    last = body(worker_id="server", bubbling_chain=chain, lease_token="t")
    assert verify_hops(last, chain, travelled(chain), KEYS.get)


@given(chains, st.data())
def test_no_hop_can_be_left_out_put_in_or_moved(chain: list[str], data: st.DataObject) -> None:
    signatures = travelled(chain)
    forged, names = list(signatures), list(chain)
    place = data.draw(st.integers(0, len(chain) - 1))
    how = data.draw(st.sampled_from(["rename", "drop", "insert", "swap"]))
    if how == "rename":
        names[place] = data.draw(st.sampled_from([n for n in sorted(KEYS) if n != chain[place]]))
    elif (
        how == "drop" and place < len(chain) - 1
    ):  # the last can always be cut off: the next one signs without it
        del names[place], forged[place]
    elif how == "insert":
        names.insert(place, "a")
        forged.insert(place, signatures[place])
    else:
        names[0], names[-1] = names[-1], names[0]
        forged[0], forged[-1] = forged[-1], forged[0]
    if (names, forged) != (chain, signatures):
        assert not verify_hops(body(), names, forged, KEYS.get)


def test_a_way_is_that_of_one_event() -> None:
    signatures = travelled(["a", "b"])
    assert verify_hops(body(), ["a", "b"], signatures, KEYS.get)
    assert not verify_hops(body(payload={"n": 2}), ["a", "b"], signatures, KEYS.get)
    assert not verify_hops(body(event_id="f"), ["a", "b"], signatures, KEYS.get)
    assert not verify_hops(body(timestamp=1790000001), ["a", "b"], signatures, KEYS.get)


def test_every_hop_has_a_signature_and_a_known_key() -> None:
    signatures = travelled(["a", "b"])
    assert not verify_hops(body(), ["a", "b"], signatures[:1], KEYS.get)
    assert not verify_hops(body(), ["a"], signatures, KEYS.get)
    assert not verify_hops(body(), ["a", "b"], signatures, {"a": KEYS["a"]}.get)
    assert verify_hops(body(), [], [], KEYS.get)


def test_a_whole_chain_is_signed_in_its_order() -> None:
    made = sign_chain(["a", "b"], "k")
    assert verify_chain(["a", "b"], made, "k")
    for chain, signature, key in (
        (["b", "a"], made, "k"),
        (["a", "b"], made, "l"),
        (["a", "b"], None, "k"),
        (["a", "b"], made, ""),
    ):
        assert not verify_chain(chain, signature, key)
    assert chain_bytes(["a", "b"]) != chain_bytes(['a","b'])


def test_a_chain_has_bounds() -> None:
    with pytest.raises(ProtocolError):
        chain_bytes(["a"] * (MAX_HOPS + 1))
    with pytest.raises(ProtocolError):
        chain_bytes(["\ud800"])
    with pytest.raises(ProtocolError):
        verify_hops(body(), ["a"] * (MAX_HOPS + 1), ["0"] * (MAX_HOPS + 1), KEYS.get)
