"""Tokens that earlier orchestrators give in exchange."""

from pathlib import Path

import pytest
from aiohttp import web

from rxon.http.client import HttpTransport
from rxon.http.keys import Keys
from rxon.messages import Registration, TaskResult
from rxon.transport import PollRequest
from tests.integration.worker.conftest import working
from tests.integration.worker.earlier.certificates import server_context, write_certificates
from tests.integration.worker.earlier.fleet import busy, over, serving
from tests.integration.worker.earlier.releases import O21, O27
from tests.integration.worker.earlier.server import EarlierServer


class TestTokensThatExpire:
    async def test_they_are_shown_instead_of_the_own_one_which_still_signs(self) -> None:
        server = O27()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            await transport.poll(PollRequest(timeout=0.1))
            server.token = "changed"  # only the one in exchange is good now
            with pytest.raises(Exception, match="Invalid cryptographic signature"):
                await transport.report([TaskResult(job_id="j", task_id="t", worker_id="w1")])
            server.token = "fleet-token"
            (answer,) = await transport.report([TaskResult(job_id="j", task_id="t", worker_id="w1")])
            await transport.close()
        assert answer.reason == "job_not_found"

    async def test_one_that_is_not_good_any_more_is_replaced(self) -> None:
        server = O27()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            await transport.poll(PollRequest(timeout=0.1))
            server.access.clear()
            assert await transport.poll(PollRequest(timeout=0.1)) == ()
            assert await transport.poll(PollRequest(timeout=0.1)) == ()
            await transport.close()
        assert server.refused_later == ["Unauthorized: No valid token found"]
        assert len(server.refresh) == 2
        assert len(server.access) == 1

    async def test_a_server_that_gives_none_is_served_with_the_own_one(self) -> None:
        server = O21()
        async with serving(server):
            transport = HttpTransport(server.url, "w1", Keys("fleet-token", exchange=True))
            await transport.register(Registration("w1"))
            for _ in range(3):
                assert await transport.poll(PollRequest(timeout=0.1)) == ()
            await transport.close()
        refusals = [text for text in server.refusals if "mTLS" in text]
        assert len(refusals) == 1


@pytest.mark.parametrize("release", [O21, O27])
async def test_a_worker_with_a_certificate_shows_its_token_only_until_it_has_one_that_expires(
    release: type[EarlierServer], tmp_path: Path
) -> None:
    shown: list[str] = []

    class Watched(release):  # type: ignore[misc, valid-type] # a class made of the parameter
        def authenticate(self, request: web.Request, worker: str) -> None:
            super().authenticate(request, worker)
            if request.path.endswith("/result"):
                shown.append(request.headers["X-Worker-Token"])

    write_certificates(tmp_path, "w1")
    server: EarlierServer = Watched()
    server.tls = server_context(tmp_path)
    async with serving(server):
        certificate = {
            "TLS_CA_PATH": str(tmp_path / "ca.pem"),
            "TLS_CERT_PATH": str(tmp_path / "worker.pem"),
            "TLS_KEY_PATH": str(tmp_path / "worker.key"),
        }
        async with working(busy(tmp_path, server.url, **certificate)):
            job = await over(await server.dispatch("work"))
    assert job.status == "finished"
    assert shown == list(server.access)
    assert server.refused_later == []
