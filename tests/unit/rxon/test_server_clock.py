"""The time of a server, from the date of its answers."""

import pytest

from rxon.http.server_clock import ServerClock

NOW = 1790000000.0  # Mon, 21 Sep 2026 14:13:20 GMT


def test_it_is_our_own_until_the_server_says_otherwise() -> None:
    clock = ServerClock(lambda: NOW)
    assert clock() == NOW
    assert clock.told("Mon, 21 Sep 2026 15:13:20 GMT")
    assert clock() == NOW + 3600


@pytest.mark.parametrize(
    "date", [None, "", "soon", "Mon, 21 Sep 2026 14:13:21 GMT", "Mon, 21 Sep 2026 14:13:20 -0000"]
)
def test_what_tells_nothing_new_changes_nothing(date: str | None) -> None:
    clock = ServerClock(lambda: NOW)
    assert not clock.told(date)
    assert clock() == NOW


def test_the_same_date_is_no_news_twice() -> None:
    clock = ServerClock(lambda: NOW)
    assert clock.told("Mon, 21 Sep 2026 15:13:20 GMT")
    assert not clock.told("Mon, 21 Sep 2026 15:13:20 GMT")
