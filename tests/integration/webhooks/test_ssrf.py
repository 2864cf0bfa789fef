"""No URL, no name server and no answer leads a webhook to an address that is out of bounds (T23).

Two witnesses: traps on loopback that count connections, and the interpreter, which reports every attempt to
connect a socket anywhere.
"""

import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from ipaddress import ip_network
from itertools import groupby
from typing import Any

import pytest

from avtomatika.delivery.webhook import WebhookDelivery
from avtomatika.errors import InvalidInput
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.delivery import Delivered, Reach, Refused, TryAgain
from tests.integration.webhooks.sinks import HERE, TAKEN, Sink, always, sink, status, trap
from tests.unit.delivery.hostile import Case, cases

SINKS = Reach(http=True, networks=(ip_network(f"{HERE}/32"),))
"""Lets the sinks of these tests be reached, and nothing else that is not public."""

_listening: list[list[Any]] = []


def _hear(event: str, details: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for heard in _listening:
            heard.append(details[1])


sys.addaudithook(_hear)


class NameServer:
    """Gives the answers in turn, then the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def connects() -> Iterator[list[Any]]:
    """The addresses that anything in this process tried to connect to."""
    heard: list[Any] = []
    _listening.append(heard)
    yield heard
    _listening.remove(heard)


@pytest.fixture
async def trapped() -> AsyncIterator[Sink]:
    async with trap() as caught:
        yield caught


TLS = ssl.create_default_context()


def delivery(reach: Reach, names: NameServer) -> WebhookDelivery:
    return WebhookDelivery(reach, timeout=Span(5_000), now=lambda: Instant(0), lookup=names, tls=TLS)


async def outcome_of(case: Case, reach: Reach, port: int) -> Any:
    sender = delivery(reach, NameServer(case.resolves or ("127.0.0.1",)))
    try:
        return await sender.send(case.url.replace("{port}", str(port)), {}, b"{}")
    finally:
        await sender.close()


def test_there_are_enough_hostile_cases_of_every_kind() -> None:
    counts = {kind: len(list(group)) for kind, group in groupby(sorted(case.kind for case in cases()))}
    assert sum(counts.values()) >= 200
    assert set(counts) == {"scheme", "no URL", "authority", "name", "number", "address", "resolved", "mixed"}


async def test_no_hostile_case_makes_a_connection(trapped: Sink, connects: list[Any]) -> None:
    for case in cases():
        outcome = await outcome_of(case, Reach(), trapped.port)
        assert isinstance(outcome, Refused), case
    assert connects == []
    assert trapped.connections == 0


async def test_http_opens_no_private_address(trapped: Sink, connects: list[Any]) -> None:
    for case in cases():
        if not case.url.startswith("https:"):
            continue
        plain = case._replace(url="http:" + case.url.removeprefix("https:"))
        assert isinstance(await outcome_of(plain, Reach(http=True), trapped.port), Refused), plain
    assert connects == []
    assert trapped.connections == 0


async def test_the_witnesses_see_a_connection_when_there_is_one(trapped: Sink, connects: list[Any]) -> None:
    case = Case("resolved", "http://public.example:{port}/", ("127.0.0.1",))
    assert await outcome_of(case, Reach(http=True, private=True), trapped.port) == Delivered()
    assert connects == [("127.0.0.1", trapped.port)]
    assert trapped.connections == 1


async def test_a_name_that_resolves_anew_between_check_and_connection_gains_nothing(
    trapped: Sink, connects: list[Any]
) -> None:
    names = NameServer((HERE,), ("127.0.0.1",))
    async with sink(always(TAKEN)) as honest:
        sender = delivery(SINKS, names)
        assert await sender.send(f"http://public.example:{honest.port}/", {}, b"{}") == Delivered()
        assert names.asked == ["public.example"], "one look-up decides and is used"
        assert connects == [(HERE, honest.port)]
        again = await sender.send(f"http://public.example:{trapped.port}/", {}, b"{}")
        await sender.close()
    assert isinstance(again, Refused)
    assert len(connects) == 1
    assert trapped.connections == 0


async def test_an_address_that_never_went_through_the_check_is_stopped_at_the_socket(
    trapped: Sink, connects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(url: str, reach: Reach) -> None:
        """A check that misses what the HTTP client then understands."""

    monkeypatch.setattr("avtomatika.delivery.webhook.destination", blind)
    for url in (f"http://127.0.0.1:{trapped.port}/", f"http://[::1]:{trapped.port}/"):
        sender = delivery(SINKS, NameServer((HERE,)))
        assert isinstance(await sender.send(url, {}, b"{}"), Refused), url
        await sender.close()
    assert connects == []
    assert trapped.connections == 0


@pytest.mark.parametrize("code", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("scheme", ["http:", ""])
async def test_no_redirect_is_followed(trapped: Sink, connects: list[Any], code: int, scheme: str) -> None:
    there = f"{scheme}//127.0.0.1:{trapped.port}/"
    raw = status(code, f"Location: {there}", f"Refresh: 0; url={there}", f'Alt-Svc: h2="{there}"')
    async with sink(always(raw)) as redirecting:
        sender = delivery(SINKS, NameServer((HERE,)))
        outcome = await sender.send(f"http://public.example:{redirecting.port}/", {}, b"{}")
        await sender.close()
    assert outcome == TryAgain(f"the server answered {code}")
    assert connects == [(HERE, redirecting.port)]
    assert trapped.connections == 0


async def test_no_proxy_of_the_environment_is_used(
    trapped: Sink, connects: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trapped.port}")
    async with sink(always(TAKEN)) as honest:
        sender = delivery(SINKS, NameServer((HERE,)))
        assert await sender.send(f"http://public.example:{honest.port}/", {}, b"{}") == Delivered()
        await sender.close()
    assert connects == [(HERE, honest.port)]
    assert trapped.connections == 0


async def test_what_creation_refuses_is_what_a_delivery_would_refuse_without_asking_for_names() -> None:
    names = NameServer(("127.0.0.1",))
    sender = delivery(Reach(), names)
    for case in cases():
        url = case.url.replace("{port}", "8443")
        try:
            sender.check(url)
        except InvalidInput:
            await sender.send(url, {}, b"{}")
            assert names.asked == [], case
        names.asked.clear()
    await sender.close()
