"""What comes of one attempt, whatever the server at the other end does."""

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
import trustme

from avtomatika.delivery.webhook import MAX_ANSWER, WebhookDelivery
from avtomatika.kernel.time import Instant, Span
from avtomatika.ports.delivery import Delivered, Reach, Refused, TryAgain
from tests.integration.webhooks.sinks import HERE, TAKEN, Answer, Received, always, sink, status

REACH = Reach(http=True, networks=(ip_network(f"{HERE}/32"),))
NOON = Instant(1_790_000_000_000)  # Mon, 21 Sep 2026 14:13:20 GMT
NAME = "app.example"


async def here(host: str, port: int) -> Sequence[str]:
    return (HERE,)


Make = Callable[..., WebhookDelivery]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def make(authority: trustme.CA) -> AsyncIterator[Make]:
    made: list[WebhookDelivery] = []

    def new(timeout: int = 5_000, lookup: Any = here) -> WebhookDelivery:
        tls = ssl.create_default_context()
        authority.configure_trust(tls)
        made.append(WebhookDelivery(REACH, timeout=Span(timeout), now=lambda: NOON, lookup=lookup, tls=tls))
        return made[-1]

    yield new
    for delivery in made:
        await delivery.close()


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def test_the_request_is_what_was_given_and_the_host_is_the_name(make: Make) -> None:
    async with sink(always(TAKEN)) as server:
        url = f"http://{NAME}:{server.port}/hook%20a?b=1&c=%C3%BC"
        assert await make().send(url, {"webhook-id": "j:1:e", "X": "y"}, b'{"a":1}') == Delivered()
    (received,) = server.received
    assert received.line == "POST /hook%20a?b=1&c=%C3%BC HTTP/1.1"
    assert received.headers["host"] == f"{NAME}:{server.port}"
    assert (received.headers["webhook-id"], received.headers["x"]) == ("j:1:e", "y")
    assert received.body == b'{"a":1}'
    assert "cookie" not in received.headers
    assert "authorization" not in received.headers


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_any_success_is_success(make: Make, code: int) -> None:
    async with sink(always(status(code))) as server:
        assert await make().send(f"http://{NAME}:{server.port}/", {}, b"{}") == Delivered()


@pytest.mark.parametrize("code", [301, 304, 307, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 599])
async def test_any_other_answer_is_worth_another_try(make: Make, code: int) -> None:
    async with sink(always(status(code))) as server:
        outcome = await make().send(f"http://{NAME}:{server.port}/", {}, b"{}")
    assert outcome == TryAgain(f"the server answered {code}")


async def test_gone_is_for_ever(make: Make) -> None:
    async with sink(always(status(410, "Retry-After: 5"))) as server:
        outcome = await make().send(f"http://{NAME}:{server.port}/", {}, b"{}")
    assert isinstance(outcome, Refused)


@pytest.mark.parametrize(
    ("text", "patience"),
    [
        ("7", 7_000),
        ("0", 0),
        ("-5", 0),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60_000),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0),
        ("soon", 0),
        ("1e308", 86_400_000),
        ("inf", 0),
        ("9" * 400, 0),
    ],
)
async def test_the_server_may_ask_for_patience_within_bounds(make: Make, text: str, patience: int) -> None:
    async with sink(always(status(503, f"Retry-After: {text}"))) as server:
        outcome = await make().send(f"http://{NAME}:{server.port}/", {}, b"{}")
    assert outcome == TryAgain("the server answered 503", Span(patience))


async def silence(_: Received, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_head(_: Received, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("behaviour", [silence, drip, endless_head])
async def test_an_attempt_ends_in_time_however_slowly_the_answer_comes(
    make: Make, behaviour: Callable[..., Awaitable[None]]
) -> None:
    async with sink(behaviour) as server:
        began = asyncio.get_running_loop().time()
        outcome = await make(timeout=200).send(f"http://{NAME}:{server.port}/", {}, b"{}")
        took = asyncio.get_running_loop().time() - began
    assert outcome == TryAgain("no answer in time")
    assert 0.1 < took < 3


async def test_looking_up_the_name_counts_too(make: Make) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(30)
        return ()

    assert await make(200, never).send(f"http://{NAME}/", {}, b"{}") == TryAgain("no answer in time")


@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        always(b""),
        always(b"HTTP/1.1 2"),
        always(b"SSH-2.0-OpenSSH_9.2\r\n"),
        always(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        always(b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n"),
        always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        always(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        always(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"),
        always(b"HTTP/1.1 99999 OK\r\n\r\n"),
        always(b"\x00" * 1_000),
    ],
    ids=["reset", "empty", "half", "other", "short", "minus", "chunks", "long", "many", "status", "zeros"],
)
async def test_what_is_no_answer_is_worth_another_try(make: Make, behaviour: Answer) -> None:
    async with sink(behaviour) as server:
        outcome = await make().send(f"http://{NAME}:{server.port}/", {}, b"{}")
    assert isinstance(outcome, TryAgain)
    assert outcome.reason.startswith("no connection or no proper answer")


async def test_no_more_than_a_little_of_an_answer_is_read_and_nothing_is_unpacked(make: Make) -> None:
    sent = 0

    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        bomb = gzip.compress(b"0" * 50_000_000)
        while True:
            writer.write(bomb)
            await writer.drain()
            sent += len(bomb)

    async with sink(flood) as server:
        assert await make().send(f"http://{NAME}:{server.port}/", {}, b"{}") == Delivered()
    # What lies in buffers between the two is beyond the reach of either.
    assert sent < MAX_ANSWER + 8_000_000


async def test_an_answer_need_not_be_packed_as_it_says(make: Make) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain"
    async with sink(always(raw)) as server:
        assert await make().send(f"http://{NAME}:{server.port}/", {}, b"{}") == Delivered()


async def test_nobody_there_and_no_such_name_are_worth_another_try(make: Make) -> None:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port = probe.getsockname()[1]
    assert isinstance(await make().send(f"http://{NAME}:{port}/", {}, b"{}"), TryAgain)

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def nothing(host: str, port: int) -> Sequence[str]:
        return ()

    for lookup in (unknown, nothing):
        assert isinstance(await make(5_000, lookup).send(f"http://{NAME}/", {}, b"{}"), TryAgain)


async def test_the_names_of_the_system_are_looked_up(make: Make) -> None:
    reach = Reach(http=True, private=True)
    delivery = WebhookDelivery(reach, timeout=Span(5_000), now=lambda: NOON)
    async with sink(always(TAKEN), "127.0.0.1") as server:
        assert await delivery.send(f"http://localhost:{server.port}/", {}, b"{}") == Delivered()
    await delivery.close()
    assert server.received[0].headers["host"] == f"localhost:{server.port}"


async def test_a_certificate_of_the_name_is_asked_for_and_taken(make: Make, authority: trustme.CA) -> None:
    asked: list[str | None] = []
    context = server_side(authority.issue_cert(NAME))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with sink(always(TAKEN), ssl=context) as server:
        assert await make().send(f"https://{NAME}:{server.port}/", {}, b"{}") == Delivered()
    assert asked == [NAME]
    assert server.received[0].headers["host"] == f"{NAME}:{server.port}"


async def test_any_other_certificate_is_refused_before_anything_is_said(
    make: Make, authority: trustme.CA
) -> None:
    certificates = [
        authority.issue_cert("other.example"),
        authority.issue_cert(HERE),
        trustme.CA().issue_cert(NAME),
    ]
    for certificate in certificates:
        async with sink(always(TAKEN), ssl=server_side(certificate)) as server:
            outcome = await make().send(f"https://{NAME}:{server.port}/", {}, b"{}")
        assert isinstance(outcome, TryAgain)
        assert server.received == []


async def test_a_server_that_speaks_no_tls_is_worth_another_try(make: Make) -> None:
    async with sink(always(TAKEN)) as server:
        assert isinstance(await make(500).send(f"https://{NAME}:{server.port}/", {}, b"{}"), TryAgain)
    assert server.received == []


async def test_many_attempts_share_nothing_but_the_process(make: Make) -> None:
    """No connection is used twice, and what one server sets as a cookie no request carries."""
    raw = status(200, "Set-Cookie: session=1; Domain=app.example", "Connection: keep-alive")
    async with sink(always(raw)) as server:
        server.keeps_open = True
        delivery = make()
        url = f"http://{NAME}:{server.port}/"
        outcomes = await asyncio.gather(*(delivery.send(url, {}, b"{}") for _ in range(50)))
        outcomes += [await delivery.send(url, {}, b"{}")]
    assert outcomes == [Delivered()] * 51
    assert server.connections == 51
    assert not any("cookie" in received.headers for received in server.received)
