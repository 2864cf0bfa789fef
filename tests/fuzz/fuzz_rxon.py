#!/usr/bin/env python3
"""Coverage-guided bytes for everything of rxon that takes bytes: nothing but RxonError may come out.

Not part of the tests. It needs `atheris`, which is in no lock; run it for as long as you like:

    pip install atheris
    python tests/fuzz/fuzz_rxon.py -max_total_time=600 -max_len=4096
"""

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["rxon"]):
    from rxon import messages
    from rxon.attachments import parse_uri
    from rxon.canonical import Form, canonical
    from rxon.codec import decode, encode
    from rxon.errors import RxonError
    from rxon.generations import dialect_of
    from rxon.generations.generation import Generation
    from rxon.requirements import Machine, lacks, parse
    from rxon.schema.burden import burden
    from rxon.signing import chain, shared_key
    from rxon.signing.message import EVERY_FORM, admit, open_envelope
    from rxon.stream import frames

KINDS = [getattr(messages, name) for name in messages.__all__ if name != "MAX_BATCH"]
MACHINE = Machine(properties={"a": 1, "b": ["x"]})


def decoding(data: bytes) -> None:
    """What was decoded and is encoded is decoded to the same."""
    kind = KINDS[data[0] % len(KINDS)]
    message = decode(kind, data[1:])
    assert decode(kind, encode(message)) == message


def canonicalising(data: bytes) -> None:
    """Canonical bytes are their own canonical form, and may be made of those of R7."""
    form = list(Form)[data[0] % 4]
    once = canonical(data[1:], form=form)
    assert canonical(once, form=form) == once
    assert canonical(canonical(data[1:], form=Form.R7)) == canonical(data[1:])


def judging(data: bytes) -> None:
    """A message is admitted only with its signature."""
    body = data[1:]
    envelope = open_envelope(body, "w", 1790000000)
    admit(body, envelope, ["k"], forms=EVERY_FORM)
    raise AssertionError("a signature was guessed")


def signing(data: bytes) -> None:
    """What was signed is verified, and a hop is."""
    signature = shared_key.sign(data[1:], "k")
    assert shared_key.verify(data[1:], signature, "k")
    hop = chain.sign_hop(data[1:], ["a"], "k")
    assert chain.verify_hops(data[1:], ["a"], [hop], {"a": "k"}.get)


def matching(data: bytes) -> None:
    """Requirements are understood or refused."""
    given = decode(dict, data[1:])
    lacks(parse(given), MACHINE, {})


def addressing(data: bytes) -> None:
    """An address reads back as itself."""
    found = parse_uri(data[1:].decode("utf-8", "surrogateescape"), "bucket", "p/")
    assert parse_uri(found.uri) == found


def framing(data: bytes) -> None:
    """A frame of a stream, of either side, is decoded to what it is encoded to."""
    for read in (frames.decode_client_frame, frames.decode_server_frame):
        with suppress(RxonError):
            frame = read(data[1:])
            assert read(encode(frame)) == frame
    frames.sequence_of(data[1:])


def weighing(data: bytes) -> None:
    """What a schema may cost is known, or it is refused, without trying it."""
    burden(data[1:])


def introducing(data: bytes) -> None:
    """What an earlier generation says is translated or refused."""
    dialect = dialect_of(list(Generation)[data[0] % len(Generation)])
    reads = (dialect.registration, dialect.beat, dialect.result, dialect.event)
    reads[data[1] % len(reads)](data[2:])


TARGETS = (
    decoding, canonicalising, judging, signing, matching, addressing, framing, weighing, introducing
)  # fmt: skip


def one_input(data: bytes) -> None:
    """One try: the first byte picks the target."""
    if len(data) < 4:
        return
    target = TARGETS[data[0] % len(TARGETS)]
    try:
        target(data[1:])
    except RxonError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
