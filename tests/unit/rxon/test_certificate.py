"""Which worker ids a certificate holds."""

from typing import Any

import pytest

from rxon.http.certificate import names_in


def certificate(*names: tuple[str, str], common: str | None = None) -> dict[str, Any]:
    """In the form of `SSLSocket.getpeercert`."""
    subject = () if common is None else ((("organizationName", "o"),), (("commonName", common),))
    return {"subject": subject, "subjectAltName": names}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (certificate(common="cam-01"), ("cam-01",)),
        (certificate(("DNS", "cam-01")), ("cam-01",)),
        (certificate(("DNS", "cam-01"), ("DNS", "cam-02"), ("DNS", "cam-01")), ("cam-01", "cam-02")),
        (certificate(("DNS", "cam-01"), common="cam-02"), ("cam-01",)),
        (certificate(("DNS", "box.example"), ("IP Address", "127.0.0.1"), common="cam-01"), ("cam-01",)),
        (certificate(("URI", "spiffe://lab.example/worker/cam-01")), ("cam-01",)),
        (certificate(("URI", "spiffe://lab.example/worker/cam-01"), ("DNS", "eye")), ("cam-01", "eye")),
        (certificate(("URI", "spiffe://lab.example/worker/cam/01"), common="eye"), ("eye",)),
        (certificate(("URI", "spiffe://lab.example/x/cam-01"), common="eye"), ("eye",)),
        (certificate(("URI", "https://lab.example/worker/cam-01")), ()),
        (certificate(("URI", "spiffe://lab.example/worker/")), ()),
        (certificate(("DNS", "*"), ("email", "cam-01"), common="a b"), ()),
        (certificate(), ()),
        ({}, ()),
    ],
)
def test_the_workers_of_a_certificate(found: dict[str, Any], names: tuple[str, ...]) -> None:
    assert names_in(found) == names
