"""Where something listens, as others write it."""

import pytest

from avtomatika.http.connections import url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_an_address_is_a_url(host: str, url: str) -> None:
    assert url_of(host, 8080) == url
