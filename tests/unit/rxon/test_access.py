"""When a token that expires is asked for, and which token is shown meanwhile."""

import pytest

from rxon.errors import ProtocolError
from rxon.http.access import AGAIN, Access, Exchange
from rxon.http.keys import Keys

GRANTED = b'{"access_token":"a1","expires_in":3600,"worker_id":"w1","refresh_token":"r1"}'
REFRESH = Exchange("/auth/token/refresh", b'{"refresh_token":"r1"}')
ASK = Exchange("/auth/token", None)


def test_without_exchange_nothing_is_ever_asked_for() -> None:
    assert Access("own", exchange=False).due(1e9) is None


def test_a_token_is_refreshed_after_most_of_its_life() -> None:
    access = Access("own", exchange=True)
    assert (access.due(0.0), access.shown) == (ASK, "own")
    access.granted(GRANTED, 0.0)
    assert (access.due(2879.0), access.shown) == (None, "a1")
    assert (access.due(2880.0), access.shown) == (REFRESH, "a1")


def test_a_server_that_gives_no_refresh_token_is_asked_with_the_own_one() -> None:
    access = Access("own", exchange=True)
    access.granted(b'{"access_token":"a1","expires_in":3600,"metadata":null}', 0.0)
    assert access.due(3000.0) == ASK
    assert access.shown == "own"


def test_a_refresh_that_is_denied_leads_to_the_own_token_and_then_to_patience() -> None:
    access = Access("own", exchange=True)
    access.granted(GRANTED, 0.0)
    access.denied(3000.0)
    assert (access.due(3000.0), access.shown) == (ASK, "own")
    access.denied(3000.0)
    assert access.due(2999.0 + AGAIN) is None
    assert access.due(3000.0 + AGAIN) == ASK


def test_a_token_that_is_not_good_any_more_is_not_shown_again() -> None:
    access = Access("own", exchange=True)
    assert not access.rejected(0.0)
    access.granted(GRANTED, 0.0)
    assert access.rejected(1.0)
    assert (access.shown, access.due(1.0)) == ("own", REFRESH)


def test_what_is_no_grant_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        Access("own", exchange=True).granted(b"<html>", 0.0)


def test_keys_do_not_show() -> None:
    assert "secret" not in repr(Keys("secret-1", "secret-2"))
