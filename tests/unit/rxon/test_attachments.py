"""Payload files are found where their address says, and are what their description says."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxon.attachments import SHA256, Address, digest_of, mismatch, parse_uri
from rxon.errors import ProtocolError
from rxon.messages import FileMetadata

pieces = st.text(st.sampled_from("ab/.:\\ é\0s3"), max_size=12)


@given(pieces, st.none() | st.sampled_from(["", "bucket"]), st.sampled_from(["", "jobs/j-1/"]))
def test_a_key_never_leads_out_of_where_it_is(uri: str, bucket: str | None, prefix: str) -> None:
    with contextlib.suppress(ProtocolError):
        found = parse_uri(uri, bucket, prefix)
        assert found.bucket
        assert not {"..", "."} & set(found.key.split("/"))
        if "://" not in uri:
            assert found.key.startswith(prefix)
        assert parse_uri(found.uri) == found


@given(st.lists(st.binary(), max_size=5))
def test_a_digest_is_that_of_all_pieces_in_their_order(chunks: list[bytes]) -> None:
    assert digest_of(chunks) == hashlib.sha256(b"".join(chunks)).hexdigest()


DIGEST = digest_of([b"abc"])


@pytest.mark.parametrize(
    ("said", "found", "difference"),
    [
        (FileMetadata("s3://b/k"), (3, DIGEST, "e"), None),
        (FileMetadata("s3://b/k", 3, "e", {SHA256: DIGEST}), (3, DIGEST, "e"), None),
        (FileMetadata("s3://b/k", 3, '"e"', {SHA256: DIGEST}), (3, None, "e"), None),
        (FileMetadata("s3://b/k", 4), (3, DIGEST, None), "size is 3, not 4"),
        (FileMetadata("s3://b/k", 3, "e"), (3, None, "f"), "etag is f, not e"),
        (FileMetadata("s3://b/k", metadata={SHA256: "00"}), (3, DIGEST, None), f"sha256 is {DIGEST}, not 00"),
    ],
)
def test_a_file_differs_only_in_what_both_sides_know(
    said: FileMetadata, found: tuple[int, str | None, str | None], difference: str | None
) -> None:
    assert mismatch(said, *found) == difference


def test_an_address_is_written_as_it_is_read() -> None:
    assert Address("b", "k/", True).uri == "s3://b/k/"
    assert Address("b", "", False).uri == "s3://b"
