"""Workers that show a certificate: real handshakes, with authorities made for the test (feature I3)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from avtomatika.http.tls import Certificates
from avtomatika_worker import Worker as SdkWorker
from avtomatika_worker import WorkerConfig
from rxon.stream.channel import SUBPROTOCOL
from tests.integration.generations.processes import single
from tests.integration.generations.speakers import EVERY, G1, G4, G5, Speaker
from tests.integration.http.conftest import OPERATOR_TOKEN, Orchestrator, Start

REFUSED = (aiohttp.ClientError, ssl.SSLError, ConnectionError)
"""A handshake that fails may end for the client before or after it sent its request."""


class Authority:
    """An authority, and the files that a node and its workers get from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.files("server", "127.0.0.1")

    def files(self, name: str, *names: str, **options: Any) -> tuple[Path, Path]:
        """A certificate and its key."""
        made = self.ca.issue_cert(*names, **options)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for number, blob in enumerate(made.cert_chain_pems):
            blob.write_to_path(certificate, append=number > 0)
        made.private_key_pem.write_to_path(key)
        return certificate, key

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "TLS_ENABLED": "true",
            "TLS_CERT_PATH": self.folder / "server.pem",
            "TLS_KEY_PATH": self.folder / "server.key",
            "TLS_CA_PATH": self.folder / "ca.pem",
            **more,
        }

    def context(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """A client that trusts the authority, and shows the certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "ours"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    folder = tmp_path / "theirs"
    folder.mkdir()
    return Authority(folder)


@asynccontextmanager
async def through(node: Orchestrator, context: ssl.SSLContext) -> AsyncIterator[Orchestrator]:
    """The node as one sees it who connects like that."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield Orchestrator(node.engine, session)


async def done(node: Orchestrator, speaker: Speaker) -> Any:
    """The result of a job that the worker did from its registration on."""
    assert (await speaker.register())[0] == 200
    job = await node.create({"skill": speaker.skill, "params": {}}, "/api/v1/jobs/single")
    task = await speaker.take()
    assert (await speaker.beat(task["task_id"]))[0] == 200
    assert (await speaker.report(task, data={"n": 1}))[0] == 200
    return (await node.ended(job))["result"]


Kind = type[Speaker]


class Bare(G4):
    """Shows no token."""

    @property
    def headers(self) -> dict[str, str]:
        return {name: value for name, value in super().headers.items() if name != "X-Worker-Token"}


@pytest.mark.parametrize("mode", ["mixed", "mtls-only"])
@pytest.mark.parametrize("names", [{"names": ("cam-01",)}, {"names": (), "common_name": "cam-01"}])
async def test_a_certificate_takes_the_place_of_the_token(
    start: Start, authority: Authority, mode: str, names: dict[str, Any]
) -> None:
    options = {name: value for name, value in names.items() if name != "names"}
    context = authority.context(authority.files("cam-01", *names["names"], **options))
    node = await start(single(), **authority.settings(WORKER_AUTH_MODE=mode))
    async with through(node, context) as seen:
        assert seen.url.startswith("https://")
        assert await done(seen, Bare(seen, "cam-01")) == {"n": 1}


@pytest.mark.parametrize("kind", EVERY)
async def test_workers_of_every_generation_come_in_with_certificate_and_token(
    start: Start, authority: Authority, kind: Kind
) -> None:
    context = authority.context(authority.files("cam-01", "cam-01"))
    node = await start(single(), **authority.settings(WORKER_AUTH_MODE="mtls-only"))
    async with through(node, context) as seen:
        assert await done(seen, kind(seen, "cam-01", signed=kind.signs)) == {"n": 1}


def everything(task: dict[str, Any]) -> dict[str, Callable[[G4], Any]]:
    """All that a worker can ask for in its own name."""
    return {
        "register": lambda each: each.register(),
        "poll": lambda each: each.call("GET", f"/_worker/workers/{each.id}/tasks/next?timeout=0"),
        "heartbeat": lambda each: each.beat(task["task_id"]),
        "sign of life": lambda each: each.call("PATCH", f"/_worker/workers/{each.id}"),
        "event": lambda each: each.emit(each.event(task, "seen", {})),
        "result": lambda each: each.report(task, data=1),
        "token": lambda each: each.call("POST", "/_worker/auth/token"),
        "stream": lambda each: opened(each, "/_worker/stream", SUBPROTOCOL),
        "socket": lambda each: opened(each, f"/_worker/ws/{each.id}"),
    }


async def opened(speaker: Speaker, path: str, *protocols: str) -> tuple[int, Any]:
    """The status of the opening of a WebSocket."""
    try:
        socket = await speaker.node.session.ws_connect(
            speaker.node.url + path, headers=speaker.headers, protocols=protocols
        )
    except aiohttp.WSServerHandshakeError as error:
        return error.status, {"error": ""}
    await socket.close()
    return 200, {}


async def test_a_certificate_of_another_worker_is_refused_whatever_the_token_says(
    start: Start, authority: Authority
) -> None:
    node = await start(single(), **authority.settings())
    own, other = (authority.context(authority.files(name, name)) for name in ("cam-01", "cam-02"))
    async with through(node, own) as mine, through(node, other) as theirs:
        holder, thief = G4(mine, "cam-01"), G4(theirs, "cam-01")
        await holder.register()
        job = await mine.create({"skill": holder.skill, "params": {}}, "/api/v1/jobs/single")
        task = await holder.take()
        for name, ask in everything(task).items():
            status, answer = await ask(thief)
            assert status == 403, name
            if answer["error"]:
                assert answer["error"] == (
                    "Unauthorized: Certificate CN 'cam-02' does not match worker_id 'cam-01'"
                ), name
        for name, ask in everything(task).items():
            assert (await ask(holder))[0] in (200, 204), name
        assert (await mine.ended(job))["result"] == 1


async def test_a_certificate_of_another_authority_gets_no_connection(
    start: Start, authority: Authority, stranger: Authority
) -> None:
    node = await start(single(), **authority.settings())
    past = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 2, 1, tzinfo=UTC)}
    wrong = (
        authority.context(stranger.files("cam-01", "cam-01")),
        authority.context(authority.files("expired", "cam-01", **past)),
        stranger.context(),  # which does not trust the node
    )
    for context in wrong:
        async with through(node, context) as seen:
            with pytest.raises(REFUSED):
                await G4(seen, "cam-01").register()
    async with through(node, authority.context()) as seen:
        assert (await seen.get("/api/v1/workers", token=OPERATOR_TOKEN))[1]["workers"] == []


@pytest.mark.parametrize("kind", [G1, G5])
async def test_without_a_certificate_the_token_counts_unless_one_is_demanded(
    start: Start, authority: Authority, kind: Kind
) -> None:
    mixed = await start(single(), **authority.settings())
    async with through(mixed, authority.context()) as seen:
        assert await done(seen, kind(seen, "cam-01")) == {"n": 1}
        status, answer = await Bare(seen, "cam-01").register()
        assert (status, answer["code"]) == (401, "unauthorized")
    await mixed.engine.stop()
    strict = await start(single(), **authority.settings(WORKER_AUTH_MODE="mtls-only"))
    async with through(strict, authority.context()) as seen:
        status, answer = await kind(seen, "cam-01").register()
        assert (status, answer["error"]) == (401, "Unauthorized: Client certificate required.")
        assert (await opened(kind(seen, "cam-01"), "/_worker/ws/cam-01"))[0] == 401
        assert (await seen.get("/api/v1/jobs"))[0] == 200  # clients have tokens


async def test_everybody_may_be_asked_for_a_certificate(start: Start, authority: Authority) -> None:
    node = await start(single(), **authority.settings(TLS_REQUIRE_CLIENT_CERT="true"))
    async with through(node, authority.context()) as seen:
        with pytest.raises(REFUSED):
            await seen.get("/api/v1/jobs")
    async with through(node, authority.context(authority.files("client", "a-client"))) as seen:
        assert (await seen.get("/api/v1/jobs"))[0] == 200


async def test_where_only_tokens_count_certificates_open_nothing(start: Start, authority: Authority) -> None:
    context = authority.context(authority.files("cam-02", "cam-02"))
    settings = authority.settings(WORKER_AUTH_MODE="token-only", TLS_REQUIRE_CLIENT_CERT="true")
    node = await start(single(), **settings)
    async with through(node, context) as seen:
        assert (await Bare(seen, "cam-02").register())[0] == 401
        assert await done(seen, G4(seen, "cam-01")) == {"n": 1}


async def test_over_its_own_connection_a_worker_need_not_sign(start: Start, authority: Authority) -> None:
    context = authority.context(authority.files("cam-01", "cam-01"))
    node = await start(single(), **authority.settings(WORKER_SIGNATURES="required"))
    async with through(node, context) as seen:
        assert await done(seen, Bare(seen, "cam-01")) == {"n": 1}
        forger = G4(seen, "cam-01", signed=True)
        forger.key = "not the key of the token"
        assert (await forger.register())[0] == 403
    async with through(node, authority.context()) as seen:
        assert (await G4(seen, "cam-01").register())[0] == 403


async def test_a_token_given_for_a_certificate_is_worth_nothing_without_it(
    start: Start, authority: Authority
) -> None:
    context = authority.context(authority.files("cam-01", "cam-01"))
    node = await start(single(), **authority.settings())
    async with through(node, context) as seen, through(node, authority.context()) as bare:
        status, given = await Bare(seen, "cam-01").call("POST", "/_worker/auth/token")
        assert (status, given["worker_id"]) == (200, "cam-01")
        speaker = G4(seen, "cam-01", given["access_token"], signed=True)  # published workers sign with it
        assert await done(seen, speaker) == {"n": 1}
        assert (await speaker.call("POST", "/_worker/auth/token"))[0] == 200
        assert (await G4(bare, "cam-01", given["access_token"]).register())[0] == 401
        path, body = "/_worker/auth/token/refresh", {"refresh_token": given["refresh_token"]}
        assert (await bare.call("POST", path, body))[0] == 401
        status, again = await seen.call("POST", path, body)
        assert status == 200
        assert await done(seen, G4(seen, "cam-01", again["access_token"], signed=True)) == {"n": 1}


@pytest.mark.parametrize("transport", ["stream", "poll"])
async def test_our_worker_needs_nothing_but_its_certificate(
    start: Start, authority: Authority, transport: str
) -> None:
    certificate, key = authority.files("cam-01", "cam-01")
    node = await start(single(), **authority.settings(WORKER_AUTH_MODE="mtls-only"))
    variables = {
        "WORKER_ID": "cam-01",
        "ORCHESTRATOR_URL": node.url,
        "WORKER_TRANSPORT": transport,
        "TLS_CA_PATH": str(authority.folder / "ca.pem"),
        "TLS_CERT_PATH": str(certificate),
        "TLS_KEY_PATH": str(key),
        "WORKER_PORT": "0",
    }
    worker = SdkWorker(config=WorkerConfig(variables))

    @worker.skill("greet")
    async def greet(name: str) -> dict[str, str]:
        return {"text": f"Hello, {name}!"}

    running = asyncio.create_task(worker.main())
    try:
        async with through(node, authority.context()) as seen:
            job = await seen.create({"skill": "greet", "params": {"name": "Ada"}}, "/api/v1/jobs/single")
            assert (await seen.ended(job))["result"] == {"text": "Hello, Ada!"}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_node_without_usable_certificates_does_not_start(start: Start, authority: Authority) -> None:
    (authority.folder / "server.key").write_text("no key")
    with pytest.raises(Exception, match="TLS_CERT_PATH, TLS_KEY_PATH, TLS_CA_PATH"):
        await start(single(), **authority.settings())


def test_old_versions_of_tls_are_not_spoken(authority: Authority) -> None:
    folder = authority.folder
    context = Certificates(folder / "server.pem", folder / "server.key").context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
